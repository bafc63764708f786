"""Variants x Examples -> Outcomes and Scores."""

from __future__ import annotations

from promptmigrate.evaluate.embedding import embedding_model, score_embedded
from promptmigrate.evaluate.judging import ask_judge
from promptmigrate.evaluate.log import OutcomeLog
from promptmigrate.evaluate.program import Program
from promptmigrate.evaluate.program_runner import ProgramRunner, as_variant, rehearse
from promptmigrate.evaluate.results import Evaluation, Summary, outcome_quality, trace_of
from promptmigrate.evaluate.runner import Evaluator, Measure, Progress, calls_per_row

__all__ = [
    "Evaluation",
    "Evaluator",
    "Measure",
    "OutcomeLog",
    "Program",
    "ProgramRunner",
    "Progress",
    "Summary",
    "as_variant",
    "ask_judge",
    "calls_per_row",
    "embedding_model",
    "outcome_quality",
    "rehearse",
    "score_embedded",
    "trace_of",
]
