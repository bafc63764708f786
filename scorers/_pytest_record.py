"""What scored tests record: one JSON object per score, on its way to the artifact."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from scorers._bridge import plain_json, spec_of
from scorers._types import Sample, Score, Scorer

_NAME = "scorers-recorder"


def record(
    item: pytest.Item,
    scorer: Scorer,
    sample: Sample,
    score: Score,
    *,
    row: str,
    repeat: int = 0,
    limits: dict[str, Any] | None = None,
) -> None:
    """Keep ``score`` for the report of ``item``."""
    recorder = item.config.pluginmanager.get_plugin(_NAME)
    if recorder is None:
        recorder = Recorder()
        item.config.pluginmanager.register(recorder, _NAME)
    recorder.add(
        item,
        {
            "test": item.nodeid.partition("[")[0],
            "row": row,
            "repeat": repeat,
            "scorer": score.name,
            "version": score.version,
            "spec": spec_of(scorer),
            "value": score.value,
            "unscored": score.unscored,
            "rationale": plain_json(score.rationale),
            "evidence": plain_json(dict(score.evidence)),
            "input": plain_json(sample.inputs),
            "expected": plain_json(sample.expected),
            "output": plain_json(sample.output),
            "cost_usd": score.cost_usd,
            "input_tokens": score.input_tokens,
            "output_tokens": score.output_tokens,
            **({"limits": limits} if limits else {}),
        },
    )
    told = f"unscored: {score.unscored}" if score.value is None else f"{score.value:g}"
    item.user_properties.append((f"score.{score.name}", told))


class Recorder:
    """Attaches what a test recorded to its report, which pytest-xdist brings to the main process."""

    def __init__(self) -> None:
        self._kept: dict[str, list[dict[str, Any]]] = {}

    def add(self, item: pytest.Item, entry: dict[str, Any]) -> None:
        """Keep an entry until the report of ``item`` is made."""
        self._kept.setdefault(item.nodeid, []).append(entry)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Add to the report of a phase what was recorded in it."""
        report = yield
        entries = self._kept.pop(item.nodeid, None)
        if entries:
            report.scorers = entries
        return report


def shown(sample: Sample, score: Score) -> str:
    """The lines of a failure: input, expected, output, and why."""
    fields = [
        ("input", sample.inputs),
        ("expected", sample.expected),
        ("output", sample.output),
        ("why", score.rationale or "no reason was given"),
    ]
    return "\n".join(f"  {name + ':':<10}{_clipped(value)}" for name, value in fields if value is not None)


def _clipped(value: Any, most: int = 1000) -> str:
    text = value if isinstance(value, str) else repr(plain_json(value))
    text = text if len(text) <= most else f"{text[:most]} […cut, {len(text)} characters]"
    return text.encode("utf-8", "replace").decode("utf-8").replace("\n", "\n            ")
