"""The ``score_check`` fixture."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from scorers._bridge import as_scorer, score_one
from scorers._pytest_record import record, shown
from scorers._types import Sample, Score


def checker(request: pytest.FixtureRequest) -> Callable[..., Score]:
    """What the fixture gives to a test."""
    item = request.node
    name, _, parameters = item.nodeid.partition("[")
    del name
    counted = 0

    def score_check(
        scorer: Any,
        *,
        output: Any,
        expected: Any = None,
        inputs: Mapping[str, Any] | None = None,
        trace: Any = None,
        threshold: float | None = 1.0,
    ) -> Score:
        """Score an output, record the score, and fail below the threshold."""
        __tracebackhide__ = True
        nonlocal counted
        counted += 1
        found = as_scorer(scorer)
        sample = Sample(output=output, expected=expected, inputs=inputs, trace=trace)
        score = score_one(found, sample)
        row = f"{parameters.rstrip(']')}#{counted}" if parameters else f"#{counted}"
        record(item, found, sample, score, row=row)
        if threshold is not None and (score.value is None or score.value < threshold):
            state = f"unscored ({score.unscored})" if score.value is None else f"{score.value:g}"
            pytest.fail(
                f"{score.name} is {state}, below {threshold:g}\n{shown(sample, score)}", pytrace=False
            )
        return score

    return score_check
