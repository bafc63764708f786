"""Where traces go: the store that takes them, and the folder in which they wait."""

from __future__ import annotations

import os
from pathlib import Path

from promptmigrate.errors import RouteError
from promptmigrate.gateway.sections.traces import STORES, TraceSettings


def store_uri(settings: TraceSettings) -> str:
    """The tracking URI that ``settings`` mean; a relative SQLite file is taken from the working folder, now.

    Raises:
        RouteError: it is neither a server nor a database.
    """
    uri = settings.tracking_uri or os.environ.get("MLFLOW_TRACKING_URI") or "sqlite:///mlflow.db"
    scheme, separator, rest = uri.partition("://")
    if not separator or scheme.partition("+")[0] not in STORES:
        raise RouteError(
            "traces need an MLflow server (http://...) or a database (sqlite:///mlflow.db); set "
            "trace.tracking_uri or MLFLOW_TRACKING_URI, or trace.sink: none"
        )
    if scheme == "sqlite" and rest.startswith("/") and not rest.startswith("//"):
        return f"sqlite:///{Path(rest[1:]).resolve()}"
    return uri


def spool_folder(settings: TraceSettings, *, route: str, home: Path) -> Path:
    """Where the spool (or the jsonl files) of ``route`` are; ``home`` is the folder of its file."""
    jsonl = settings.sink == "jsonl"
    if settings.folder:
        return home / settings.folder
    folder = home / ("traces" if jsonl else ".spool") / route
    if jsonl or _writable(folder):
        return folder
    # A read-only route folder is common where the route is deployed; serving goes on all the same.
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "promptmigrate" / "spool" / route


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError:
        return False
    return os.access(folder, os.W_OK)
