"""The MLflow store: which one is meant, whether it is there, and a client for it.

MLflow is imported on first use, with its price-map download and telemetry switched off. Nothing here touches
MLflow's process-wide tracking URI, so a caller's own MLflow session is left alone. A SQLite file that does
not exist is an error: MLflow itself would create an empty one and report no traces.
"""

from __future__ import annotations

import difflib
import logging
import os
import re
import socket
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from promptmigrate.errors import DataError, PromptMigrateError, StorageError
from promptmigrate.files import locked
from promptmigrate.mlflow_schema import outdated

if TYPE_CHECKING:
    from mlflow import MlflowClient

DEFAULT_URI = "sqlite:///mlflow.db"
REACH_TIMEOUT_S = 5.0
"""Seconds to wait for a server before anything is asked of it; MLflow's own retries take minutes."""
_SQL = re.compile(r"(sqlite|postgresql|mysql|mssql)(\+\w+)?://")
_PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}


def prepare() -> None:
    """Set, unless the caller did, what must be in the environment before MLflow is first imported."""
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    # else judges look for a list of models on the network
    os.environ.setdefault("MLFLOW_MODEL_CATALOG_URI", "")
    # MLflow prints the address of a finished run to stdout, which belongs to the --json of whoever calls us.
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")


def resolve(tracking_uri: str | None = None) -> str:
    """The store that is meant: the given one, else ``MLFLOW_TRACKING_URI``, else :data:`DEFAULT_URI`."""
    return tracking_uri or os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_URI


def public_uri(uri: str) -> str:
    """``uri`` without user name, password and query, for messages and files."""
    return re.sub(r"(?<=://)[^/@]*@", "", uri).split("?", 1)[0]


def is_sql(uri: str) -> bool:
    """Whether the store is a database that this process opens itself."""
    return _SQL.match(uri) is not None


def check(uri: str, *, create: bool = False) -> None:
    """Find out quickly, without importing MLflow, whether the store can be there.

    Args:
        uri: ``sqlite:///path``, another SQLAlchemy database, or ``http(s)://host``.
        create: a missing SQLite file is fine; MLflow will make it.

    Raises:
        StorageError: it cannot; the sentence says why.
    """
    shown = public_uri(uri)
    scheme = re.split(r"[:+]", uri, maxsplit=1)[0].lower()
    if scheme == "sqlite":
        _check_sqlite(uri, shown, create=create)
    elif scheme in ("http", "https"):
        _check_server(uri, shown)
    elif scheme in _PORTS:
        parts = urlsplit(uri)
        if parts.hostname:
            _check_port(parts.hostname, parts.port or _PORTS[scheme], shown)
    elif scheme == "databricks":
        pass
    elif scheme == "file" or "://" not in uri:
        raise StorageError(
            f"MLflow store {shown!r} is a folder or a plain path, which MLflow no longer serves; "
            "give a database (sqlite:///mlflow.db, postgresql://...) or a server (http://host:port)"
        )
    else:
        raise StorageError(
            f"MLflow store {shown!r} has an unknown scheme; use sqlite:///..., postgresql://... or http(s)://..."
        )


def client(tracking_uri: str | None = None, *, create: bool = False) -> MlflowClient:
    """A client for traces, runs, datasets and prompts of one store.

    Args:
        tracking_uri: see :func:`resolve`.
        create: make a missing SQLite store (takes some seconds).

    Raises:
        StorageError: the store is missing, unreachable or of another MLflow version.
    """
    uri = resolve(tracking_uri)
    check(uri, create=create)
    prepare()
    with store_errors(uri):
        if create and uri.startswith("sqlite:"):
            _make(Path(_sqlite_path(uri)))
        return _opened(uri)


def _opened(uri: str) -> MlflowClient:
    from mlflow import MlflowClient

    # MLflow reports each table it makes; that is not news for whoever asked for a store.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)
    try:
        made = MlflowClient(tracking_uri=uri, registry_uri=uri)
        made.search_experiments(max_results=1)
    except Exception as error:
        if is_sql(uri) and (wrong := outdated(uri)):
            raise StorageError(f"MLflow store {public_uri(uri)} {wrong}") from error
        raise
    return made


