from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptmigrate.harvest import chat, match
from promptmigrate.harvest.chat import Turn
from promptmigrate.types import Prompt
from tests.harvest.conftest import PROMPT

CHAT = [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]
TURNS = (Turn(role="system", content="s"), Turn(role="user", content="u"))


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        ({"model": "m", "messages": CHAT}, TURNS),
        (CHAT, TURNS),
        ({"messages": CHAT, "prompt": None}, TURNS),
        ({"instructions": "s", "input": "u"}, TURNS),
        (
            {
                "instructions": "s",
                "input": [{"role": "user", "content": [{"type": "input_text", "text": "u"}]}],
            },
            TURNS,
        ),
        ({"system": "s", "messages": CHAT[1:]}, TURNS),
        ({"system": [{"type": "text", "text": "s"}], "messages": CHAT[1:]}, TURNS),
        ({"prompt": "u"}, TURNS[1:]),
        ('{"messages": [{"role": "user", "content": "u"}]}', TURNS[1:]),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
            (Turn(role="user", content=None),),
        ),
        ({"question": "u"}, None),
        ("u", None),
        (None, None),
    ],
)
def test_messages(inputs: Any, expected: Any) -> None:
    assert chat.turns(inputs) == expected


@pytest.mark.parametrize(
    ("outputs", "text", "reason"),
    [
        ("billing", "billing", None),
        ('{"label": "billing"}', '{"label": "billing"}', None),
        ("[1, 2]", "[1, 2]", None),
        (["first", "second"], "first", None),
        ({"choices": [{"finish_reason": "length", "message": {"content": "bil"}}]}, "bil", "length"),
        ({"choices": [{"message": {"content": None, "tool_calls": [{}]}}]}, None, None),
        ({"choices": [{"text": "old style"}]}, "old style", None),
        (
            {"content": [{"type": "text", "text": "by Claude"}], "stop_reason": "end_turn"},
            "by Claude",
            "end_turn",
        ),
        (
            {
                "status": "completed",
                "output": [
                    {"type": "reasoning", "content": []},
                    {"type": "message", "content": [{"type": "output_text", "text": "responses"}]},
                ],
            },
            "responses",
            "completed",
        ),
        ('{"choices": [{"message": {"content": "in a text"}}]}', "in a text", None),
        ({"role": "assistant", "content": "a message"}, "a message", None),
        (None, None, None),
        ({"label": "x"}, None, None),
    ],
)
def test_answers(outputs: Any, text: str | None, reason: str | None) -> None:
    found = chat.answer(outputs)
    assert (found.text, found.finish_reason) == (text, reason)


@pytest.mark.parametrize(
    ("outputs", "text"),
    [
        ("billing", "billing"),
        ({"label": "billing"}, "billing"),
        ({"reasoning": "because", "label": "billing"}, "billing"),
        ({"a": 1, "b": "ü"}, '{"a": 1, "b": "ü"}'),
        ([1], "[1]"),
        (None, None),
    ],
)
def test_what_functions_return(outputs: Any, text: str | None) -> None:
    assert chat.plain_answer(outputs) == text


def test_by_text() -> None:
    def turns(*contents: str | None, roles: tuple[str, ...] = ("system", "user")) -> list[Turn]:
        return [Turn(role=role, content=text) for role, text in zip(roles, contents, strict=True)]

    system = "Sort the ticket. Answer with one word."
    values = {"tier": "gold", "ticket": "Tier: none\nTicket: nested"}
    user = "Tier: gold\nTicket: Tier: none\nTicket: nested"
    assert match.by_text(PROMPT, turns(system, user)) == values
    assert match.by_text(PROMPT, turns(f"{system}\n", user, roles=("developer", "user"))) == values
    assert match.by_text(PROMPT, turns(system, user, roles=("system", "assistant"))) is None
    assert match.by_text(PROMPT, turns("Another task.", user)) is None
    assert match.by_text(PROMPT, turns(system, None)) is None
    assert match.by_text(PROMPT, turns(user, roles=("user",))) is None
    both = Prompt.of([{"role": "system", "content": "{{a}}"}, {"role": "user", "content": "Say {{a}}"}])
    assert match.by_text(both, turns("x", "Say x")) == {"a": "x"}
    assert match.by_text(both, turns("x", "Say y")) is None
    assert match.by_text(Prompt.text("Say {{a}}"), turns("Say x", roles=("system",))) == {"a": "x"}


@given(st.text(max_size=30), st.text(max_size=30))
def test_what_is_recovered_renders_to_what_was_sent(tier: str, ticket: str) -> None:
    sent = PROMPT.render({"tier": tier, "ticket": ticket})
    found = match.by_text(PROMPT, [Turn(role=item["role"], content=item["content"]) for item in sent])
    assert found is not None
    assert PROMPT.render(found) == sent


def test_by_name() -> None:
    assert match.by_name(("a", "b"), {"a": 1, "b": None, "c": 3}) == {"a": 1, "b": None}
    assert match.by_name(("a",), {"request": {"a": 1}, "debug": True}) == {"a": 1}
    assert match.by_name(("a",), {"variables": {"a": 1}, "messages": [], "meta": {"x": 1}}) == {"a": 1}
    assert match.by_name(("a",), {"left": {"a": 1}, "right": {"a": 2}}) is None
    assert match.by_name(("a",), "a") is None
