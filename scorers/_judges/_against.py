"""What judges share that hold an output against an expected answer and say yes or no."""

from __future__ import annotations

from dataclasses import dataclass

from scorers._judge import JudgeBase
from scorers._judge_forms import told_inputs
from scorers._text import as_text, clip
from scorers._types import Sample, Score


@dataclass(frozen=True, slots=True, kw_only=True)
class AgainstExpected(JudgeBase):
    """A judge with two verdicts, one of which means that the output agrees with what is expected."""

    def _decided(self, sample: Sample, same: bool, check: str) -> Score:
        """The score where ``check`` has told without a model whether they agree."""
        told = f"expected {clip(sample.expected)!r}, got {clip(sample.output)!r}"
        return self._found(
            float(same),
            "match" if same else check,
            "" if same else told,
            verdict=next(verdict for verdict, value in self.menu.items() if value == float(same)),
            decided_by=check,
        )

    def _sections(self, sample: Sample) -> dict[str, str]:
        return {
            **told_inputs(sample),
            "EXPECTED": as_text(sample.expected),
            "OUTPUT": as_text(sample.output),
        }