def _make(path: Path) -> None:
    """Make a SQLite store that is not there, all of it or nothing.

    MLflow makes its tables in many steps, and cannot go on where a process was killed between two of them.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{path.parent} cannot be created: {error.strerror}") from error
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        with locked(folder):
            if path.exists() and path.stat().st_size:
                return
            new = path.with_name(f".{path.name}.new")  # as it is given: an address cannot hold each folder
            for left in (new, new.with_name(f"{new.name}-journal")):
                left.unlink(missing_ok=True)
            backend(_opened(f"sqlite:///{new}")).engine.dispose()
            new.replace(path)
    finally:
        os.close(folder)


@contextmanager
def store_errors(uri: str) -> Iterator[None]:
    """Turn what MLflow, SQLAlchemy and HTTP libraries raise inside the block into a :class:`StorageError`.

    Errors of this package pass through.
    """
    prepare()
    from alembic.util import CommandError
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except PromptMigrateError:
        raise
    except ImportError as error:
        raise StorageError(
            f"MLflow store {public_uri(uri)} needs the Python package {error.name or error}: install it "
            f"with 'pip install {error.name or error}'"
        ) from error
    except (MlflowException, SQLAlchemyError, CommandError, OSError) as error:
        raise StorageError(f"MLflow store {public_uri(uri)} failed: {one_line(error)}") from error


def one_line(error: BaseException) -> str:
    """What an error of another library says, as the end of a sentence: one line, at most 300 characters."""
    text = str(getattr(error, "orig", None) or getattr(error, "message", None) or error)
    text = re.sub(r"(?<=://)[^/@\s]*@", "", text)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:300]


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of a sentence that names what ``name`` may have been meant to be."""
    names = sorted(set(known))
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    if near:
        return f"did you mean {near[0]!r}?"
    if not names:
        return "there is none"
    more = ", ..." if len(names) > 8 else ""
    return "there are " + ", ".join(repr(item) for item in names[:8]) + more


def experiment_id(store: MlflowClient, name: str, *, uri: str, create: bool = False) -> str:
    """The id of the experiment called ``name``.

    Raises:
        DataError: there is none; names the nearest.
        StorageError: the store failed.
    """
    with store_errors(uri):
        found = store.get_experiment_by_name(name)
        if found is not None and found.lifecycle_stage == "active":
            return str(found.experiment_id)
        if create and found is None:
            return str(store.create_experiment(name, artifact_location=_artifacts(uri, name)))
        known = [item.name for item in store.search_experiments(max_results=500)]
    state = "is deleted in" if found is not None else "does not exist in"
    raise DataError(f"experiment {name!r} {state} MLflow store {public_uri(uri)}; {nearest(name, known)}")


def backend(store: MlflowClient) -> Any:
    """The tracking store behind a client, for what MLflow offers only through its process-wide URI."""
    return store._tracking_client.store


def _artifacts(uri: str, name: str) -> str | None:
    """Beside a SQLite file, whatever the working folder is; else where the store puts them."""
    if not uri.startswith("sqlite:"):
        return None
    folder = re.sub(r"[^A-Za-z0-9_.-]+", "_", name)
    return (Path(_sqlite_path(uri)).absolute().parent / "mlartifacts" / folder).as_uri()


def sqlite_folder(uri: str) -> Path | None:
    """The folder of a SQLite store; None for other stores."""
    return Path(_sqlite_path(uri)).parent if uri.startswith("sqlite:") else None


def _sqlite_path(uri: str) -> str:
    return uri.split("://", 1)[1].removeprefix("/").split("?", 1)[0]


def _check_sqlite(uri: str, shown: str, *, create: bool) -> None:
    if not uri.split("://", 1)[-1].startswith("/"):
        raise StorageError(
            f"MLflow store {shown!r} is not a SQLite address; write sqlite:///path/to/mlflow.db"
        )
    path = Path(_sqlite_path(uri))
    try:
        if not path.exists():
            if create:
                return
            raise StorageError(
                f"MLflow store {shown} does not exist: there is no file {path}; "
                "give the right path with mlflow.tracking_uri or MLFLOW_TRACKING_URI"
            )
        with path.open("rb") as stream:
            head = stream.read(16)
    except OSError as error:
        raise StorageError(f"MLflow store {shown} cannot be read: {error.strerror}") from error
    if head == b"" and create:
        return
    if head != b"SQLite format 3\x00":
        raise StorageError(f"MLflow store {shown} is not a SQLite database")
    # MLflow would add its tables to any database.
    if not _has_mlflow_tables(path, shown):
        raise StorageError(f"MLflow store {shown} is a SQLite database, but not one of MLflow")


def _has_mlflow_tables(path: Path, shown: str) -> bool:
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
            query = "select name from sqlite_master where type = 'table' and name = 'alembic_version'"
            return database.execute(query).fetchone() is not None
    except sqlite3.Error as error:
        raise StorageError(f"MLflow store {shown} cannot be read: {error}") from error


def _check_server(uri: str, shown: str) -> None:
    import urllib.error
    import urllib.request

    request = urllib.request.Request(uri.rstrip("/") + "/health")  # noqa: S310 - scheme checked by the caller
    try:
        with urllib.request.urlopen(request, timeout=REACH_TIMEOUT_S):  # noqa: S310 - as above
            return
    except urllib.error.HTTPError:
        return  # something answers; what it thinks of us is found out by the first real request
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None)
        said = one_line(reason if isinstance(reason, BaseException) else error)
        raise StorageError(f"MLflow server {shown} cannot be reached: {said}") from error


def _check_port(host: str, port: int, shown: str) -> None:
    try:
        with socket.create_connection((host, port), timeout=REACH_TIMEOUT_S):
            return
    except OSError as error:
        raise StorageError(
            f"MLflow store {shown} cannot be reached: {error.strerror or one_line(error)}"
        ) from error
