"""The folder of one run: ``runs/<name>/<id>/``, held by one process at a time."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from promptmigrate.errors import StorageError
from promptmigrate.files import atomic_write, digest, held, locked

CACHE = "calls.sqlite"
OPENINGS = "test_openings.jsonl"


@dataclass(frozen=True)
class RunDir:
    """Paths of one run."""

    path: Path

    @property
    def id(self) -> str:
        """Content hash of configuration, prompt, dataset and named files: the same command finds it again."""
        return self.path.name

    @property
    def dataset(self) -> Path:
        """The Examples of the run."""
        return self.path / "dataset.parquet"

    @property
    def outcomes(self) -> Path:
        """Every Outcome, one JSON object a line."""
        return self.path / "outcomes.jsonl"

    def outcomes_of(self, worker: int) -> Path:
        """The Outcomes that worker ``worker`` saw."""
        return self.path / "workers" / f"{worker}.outcomes.jsonl"

    @property
    def ledger(self) -> Path:
        """What the run spent, kept across restarts."""
        return self.path / "ledger.sqlite"

    @property
    def study(self) -> str:
        """URL of the Optuna study of the search."""
        place = (self.path.resolve() / "study.sqlite").as_uri()  # any folder, also one with a '?' in its name
        return f"sqlite:///{place}?uri=true"

    def search(self, target: int) -> Path:
        """What the search of ``target`` (counted from 0) came to, once it has ended."""
        return self.path / "searches" / f"{target}.json"

    @property
    def verdict(self) -> Path:
        """The verdict and its numbers."""
        return self.path / "verdict.json"

    def state(self) -> dict[str, Any]:
        """What ``run.json`` says; empty before the run began.

        Raises:
            StorageError: the file is not JSON.
        """
        try:
            return read_json(self.path / "run.json", missing_ok=True)
        except StorageError as error:
            raise StorageError(
                f"{error}; it says what the run in this folder began with: move {self.path} away and run the "
                "same command again (the answers are kept in the call cache)"
            ) from error

    def write_state(self, **values: Any) -> None:
        """Merge ``values`` into ``run.json``.

        Raises:
            StorageError: it cannot be read or written.
        """
        with self._merging():
            write_json(self.path / "run.json", {**self.state(), **values})

    def settle(self, name: str, value: Any) -> Any:
        """Write ``value`` as ``name`` into ``run.json``, unless another process has; what counts for all.

        Raises:
            StorageError: it cannot be read or written.
        """
        with self._merging():
            state = self.state()
            if name not in state:
                write_json(self.path / "run.json", {**state, name: value})
                return value
            return state[name]

    @contextmanager
    def _merging(self) -> Iterator[None]:
        """Keep the workers of this host from changing ``run.json`` between a read and a write of it."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            folder = os.open(self.path, os.O_RDONLY)
        except OSError as error:
            raise StorageError(f"run folder {self.path} cannot be used: {error.strerror}") from error
        try:
            with locked(folder):
                yield
        finally:
            os.close(folder)

    def held(self) -> AbstractContextManager[None]:
        """Hold the folder for this process; the hold ends with the process, however it ends.

        Raises:
            StorageError: another process holds it, or the folder cannot be written.
        """
        busy = f"another process is working on {self.path}; wait for it or stop it"
        return held(self.path / "lock", busy=busy)


def run_id(config: str, prompt: str, dataset: str, inputs: str) -> str:
    """Id of the run of these digests."""
    return digest([config, prompt, dataset, inputs])[7:19]


def unfinished(runs: Path, config: str, prompt: str, inputs: str) -> RunDir | None:
    """An interrupted run of the same configuration, prompt and files, to go on with its own dataset."""
    for state in sorted(runs.glob("*/run.json")):
        values = RunDir(state.parent).state()
        if (
            values.get("config_digest") == config
            and values.get("prompt_digest") == prompt
            and values.get("inputs_digest") == inputs
            and values.get("state") == "running"
            and (state.parent / "dataset.parquet").exists()
        ):
            return RunDir(state.parent)
    return None


def home(run_dir: Path | None, runs: Path) -> Path:
    """The folder whose call cache and openings belong to ``run_dir``: the one it lies in, else ``runs``.

    A run that goes on with another cache would pay again for what it has paid for.
    """
    if run_dir is None:
        return runs
    beside = run_dir.resolve().parent.parent
    return beside if beside != runs.resolve() and (beside / CACHE).exists() else runs


def check_writable(folder: Path, *, what: str) -> None:
    """Raise :class:`StorageError` unless files can be made in ``folder`` (which may not exist yet)."""
    probe = folder
    while not probe.exists() and probe.parent != probe:
        probe = probe.parent
    if not probe.is_dir():
        raise StorageError(f"{what} {folder}: {probe} is not a folder")
    test = probe / f".promptmigrate-{os.getpid()}"
    try:
        test.touch()
        test.unlink()
    except OSError as error:
        raise StorageError(f"{what} {folder} cannot be written: {error.strerror}") from error


def read_json(path: Path, *, missing_ok: bool = False) -> dict[str, Any]:
    """The JSON object in ``path``.

    Raises:
        StorageError: unreadable, or not a JSON object.
    """
    try:
        value = json.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        if missing_ok:
            return {}
        raise StorageError(f"{path} does not exist") from error
    except (OSError, ValueError) as error:
        raise StorageError(f"{path} cannot be read: {error}") from error
    if not isinstance(value, dict):
        raise StorageError(f"{path} does not hold a JSON object")
    return value


def first_written(path: Path, text: str) -> str:
    """Write ``text``, unless another process has written ``path`` before; what is there then.

    Raises:
        StorageError: the folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path.parent / "lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror}") from error
    try:
        with locked(handle):
            if not path.exists():
                atomic_write(path, text)
            return path.read_text("utf-8")
    finally:
        os.close(handle)


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write ``value`` atomically, readable for people."""
    atomic_write(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
