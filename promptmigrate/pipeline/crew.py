"""Who works on a run: one process, or several that do the same and share the call cache.

All workers run the same deterministic search on the same rows. Each call is claimed by one of them and the
others wait for its answer, so the work divides itself, nobody hands it out, and any of them may die: its
claims run out and another asks. Only the one that leads writes the result; if it dies, a worker that has come
to the end leads.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from promptmigrate.config import Config
from promptmigrate.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Crew:
    """The part of this process in a run."""

    index: int = 0
    """0 leads: it made the run folder and writes the result."""
    size: int = 1
    """Workers on this host, as far as this one knows."""
    joined: bool = False
    """Whether the process that leads may be on another host."""
    command: tuple[str, ...] = ()
    """How another worker of the run is started; ``--run`` and ``--worker`` are added to it."""

    @property
    def leads(self) -> bool:
        """Whether this process holds the run folder."""
        return self.index == 0

    @property
    def turn(self) -> float:
        """Where in a list of jobs this worker begins, as a share in [0, 1)."""
        return secrets.randbelow(1000) / 1000 if self.joined else self.index / self.size

    @contextmanager
    def started(self, run: Path) -> Iterator[None]:
        """The other workers of this host, at work until the block ends.

        Each writes what it says to ``<run>/workers/<index>.log``.
        """
        children: list[subprocess.Popen[bytes]] = []
        logs = run / "workers"
        try:
            if self.leads and self.size > 1:
                logs.mkdir(exist_ok=True)
            for index in range(1, self.size if self.leads else 1):
                with (logs / f"{index}.log").open("ab") as log:
                    children.append(
                        subprocess.Popen(  # noqa: S603 - our own command line, without a shell
                            [*self.command, "--run", str(run), "--worker", f"{index}/{self.size}"],
                            stdin=subprocess.DEVNULL,
                            stdout=log,
                            stderr=log,
                        )
                    )
            yield
        finally:
            for child in children:
                if child.poll() is None:
                    child.terminate()
            for child in children:
                child.wait()


ALONE = Crew()


def command(arguments: Sequence[str]) -> tuple[str, ...]:
    """How this program is started again with ``arguments``."""
    return (sys.executable, "-m", "promptmigrate", *arguments)


def storage_url(config: Config) -> str | None:
    """The database that workers share; None: files.

    Raises:
        ConfigError: its environment variable is not set, or holds something else.
    """
    if config.storage is None:
        return None
    name = config.storage.url_env
    url = os.environ.get(name)
    if not url:
        raise ConfigError(
            f"storage.url_env names {name}, which is not set; set it to a postgresql:// URL",
            key="storage.url_env",
        )
    if not url.startswith(("postgresql://", "postgres://", "postgresql+psycopg2://")):
        raise ConfigError(
            f"the URL in {name} (storage.url_env) is not a postgresql:// URL", key="storage.url_env"
        )
    return url


def study_url(storage: str) -> str:
    """``storage`` as the study of the search takes it: with the name of its driver."""
    rest = storage.partition("://")[2]
    return f"postgresql+psycopg2://{rest}"
