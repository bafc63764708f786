"""The prompts that a search is handed to start from, as candidates.

What an earlier search found comes with its worked examples. Where these are train rows they are demos again:
they may be exchanged and dropped, none is shown twice, and no prompt is judged on a row that it quotes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from promptmigrate import template
from promptmigrate.search.anatomy import Anatomy, Candidate, Demo
from promptmigrate.search.base import Problem
from promptmigrate.search.parts import split
from promptmigrate.search.text import with_content
from promptmigrate.types import Example, Message, Prompt


def given(problem: Problem) -> list[Candidate]:
    """The prompts of ``problem.prompts``, in order."""
    found = []
    for number, prompt in enumerate(problem.prompts, 1):
        origin = f"given prompt {number}"
        readings = (c for c in _readings(problem, prompt, origin) if c.prompt == prompt)
        found.append(next(readings, _candidate(problem, prompt, origin)))
    return found


def _readings(problem: Problem, prompt: Prompt, origin: str) -> Iterator[Candidate]:
    """What ``prompt`` may be made of, where it has demos."""
    if "demos" not in problem.may_change or set(prompt.variables) != set(problem.original.prompt.variables):
        return
    bare, demos = _apart(problem, prompt)
    if demos:
        yield _candidate(problem, bare, origin).but(demos=demos, parent="")
    if "format" in problem.may_change:
        last = Anatomy.of(prompt).last_user
        lead, turn = split(prompt.messages[last].content)
        messages = list(prompt.messages)
        messages[last] = with_content(messages[last], turn.lstrip())
        bare, demos = _apart(problem, Prompt(tuple(messages), chat=prompt.chat))
        if demos:
            moved = _candidate(problem, bare, origin)
            yield moved.but(instructions=lead, demos=demos, placement="user", parent="")


def _candidate(problem: Problem, prompt: Prompt, origin: str) -> Candidate:
    anatomy = Anatomy.of(prompt)
    return Candidate(anatomy=anatomy, base=problem.original, instructions=anatomy.instructions, origin=origin)


def _apart(problem: Problem, prompt: Prompt) -> tuple[Prompt, tuple[Demo, ...]]:
    """``prompt`` without the turns before its last user turn that show train rows, and these rows."""
    anatomy, messages = Anatomy.of(prompt), [*prompt.messages]
    rows = {template.render(anatomy.demo_turn, row.inputs): row for row in reversed(problem.train)}
    end, found = anatomy.last_user, list[Demo]()
    while row := _shown(messages[:end][-2:], rows):
        found.insert(0, Demo(example=row.id, inputs=dict(row.inputs), answer=messages[end - 1].content))
        end -= 2
    del messages[end : anatomy.last_user]
    # Only its demos may have made a chat of it.
    chat = problem.original.prompt.chat or [m.role for m in messages] != ["user"]
    return Prompt(tuple(messages), chat=chat), tuple(found)


def _shown(turns: Sequence[Message], rows: dict[str, Example]) -> Example | None:
    """The row that a pair of turns shows."""
    if [turn.role for turn in turns] != ["user", "assistant"]:
        return None
    return rows.get(turns[0].content)
