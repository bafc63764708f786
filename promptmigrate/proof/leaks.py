"""Whether the candidate could have known the test: a test row among the others, or in its prompt."""

from __future__ import annotations

from collections.abc import Iterator

from promptmigrate import template
from promptmigrate.errors import TemplateError
from promptmigrate.proof.contents import Contents
from promptmigrate.proof.findings import Finding
from promptmigrate.types import Example, Prompt

_CHARS = 24
"""Shorter inputs stand in prompts by chance."""


def check_leaks(bundle: Contents) -> Iterator[Finding]:
    """No test row is among train and validation rows, and none is quoted in the candidate's prompt."""
    test = [row.example for row in bundle.rows if row.split == "test"]
    seen = [row.example for row in bundle.rows if row.split != "test"]
    among = {example.id for example in seen}
    for example in test:
        if example.id in among:
            yield Finding(
                entry="dataset.jsonl", where=example.id, problem="is a test row and another one too"
            )
    for name, prompt in (bundle.candidate.components or {"": bundle.candidate.prompt}).items():
        before = bundle.production.components.get(name, bundle.production.prompt)
        yield from _quoted(prompt, before, test, seen)


def _quoted(
    candidate: Prompt, production: Prompt, test: list[Example], seen: list[Example]
) -> Iterator[Finding]:
    prompt = "\0".join(_plain(message.content) for message in candidate.messages)
    before = "\0".join(_plain(message.content) for message in production.messages)
    # What is in rows that the search may quote, or was in the prompt all along, is no leak.
    public = "\0".join([before, *(_plain(value) for example in seen for value in _values(example))])
    turns = {_plain(message.content) for message in candidate.messages}
    for example in test:
        values = [text for text in map(_plain, _values(example)) if len(text) >= _CHARS]
        quoted = any(text in prompt and text not in public for text in values)
        if not quoted and (turn := _last_turn(candidate, example)) in turns:
            quoted = all(turn != _last_turn(candidate, other) for other in seen)
        if quoted:
            yield Finding(
                entry="variants.json",
                where=example.id,
                field="candidate.prompt",
                problem="quotes this test row",
            )


def _values(example: Example) -> list[str]:
    return [template.as_text(value) for value in example.inputs.values()]


def _plain(text: str) -> str:
    return " ".join(text.split())


def _last_turn(prompt: Prompt, example: Example) -> str | None:
    """The last message as it would be sent for ``example``; None where it does not depend on it."""
    last = prompt.messages[-1].content
    if not template.variables(last):
        return None
    try:
        return _plain(template.render(last, example.inputs))
    except TemplateError:
        return None
