"""What the shared storage holds, and taking away what is old: runs that ended, answers that are of no use."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from promptmigrate.errors import UsageError
from promptmigrate.lm.postgres import Postgres
from promptmigrate.lm.store import Session, marks
from promptmigrate.lm.workers import live

LEAST_DAYS = 1.0
"""Answers are noted as of use once a day, so nothing younger can be told to be old."""
_OF_A_RUN = ("requests", "totals", "spans", "failures", "notes")


@dataclass(frozen=True, kw_only=True)
class Stored:
    """How much there is, or was taken away."""

    runs: int
    answers: int
    megabytes: float
    """Of all tables, in 10^6 bytes; 0 for what was taken away (the database gives space back by itself)."""
    working: int = 0
    """Workers that are alive; while there is one, no answer is taken away: it may need any."""

    def to_json(self) -> dict[str, float]:
        """As plain data."""
        return asdict(self)


def stored(url: str) -> Stored:
    """What the database at ``url`` (postgresql://...) holds.

    Raises:
        StorageError: it cannot be used.
    """
    database = Postgres(url)
    try:
        return database.run(lambda session: _stored(session, database.clock), "read")
    finally:
        database.close()


def check_age(days: float) -> None:
    """Raise :class:`UsageError` where ``days`` is below :data:`LEAST_DAYS`."""
    if not days >= LEAST_DAYS:
        raise UsageError(
            f"what is younger than {LEAST_DAYS:g} day cannot be pruned; give an age of 1d or more"
        )


def prune(url: str, *, days: float, dry_run: bool = False) -> Stored:
    """Delete runs without a sign of life for ``days`` and answers that were of no use for as long.

    Nothing of a run with a live worker is touched. A deleted run that is started again starts anew: its
    account is gone, and what it had been answered is asked again. Optuna's own tables are left alone.

    Raises:
        UsageError: ``days`` is below :data:`LEAST_DAYS`.
        StorageError: the database cannot be used.
    """
    check_age(days)
    database = Postgres(url)

    def work(session: Session) -> Stored:
        database.alone(session)  # nobody joins meanwhile
        alive = live(database.clock)
        before = f"{database.clock} - {days * 86400.0}"
        working = len(session.rows(alive))
        old = [
            run
            for (run,) in session.rows(
                f"SELECT run FROM spans GROUP BY run HAVING MAX(ended) < {before} "  # noqa: S608
                f"AND run NOT IN (SELECT run FROM workers WHERE worker IN ({alive}))"
            )
        ]
        unused = f"FROM replies WHERE used < {before}"
        ((answers,),) = [(0,)] if working else session.rows(f"SELECT COUNT(*) {unused}")
        if not dry_run:
            for table in _OF_A_RUN if old else ():
                session.write(f"DELETE FROM {table} WHERE run IN ({marks(len(old))})", old)  # noqa: S608
            if not working:
                session.write(f"DELETE {unused}")
        return Stored(runs=len(old), answers=int(answers), megabytes=0.0, working=working)

    try:
        return database.run(work)
    finally:
        database.close()


def _stored(session: Session, clock: str) -> Stored:
    ((runs,),) = session.rows("SELECT COUNT(DISTINCT run) FROM totals")
    ((answers,),) = session.rows("SELECT COUNT(*) FROM replies")
    ((size,),) = session.rows(
        "SELECT COALESCE(SUM(pg_total_relation_size(oid)), 0) FROM pg_class "
        "WHERE relkind = 'r' AND relnamespace = 'promptmigrate'::regnamespace"
    )
    working = len(session.rows(live(clock)))
    return Stored(runs=int(runs), answers=int(answers), megabytes=float(size) / 1e6, working=working)
