"""Variants x Examples -> Outcomes and Scores."""

from __future__ import annotations

from promptmigrate.evaluate.log import OutcomeLog
from promptmigrate.evaluate.results import Evaluation, Summary
from promptmigrate.evaluate.runner import Evaluator, Measure, Progress, calls_per_row

__all__ = ["Evaluation", "Evaluator", "Measure", "OutcomeLog", "Progress", "Summary", "calls_per_row"]
