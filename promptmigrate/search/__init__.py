"""From a prompt that the target model cannot follow to the best one for it, within a budget of calls."""

from promptmigrate.search.base import (
    CandidateRecord,
    Evaluate,
    FrontPoint,
    Generation,
    Measured,
    Problem,
    SearchResult,
    Strategy,
)
from promptmigrate.search.contract import Contract, mine
from promptmigrate.search.registry import changes, names, reflects, strategy
from promptmigrate.search.rules import run_strategy

__all__ = [
    "CandidateRecord",
    "Contract",
    "Evaluate",
    "FrontPoint",
    "Generation",
    "Measured",
    "Problem",
    "SearchResult",
    "Strategy",
    "changes",
    "mine",
    "names",
    "reflects",
    "run_strategy",
    "strategy",
]
