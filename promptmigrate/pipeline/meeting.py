"""Workers on other hosts: they find a run in the storage that they share, and come to its rows by it."""

from __future__ import annotations

import base64
import binascii
import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from promptmigrate.config import Config
from promptmigrate.errors import StorageError, UsageError
from promptmigrate.files import atomic_write, dump_yaml
from promptmigrate.lm import Board
from promptmigrate.pipeline.events import Listener
from promptmigrate.pipeline.pen import Pen
from promptmigrate.pipeline.rundir import RunDir

_WAIT_S = 60.0
_POLL_S = 1.0
_RUN, _DONE, _SEARCH, _GATE = "run", "done", "search", "gate"


class Meeting:
    """The run of one experiment in the storage that all workers share.

    Args:
        url: postgresql:// URL of the storage.

    Raises:
        StorageError: it cannot be used.
    """

    def __init__(self, url: str) -> None:
        self._board = Board(url)
        self._pens: dict[str, Pen] = {}

    def open(self, run: RunDir) -> None:
        """Lead ``run``, and tell the others of it.

        Raises:
            StorageError: another process leads it.
        """
        if not self._board.lead(run.id):
            raise StorageError(
                f"another process leads run {run.id} in the shared storage; help it with --join, or wait"
            )
        self._board.erase(run.id, _DONE)
        self._board.erase(run.id, _RUN)
        content = {
            "state": run.state(),
            "dataset": base64.b64encode(run.dataset.read_bytes()).decode("ascii"),
        }
        self._board.post(run.id, _RUN, json.dumps(content))

    def done(self, run: RunDir) -> None:
        """Tell the others that ``run`` has its result."""
        self._board.post(run.id, _DONE, "")

    def join(self, config: Config, prompt: str, runs: Path, say: Listener) -> RunDir:
        """The folder of a run that somebody leads, filled with its rows.

        Raises:
            UsageError: nobody began one of this experiment and prompt within a minute, or it has ended.
        """
        say.note("looking for a run to join")
        end = time.monotonic() + _WAIT_S
        while True:
            for run_id, state, dataset in self._begun(config, prompt, without=_DONE):
                run = RunDir(runs / config.name / run_id)
                run.path.mkdir(parents=True, exist_ok=True)
                atomic_write(run.dataset, dataset)
                written = config.model_dump(mode="json", exclude_none=True)
                atomic_write(run.path / "config.yaml", dump_yaml(written))
                run.write_state(**state)
                return run
            if time.monotonic() > end:
                for run_id, _, _ in self._begun(config, prompt, without=""):
                    raise UsageError(
                        f"run {run_id} of {config.name} has ended, so nothing is left to help with; its "
                        "result is on the host that led it"
                    )
                raise UsageError(
                    f"no run of {config.name} with this configuration and prompt is in the shared storage; "
                    "start one without --join first"
                )
            time.sleep(_POLL_S)

    def _begun(
        self, config: Config, prompt: str, *, without: str
    ) -> Iterator[tuple[str, dict[str, Any], bytes]]:
        """Id, state and rows of the runs of ``config`` and ``prompt`` that have no note ``without``."""
        for run_id, text in self._board.runs(_RUN, without=without).items():
            state, dataset = _parsed(run_id, text)
            if (state.get("config_digest"), state.get("prompt_digest")) == (config.digest, prompt):
                yield run_id, state, dataset

    def take_over(self, run: RunDir) -> bool:
        """Wait until ``run`` has its result (False), or nobody else leads it or writes its result (True)."""
        while self._board.read(run.id, _DONE) is None:
            if self._board.lead(run.id) and self.pen(run).free():
                return self._board.read(run.id, _DONE) is None
            time.sleep(_POLL_S)
        return False

    def pen(self, run: RunDir) -> Pen:
        """The right to write the result of ``run``, to be taken after :meth:`take_over`."""
        return self._pens.setdefault(run.id, Pen(self._board, run.id))

    def search(self, run: RunDir, target: int) -> str | None:
        """What the search of ``target`` came to, as some worker settled it; None: nobody has."""
        return self._board.read(run.id, f"{_SEARCH}.{target}")

    def settle_search(self, run: RunDir, target: int, text: str) -> str:
        """Settle what the search of ``target`` came to, unless a worker has; what counts for all."""
        return self._board.post(run.id, f"{_SEARCH}.{target}", text)

    def gate(self, run: RunDir) -> dict[str, Any] | None:
        """How many test rows the gate opens and what that leaves out, as some worker settled it; or None."""
        text = self._board.read(run.id, _GATE)
        return None if text is None else _planned(run.id, text)

    def settle_gate(self, run: RunDir, planned: Mapping[str, Any]) -> dict[str, Any]:
        """Settle the gate, unless a worker has; what counts for all."""
        return _planned(run.id, self._board.post(run.id, _GATE, json.dumps(dict(planned))))

    def close(self) -> None:
        """Leave; a lead ends with it."""
        self._board.close()


def _planned(run: str, text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
        return {"rows": int(found["rows"]), "short": found["short"]}
    except (ValueError, KeyError, TypeError) as error:
        raise StorageError(f"the shared storage holds an unreadable gate of run {run}: {error}") from error


def _parsed(run: str, text: str) -> tuple[dict[str, Any], bytes]:
    try:
        found = json.loads(text)
        return dict(found["state"]), base64.b64decode(found["dataset"], validate=True)
    except (ValueError, KeyError, TypeError, binascii.Error) as error:
        raise StorageError(f"the shared storage holds an unreadable note of run {run}: {error}") from error
