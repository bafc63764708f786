"""The end of a pytest session in which something was scored."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from scorers._pytest_artifact import write_artifact
from scorers._pytest_judge import judge
from scorers._pytest_summary import line, summary
from scorers._pytest_thresholds import ThresholdsError, declared, read_thresholds


@dataclass(frozen=True, kw_only=True)
class Results:
    """What to show, and whether the thresholds are met."""

    lines: tuple[str, ...]
    failures: tuple[str, ...]
    unusable: bool
    """Whether what failed is not a score but the thresholds or the artifact."""
    artifact: str | None

    @property
    def failed(self) -> bool:
        """Whether the session fails for it."""
        return bool(self.failures)

    def show(self, out: Any) -> None:
        """Print to pytest's terminal reporter."""
        out.section("scores")
        for text in self.lines:
            out.line(text)
        if self.artifact:
            out.line(f"written to {self.artifact}")
        if self.failures:
            out.section("scores not judged" if self.unusable else "score thresholds not met", red=True)
            for text in self.failures:
                out.line(text, red=True)


def finish(config: pytest.Config, records: list[dict[str, Any]]) -> Results:
    """Write the artifact, if one is asked for, and judge."""
    artifact, thresholds = (config.getoption(f"--score-{name}") for name in ("artifact", "thresholds"))
    failures: list[str] = []
    unusable = False
    try:
        if artifact:
            write_artifact(Path(artifact), records)
        stated = declared(records)
        if thresholds:
            stated += read_thresholds(Path(thresholds))
        failures = judge(records, stated)
    except ThresholdsError as error:
        failures, unusable = [str(error)], True
    return Results(
        lines=tuple(map(line, summary(records))) or ("nothing was scored",),
        failures=tuple(failures),
        unusable=unusable,
        artifact=artifact,
    )
