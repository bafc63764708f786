"""What judges share that hold an output against what was asked, with nothing expected."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from scorers._judge import JudgeBase
from scorers._types import Sample, Score


@dataclass(frozen=True, slots=True, kw_only=True)
class OfInputs(JudgeBase):
    """A judge that looks at inputs and output only."""

    without_inputs: ClassVar[str] = "there is no input"
    """Why a sample without inputs cannot be judged."""

    def _resolved(
        self,
        output: Any,
        expected: Any,  # noqa: ARG002 - nothing expected is looked at
        inputs: Mapping[str, Any] | None,
        trace: Any,
    ) -> Sample | Score:
        if not inputs:
            return self._unscored("no_expected", self.without_inputs)
        return Sample(output=output, expected=None, inputs=inputs, trace=trace)
