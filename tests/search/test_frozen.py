import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptmigrate.search.anatomy import Anatomy, Demo
from promptmigrate.search.frozen import Frozen
from promptmigrate.types import Prompt


def chat(*messages):
    return Prompt.of([{"role": role, "content": content} for role, content in messages])


TEXT = Prompt.text("Sort.\n\nTicket: {{ticket}}\nQueue:")
CHAT = chat(("system", "Sort."), ("user", "Ticket: {{ticket}}\nQueue:"))
TURNS = chat(
    ("system", "Sort for {{company}}."), ("user", "Ready?"), ("assistant", "Yes."), ("user", "{{ticket}}")
)
BELOW = Prompt.text("<t>\n{{ticket}}\n</t>\n\nSort the ticket into a queue.\n\nQueue:")
BETWEEN = chat(("user", "{{company}}\n\nSort the ticket into a queue.\n\nTicket: {{ticket}}"))
SHOWN = Demo(example="1", inputs={"ticket": "It broke", "company": "us"}, answer="bug")


@given(
    st.sampled_from([TEXT, CHAT, TURNS, BELOW, BETWEEN]),
    st.text(st.characters(exclude_characters="{}", exclude_categories=["Cs"])),
    st.booleans(),
    st.booleans(),
)
def test_other_instructions_demos_and_placement_keep_what_is_frozen(prompt, text, shown, moved):
    anatomy = Anatomy.of(prompt)
    instructions = f"{text} {{{{company}}}}" if prompt is TURNS else text
    made = anatomy.compose(instructions, demos=[SHOWN] * shown, placement="user" if moved else "own")
    assert Frozen(prompt).broken(made) is None


FRAME = "Ticket: {{ticket}}\nQueue:"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Sort.", "lost the placeholder {{ticket}}"),
        (f"{{{{other}}}} Sort.\n\n{FRAME}", "invents the placeholder {{other}}"),
        ("Sort.\n\nHere is the thing: {{ticket}}", "changes the fixed part"),
        (f"Sort.\n\n{FRAME} and no more", "changes the fixed part"),
        (f"Sort the{FRAME}", "changes the fixed part"),
        (f"Sort {{{{ticket}}}}.\n\n{FRAME}", "writes {{ticket}} itself"),
    ],
)
def test_says_what_is_broken_in_a_text(text, reason):
    assert reason in (Frozen(TEXT).broken(Prompt.text(text)) or "")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Sort it.\n\nQueue:", "lost the placeholder {{ticket}}"),
        ("<t>\n{{ticket}}\n</t>\n\nSort it.", "changes the fixed part"),
        ("<t>\n{{ticket}}\n</t>Sort it.\n\nQueue:", "changes the fixed part"),
        ("Sort it.\n\n<t>\n{{ticket}}\n</t>\n\nQueue:", "changes the fixed part"),
        ("<t>\n{{ticket}}\n</t>\n\nSort {{ticket}}.\n\nQueue:", "writes {{ticket}} itself"),
    ],
)
def test_says_what_is_broken_in_a_text_with_its_instructions_below(text, reason):
    assert reason in (Frozen(BELOW).broken(Prompt.text(text)) or "")


@pytest.mark.parametrize(
    ("turns", "reason"),
    [
        ((("system", "Sort {{ticket}}."), ("user", FRAME)), "writes {{ticket}} itself"),
        ((("system", "Sort."), ("user", "{{ticket}}")), "changes the fixed part"),
        ((("user", f"Sort.\n\n{FRAME}"),), "roles"),
        ((("system", "Sort."), ("user", FRAME), ("user", FRAME)), "roles"),
        (
            (("system", "Sort."), ("user", "{{ticket}}"), ("assistant", "bug"), ("user", FRAME)),
            "worked example",
        ),
    ],
)
def test_says_what_is_broken_in_messages(turns, reason):
    assert reason in (Frozen(CHAT).broken(chat(*turns)) or "")


@pytest.mark.parametrize(
    ("system", "first", "last", "reason"),
    [
        ("For {{company}}.", "Go!", "{{ticket}}", "changes the fixed part"),
        (
            "For {{company}} and {{company}}.",
            "Ready?",
            "{{ticket}}",
            "{{company}} 2 times in the instructions, not 1",
        ),
        ("Sort.", "Ready?", "{{company}} {{ticket}}", "changes the fixed part"),
    ],
)
def test_says_what_is_broken_in_a_conversation(system, first, last, reason):
    made = chat(("system", system), ("user", first), ("assistant", "Yes."), ("user", last))
    assert reason in (Frozen(TURNS).broken(made) or "")


def test_a_prompt_of_the_user_has_fixed_parts_of_its_own():
    given = Prompt.text("Look at this: {{ticket}}")
    frozen = Frozen(TEXT, [given, Prompt.text("Another {{thing}}")])
    assert frozen.broken(given) is None
    assert frozen.broken(Prompt.text("Be brief.\n\nLook at this: {{ticket}}")) is None
    assert "fixed part" in (frozen.broken(Prompt.text("Look at that: {{ticket}}")) or "")
    assert "invents" in (frozen.broken(Prompt.text("Another {{ticket}} {{thing}}")) or "")
