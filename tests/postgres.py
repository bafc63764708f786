"""A PostgreSQL server for tests: its own folder, its own port, gone afterwards.

Use it in a folder of tests by importing the fixture in its conftest.py.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

PASSWORD = "pg-SECRET-9f8e7d6c5b4a"


class Server:
    """A server that is running; ``url`` names an empty database made for the caller."""

    def __init__(self, binaries: Path) -> None:
        self._binaries = binaries
        self._folder = Path(tempfile.mkdtemp(prefix="pm-pg-"))
        self._data = self._folder / "data"
        self._databases = 0
        # PostgreSQL refuses to run as root.
        self._user: str | None = None
        if os.getuid() == 0:
            names = {entry.pw_name for entry in pwd.getpwall()}
            self._user = "postgres" if "postgres" in names else "nobody"
            shutil.chown(self._folder, self._user)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        secret = self._folder / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        self._run(
            "initdb", "-D", str(self._data), "-U", "tester", "-A", "scram-sha-256", "--pwfile", str(secret),
            "-E", "UTF8", "--locale", "C", "--no-sync",
        )  # fmt: skip
        self.start()

    def start(self) -> None:
        """Start it and wait until it answers."""
        settings = {"listen_addresses": "127.0.0.1", "port": str(self.port), "fsync": "off"}
        settings["unix_socket_directories"] = str(self._folder)
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(self._binaries / "postgres"), "-D", str(self._data)]
                + [part for name, value in settings.items() for part in ("-c", f"{name}={value}")],
                stdout=log, stderr=log, cwd=self._folder, **self._as_user(),
            )  # fmt: skip
        end = time.monotonic() + 30
        ready = [str(self._binaries / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        while subprocess.run(ready, check=False).returncode:
            if self._process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"PostgreSQL did not start:\n{(self._folder / 'log').read_text()}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop it and disconnect everybody, as a crash would."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGQUIT)  # "immediate shutdown"
            self._process.wait(30)

    def url(self, database: str = "postgres", *, password: str = PASSWORD) -> str:
        """The URL of ``database``."""
        return f"postgresql://tester:{password}@127.0.0.1:{self.port}/{database}"

    def database(self) -> str:
        """The URL of a new, empty database."""
        self._databases += 1
        name = f"test_{self._databases}"
        self.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def execute(self, sql: str, url: str | None = None) -> list[str]:
        """What ``sql`` gives, one line for each row."""
        psql = shutil.which("psql") or str(self._binaries / "psql")
        command = [psql, "-qAtX", "-v", "ON_ERROR_STOP=1", "-d", url or self.url(), "-c", sql]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return done.stdout.splitlines()

    def close(self) -> None:
        """Stop it and remove its folder."""
        self.stop()
        shutil.rmtree(self._folder)

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._binaries / program), *arguments]
        done = subprocess.run(
            command, capture_output=True, text=True, cwd=self._folder, check=False, **self._as_user()
        )
        if done.returncode:
            raise RuntimeError(f"{program} failed: {done.stderr}")

    def _as_user(self) -> dict[str, Any]:
        if self._user is None:
            return {}
        entry = pwd.getpwnam(self._user)
        return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def binaries() -> Path | None:
    """The folder of the newest server that is installed."""
    places = [*Path("/usr/lib/postgresql").glob("*/bin"), *Path("/opt/homebrew/opt").glob("postgresql*/bin")]
    places.append(Path("/usr/local/pgsql/bin"))
    if (found := shutil.which("initdb")) is not None:
        places.append(Path(found).resolve().parent)
    whole = [place for place in places if (place / "initdb").exists() and (place / "postgres").exists()]
    return max(
        whole, key=lambda place: [int(n) for n in place.parent.name.split(".") if n.isdigit()], default=None
    )


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A running server."""
    found = binaries()
    if found is None:
        pytest.skip("NOT TESTED: there is no PostgreSQL server here; run: sh tests/install_postgres.sh")
    if find_spec("psycopg2") is None:
        pytest.skip("NOT TESTED: psycopg2 is missing; run: pip install 'promptmigrate[postgres]'")
    server = Server(found)
    try:
        yield server
    finally:
        server.close()
