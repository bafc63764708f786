"""Whether the tables of an MLflow database are those that the installed MLflow works with."""

from __future__ import annotations

from contextlib import suppress


def outdated(uri: str) -> str | None:
    """The end of a sentence on what is wrong with the tables at ``uri``, and what to do; None: nothing is.

    MLflow makes its tables, and those of a newer version, in many steps. Where it was killed between two of
    them, or another version made the tables, it fails later by some column or table that is not there.
    """
    from mlflow.store.db import utils
    from mlflow.version import VERSION
    from sqlalchemy import create_engine
    from sqlalchemy.exc import SQLAlchemyError

    needed, found = utils._get_latest_schema_revision(), None
    engine = create_engine(uri)
    try:
        with suppress(SQLAlchemyError):  # no table that tells is there
            found = utils._get_schema_version(engine)
    finally:
        engine.dispose()
    if found == needed:
        return None
    torn = "; if that fails, its making was broken off: move it away" if uri.startswith("sqlite:") else ""
    return (
        "was made by another version of MLflow or not to its end (its tables are at "
        f"{found or 'no revision'}, MLflow {VERSION} needs {needed}): make a copy of it and run 'mlflow db "
        f"upgrade' with its address{torn}"
    )
