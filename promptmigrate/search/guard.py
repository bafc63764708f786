"""Refusing proposals before a cent is spent on them. Nothing is repaired: a repaired prompt is a guess."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from promptmigrate import template
from promptmigrate.errors import TemplateError
from promptmigrate.search.anatomy import Candidate, role_lines
from promptmigrate.search.base import Problem
from promptmigrate.search.frozen import Frozen
from promptmigrate.search.text import ngrams, tokens_of, words
from promptmigrate.types import Example, Prompt

COPIED_WORDS = 8
"""A run of so many words of a train row in the instructions is a copy of the row."""
_PLACEHOLDER = re.compile(r"\{\{\s*[A-Za-z_]\w*\s*\}\}")
_WHOLE_ROW_WORDS = 5
_BOILERPLATE_SHARE = 0.1


class Guard:
    """Knows what was already seen and what must not be in a prompt."""

    def __init__(
        self, original: Prompt, *, max_tokens: int, train: Sequence[Example], given: Sequence[Prompt] = ()
    ) -> None:
        self._original = original
        self._frozen = Frozen(original, given)
        self._max_tokens = max_tokens
        self._grams = _row_grams(train, exempt=words(str(original)))
        self._seen: dict[str, None] = {}
        self._bags: list[tuple[int, Counter[str], str]] = []

    @classmethod
    def of(cls, problem: Problem) -> Guard:
        """The guard of one search."""
        return cls(
            problem.original.prompt,
            max_tokens=problem.max_prompt_tokens,
            train=problem.train,
            given=problem.prompts,
        )

    def refuse(self, candidate: Candidate, *, proposed: bool = True) -> str | None:
        """Why ``candidate`` may not be tried; None if it may. ``proposed``: a model wrote its text."""
        prompt = candidate.prompt
        return (
            (self._refuse_messages(candidate.instructions) if proposed else None)
            or self._frozen.broken(prompt)
            or self._refuse_template(prompt)
            or self._refuse_size(prompt)
            or (self._refuse_copy(candidate.instructions) if proposed else None)
            or self._refuse_duplicate(candidate)
        )

    def admit(self, candidate: Candidate) -> None:
        """Remember ``candidate``, so that its like is refused from now on."""
        self._seen[candidate.key] = None
        bag = Counter(words(candidate.instructions))
        self._bags.append((bag.total(), bag, _setting(candidate)))

    def _refuse_template(self, prompt: Prompt) -> str | None:
        for message in prompt.messages:
            try:
                template.check(message.content)
            except TemplateError as error:
                return str(error)
            if not message.content.strip():
                return f"its {message.role} message is empty"
        if _stray(prompt) and not _stray(self._original):
            return "it has '{{' that does not open one of the prompt's placeholders"
        return None

    def _refuse_messages(self, instructions: str) -> str | None:
        own = "\n".join(message.content for message in self._original.messages)
        roles = Counter(role_lines(instructions)) - Counter(role_lines(own))
        if roles:
            return f"it writes a message of its own, as {min(roles)}: only the instructions change"
        return None

    def _refuse_size(self, prompt: Prompt) -> str | None:
        size = tokens_of(prompt)
        if size > self._max_tokens:
            return f"it has about {size} tokens; the limit is {self._max_tokens}"
        return None

    def _refuse_copy(self, instructions: str) -> str | None:
        tokens = words(instructions)
        for size, grams in self._grams.items():
            for gram in ngrams(tokens, size):
                if gram in grams:
                    return f'it copies a training row ("{" ".join(gram)}")'
        return None

    def _refuse_duplicate(self, candidate: Candidate) -> str | None:
        if candidate.key in self._seen:
            return "it was tried before"
        bag = Counter(words(candidate.instructions))
        total, setting = bag.total(), _setting(candidate)
        for other_total, other, other_setting in self._bags:
            if setting != other_setting or abs(total - other_total) > 1:
                continue
            if ((bag - other) + (other - bag)).total() <= 1:
                return "it says the same as one that was tried before"
        return None


def _stray(prompt: Prompt) -> bool:
    return any("{{" in _PLACEHOLDER.sub("", message.content) for message in prompt.messages)


def _setting(candidate: Candidate) -> str:
    demos = ",".join(demo.example for demo in candidate.demos)
    return (
        f"{candidate.placement}|{demos}|{sorted((candidate.params or {}).items())}|{candidate.anatomy.frame}"
    )


def _row_grams(train: Sequence[Example], *, exempt: Sequence[str]) -> dict[int, set[tuple[str, ...]]]:
    """Word runs that give a train row away, by length; runs that many rows share are boilerplate."""
    texts = [words(text) for example in train for text in _texts(example)]
    limit = max(3, round(_BOILERPLATE_SHARE * len(train)))
    counts: Counter[tuple[str, ...]] = Counter()
    for tokens in texts:
        if len(tokens) >= COPIED_WORDS:
            counts.update(set(ngrams(tokens, COPIED_WORDS)))
        elif len(tokens) >= _WHOLE_ROW_WORDS:
            counts[tuple(tokens)] += 1
    grams: dict[int, set[tuple[str, ...]]] = {}
    for gram, count in counts.items():
        if count <= limit:
            grams.setdefault(len(gram), set()).add(gram)
    for size, found in grams.items():
        found.difference_update(ngrams(exempt, size))
    return grams


def _texts(example: Example) -> Iterable[str]:
    for value in example.inputs.values():
        yield template.as_text(value)
    if example.reference and len(words(example.reference)) >= 2 * COPIED_WORDS:
        yield example.reference
