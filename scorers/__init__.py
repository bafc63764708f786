"""Scorers for the outputs of language models: broad, exact, and honest about what could not be scored.

A scorer is a frozen dataclass that is called on one output::

    >>> import scorers
    >>> scorers.label_match()(output="**Billing**", expected="billing").value
    1.0

Importing this package needs the standard library only; each scorer is loaded when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scorers._builtin import LAZY
from scorers._types import Answer, Complete, Judge, Question, Sample, Score, Scorer, UnscoredReason

if TYPE_CHECKING:
    from scorers._complete import set_default_complete
    from scorers._errors import NoCompleteError, ScorerSpecError
    from scorers._judges.correctness import Correctness, correctness
    from scorers._judges.equivalence import Equivalence, equivalence
    from scorers._judges.guidelines import Guidelines, guidelines
    from scorers._measures.contains import Contains, contains
    from scorers._measures.exact_match import ExactMatch, exact_match
    from scorers._measures.json_match import JsonMatch, json_match
    from scorers._measures.label_match import LabelMatch, label_match, mine_labels
    from scorers._measures.numeric_match import NumericMatch, numeric_match
    from scorers._measures.regex import Regex, regex
    from scorers._registry import from_spec, names, to_spec

__all__ = [
    "Answer", "Complete", "Contains", "Correctness", "Equivalence", "ExactMatch", "Guidelines", "JsonMatch",
    "Judge", "LabelMatch", "NoCompleteError", "NumericMatch", "Question", "Regex", "Sample", "Score",
    "Scorer", "ScorerSpecError", "UnscoredReason", "contains", "correctness", "equivalence", "exact_match",
    "from_spec", "guidelines", "json_match", "label_match", "mine_labels", "names", "numeric_match", "regex",
    "set_default_complete", "to_spec",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    module, attribute = LAZY[name]
    value = globals()[name] = getattr(import_module(module), attribute)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
