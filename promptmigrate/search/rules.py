"""What holds for every prompt that a search measures or ends with, whichever strategy it is."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import get_args

from promptmigrate import template
from promptmigrate.errors import PromptMigrateError, TemplateError, UsageError
from promptmigrate.redact import told
from promptmigrate.search.base import (
    CHANGEABLE,
    FrontPoint,
    Generation,
    Measured,
    Problem,
    SearchResult,
    StopCode,
    Strategy,
)
from promptmigrate.search.frozen import Frozen
from promptmigrate.search.given import given
from promptmigrate.search.registry import reflects
from promptmigrate.search.text import tokens_of
from promptmigrate.types import Example, Prompt, Reply, Request, Variant

_MANY = {"front": FrontPoint, "generations": Generation, "facts": str, "removed": str}
"""Fields of a SearchResult that hold several things, and of which type."""
_PLACEHOLDER = re.compile(r"\{\{\s*[A-Za-z_]\w*\s*\}\}")
_TEMPERATURE = "temperature"


class Rules:
    """The fixed parts, roles and placeholders of the original, a template that renders alike everywhere, and
    the token cap.

    Args:
        original: The prompt in production. It may be tried in any case.
        max_tokens: See ``Problem.max_prompt_tokens``.
        given: Prompts of the user, whose fixed parts will do as well.
        may_change: See ``Problem.may_change``.
    """

    def __init__(
        self,
        original: Prompt,
        *,
        max_tokens: int,
        given: Sequence[Prompt] = (),
        may_change: frozenset[str] = CHANGEABLE,
    ) -> None:
        self._original, self._max_tokens, self._may = original, max_tokens, may_change
        self._frozen = Frozen(original, given)
        self._stray = _stray(original)

    def broken(self, prompt: Prompt) -> str | None:
        """The rule that ``prompt`` breaks, as half a sentence; None if it may be tried."""
        if prompt == self._original:
            return None
        return (
            self._frozen.broken(prompt)
            or self._frozen.beyond(prompt, self._may)
            or self._unfit(prompt)
            or self._too_long(prompt)
        )

    def _unfit(self, prompt: Prompt) -> str | None:
        for message in prompt.messages:
            try:
                template.check(message.content)
            except TemplateError as error:
                return str(error)
            if not message.content.strip():
                return f"its {message.role} message is empty"
        if _stray(prompt) and not self._stray:
            return "it has '{{' that does not open one of the prompt's placeholders"
        return None

    def _too_long(self, prompt: Prompt) -> str | None:
        size = tokens_of(prompt)
        return (
            f"it has about {size} tokens; the limit is {self._max_tokens}"
            if size > self._max_tokens
            else None
        )


class BrokenRuleError(UsageError):
    """A strategy wants to measure, or ends with, what no search may."""


def run_strategy(strategy: Strategy, problem: Problem) -> SearchResult:
    """What ``strategy`` finds for ``problem``, held to the :class:`Rules`.

    Raises:
        BrokenRuleError: it asks for a Variant that breaks them or changes what it may not, before
            any call is made for it, or gives back such a one; it asks the reflection model, and says that it
            does not; its result is none; or it is a plug-in and raises what is no PromptMigrateError, or
            wants to end the process.
        PromptMigrateError: see :meth:`Strategy.search`.
    """
    starts = [candidate.anatomy.prompt for candidate in given(problem)]
    rules = Rules(
        problem.original.prompt,
        max_tokens=problem.max_prompt_tokens,
        given=starts,
        may_change=problem.may_change,
    )
    original, may = problem.original, problem.may_change & {_TEMPERATURE}
    # Answers may be sampled at other temperatures where the original has one; what is shipped keeps it.
    samples = may | ({_TEMPERATURE} & set(original.params))
    fit: set[str] = set()

    def check(variant: Variant, does: str, free: frozenset[str]) -> None:
        reason = _other_settings(variant, original, free)
        if reason is None and variant.digest in fit:  # a race asks for the same ones block after block
            return
        reason = reason or rules.broken(variant.prompt)
        if reason is not None:
            raise BrokenRuleError(
                f"search strategy {strategy.name!r} {does} a prompt that may not be tried: {reason}; choose "
                "another search.strategy, or have that one mended"
            )
        fit.add(variant.digest)

    def evaluate(variants: Sequence[Variant], examples: Sequence[Example]) -> Measured:
        for variant in variants:
            check(variant, "asks for", samples)
        return problem.evaluate(variants, examples)

    def refuse(_request: Request) -> Reply:
        raise BrokenRuleError(
            f"search strategy {strategy.name!r} asks the reflection model, and says of itself that it does "
            "not; choose another search.strategy, or have that one mended"
        )

    checked = replace(problem, evaluate=evaluate)
    if not reflects(strategy):
        checked = replace(checked, reflect=refuse, dspy_lm=None)
    try:
        result = strategy.search(checked)
    except PromptMigrateError:
        raise
    except (Exception, SystemExit) as error:
        if type(strategy).__module__.startswith("promptmigrate."):
            raise  # a fault of ours, to be told as one
        raise BrokenRuleError(
            f"search strategy {strategy.name!r} broke: {told(error)}; choose "
            "another search.strategy, or have that one mended (PROMPTMIGRATE_DEBUG=1 shows the traceback)"
        ) from error
    odd = _unsound(result) or next(
        (reason for told in _told_of(result) if (reason := _other_settings(told, original, samples))), None
    )
    if odd:
        raise BrokenRuleError(
            f"search strategy {strategy.name!r} gives back what cannot be used: {odd}; choose another "
            "search.strategy, or have that one mended"
        )
    check(result.best, "ends with", may)
    return result


def _other_settings(variant: Variant, original: Variant, free: frozenset[str]) -> str | None:
    """What beside its prompt ``variant`` has otherwise than ``original``, parameters in ``free`` left out."""
    if variant.model != original.model:
        return f"it is for {variant.model}, not for {original.model}"
    if variant.components:
        return "it holds the prompts of a program, not one prompt"
    given, own = variant.params, original.params
    changed = sorted(
        name for name in {*given, *own} if (name in given, given.get(name)) != (name in own, own.get(name))
    )
    # Values are not shown: one of them may be a key.
    for name in changed:
        if name not in free:
            leave = "search.may_change does not name it" if name == _TEMPERATURE else "no search may"
            return f"it changes the parameter {name}, and {leave}"
        value = given.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
            return f"its {name} is no number from 0 on"
    return None


def _told_of(result: SearchResult) -> Iterator[Variant]:
    """What a result tells of beside its best one; it is written down with the run."""
    yield from (point.variant for point in result.front)
    for generation in result.generations:
        yield generation.best
        yield from (each.variant for each in generation.candidates if each.variant is not None)


def _unsound(result: object) -> str | None:
    """What is wrong with a result, whose types nobody has checked; better said now than after the gate."""
    if not isinstance(result, SearchResult):
        return f"a {type(result).__name__}, not a SearchResult"
    best: object = result.best
    if not isinstance(best, Variant):
        return f"best is a {type(best).__name__}, not a Variant"
    params: object = best.params
    if not isinstance(params, Mapping):
        return f"best.params is a {type(params).__name__}, not a mapping"
    for name in ("quality", "baseline"):
        value = getattr(result, name)
        if value is not None and not (isinstance(value, int | float) and 0 <= value <= 1):
            return f"{name} is {value!r}, neither None nor a float from 0 to 1"
    for name in ("calls", "rows"):
        value = getattr(result, name)
        if not isinstance(value, int) or value < 0:
            return f"{name} is {value!r}, not an int from 0 on"
    stopped: object = result.stopped
    if not isinstance(stopped, str) or result.code not in get_args(StopCode):
        return f"stopped is {stopped!r} and code {result.code!r}, not a sentence and a StopCode"
    for name, kind in _MANY.items():
        value = getattr(result, name)
        if not isinstance(value, tuple) or not all(isinstance(each, kind) for each in value):
            return f"{name} is no tuple of {kind.__name__}"
    return None


def _stray(prompt: Prompt) -> bool:
    return any("{{" in _PLACEHOLDER.sub("", message.content) for message in prompt.messages)
