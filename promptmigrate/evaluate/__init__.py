"""Variants x Examples -> Outcomes and Scores."""

from __future__ import annotations

from promptmigrate.evaluate.embedding import embedding_model, score_embedded
from promptmigrate.evaluate.judging import ask_judge
from promptmigrate.evaluate.log import OutcomeLog
from promptmigrate.evaluate.program import Program
from promptmigrate.evaluate.program_runner import ProgramRunner, as_variant, rehearse
from promptmigrate.evaluate.recorded import counted_tokens, recorded_usd
from promptmigrate.evaluate.results import Evaluation, Summary, outcome_quality, percentile, trace_of
from promptmigrate.evaluate.runner import Evaluator, Progress, calls_per_row
from promptmigrate.evaluate.scoring import Measure, score_here
from promptmigrate.evaluate.trials import How, Tried, alter, by_scorer, qualities, scores_alone

__all__ = [
    "Evaluation",
    "Evaluator",
    "How",
    "Measure",
    "OutcomeLog",
    "Program",
    "ProgramRunner",
    "Progress",
    "Summary",
    "Tried",
    "alter",
    "as_variant",
    "ask_judge",
    "by_scorer",
    "calls_per_row",
    "counted_tokens",
    "embedding_model",
    "outcome_quality",
    "percentile",
    "qualities",
    "recorded_usd",
    "rehearse",
    "score_embedded",
    "score_here",
    "scores_alone",
    "trace_of",
]
