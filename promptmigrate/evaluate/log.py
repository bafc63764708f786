"""outcomes.jsonl: one line for each Outcome, appended as it comes."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO

from promptmigrate.errors import StorageError
from promptmigrate.types import Outcome, Variant

_FLUSH_EVERY_S = 0.25


class OutcomeLog:
    """Appends Outcomes to a JSONL file.

    Args:
        path: The file.
        goes_on: Whether to go on behind the lines that are there, without those Outcomes again; else the file
            starts anew, and lines that a crash lost come back: the call cache holds every answer.

    Raises:
        StorageError: the file cannot be read or written.
    """

    def __init__(self, path: Path, *, goes_on: bool = False) -> None:
        self._there: set[tuple[object, ...]] = set()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if goes_on and path.exists():
                self._there = _lines_of(path)
            self._stream: IO[str] = path.open("a" if goes_on else "w", encoding="utf-8", errors="replace")
        except OSError as error:
            raise StorageError(f"{path} cannot be written: {error.strerror}") from error
        self._flushed = time.monotonic()

    def append(self, phase: str, variant: Variant, outcome: Outcome) -> None:
        """Write one Outcome."""
        reply = outcome.reply
        line = {
            "phase": phase,
            "variant": variant.id,
            "example": outcome.example,
            "repeat": outcome.repeat,
            "kind": reply.kind,
            "output": reply.text,
            "error": reply.error,
            "scores": {
                score.name: score.value if score.value is not None else {"unscored": score.unscored}
                for score in outcome.scores
            },
            "rationale": {score.name: score.rationale for score in outcome.scores if score.rationale},
            "cost_usd": reply.cost_usd,
            "input_tokens": reply.input_tokens,
            "output_tokens": reply.output_tokens,
            "latency_s": reply.latency_s,
            "cached": reply.cached,
        }
        if _mark(line) in self._there:
            return
        self._stream.write(json.dumps(line, ensure_ascii=False) + "\n")
        if time.monotonic() - self._flushed > _FLUSH_EVERY_S:
            self.flush()

    def flush(self) -> None:
        """Hand what is buffered to the operating system."""
        self._stream.flush()
        self._flushed = time.monotonic()

    def close(self) -> None:
        """Flush and close the file."""
        self._stream.close()

    def __enter__(self) -> OutcomeLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _mark(line: Mapping[str, object]) -> tuple[object, ...]:
    """What tells Outcomes apart: a call that failed may be answered later."""
    return tuple(line.get(name) for name in ("variant", "example", "repeat", "kind"))


def _lines_of(path: Path) -> set[tuple[object, ...]]:
    """The Outcomes of a log; what a crash left half written at its end is cut off."""
    found = set()
    with path.open("r+b") as stream:
        end = 0
        for raw in stream:
            try:
                line = json.loads(raw)
            except ValueError:
                break
            if not raw.endswith(b"\n") or not isinstance(line, dict):
                break
            found.add(_mark(line))
            end += len(raw)
        stream.truncate(end)
    return found
