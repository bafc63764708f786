"""Which databases hold the answers and the account of a run."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from promptmigrate.errors import UsageError
from promptmigrate.lm.cache import Cache
from promptmigrate.lm.claims import SharedCache
from promptmigrate.lm.ledger import Ledger
from promptmigrate.lm.schema import cache_file, ledger_file
from promptmigrate.lm.store import Session
from promptmigrate.lm.workers import Workers, live

if TYPE_CHECKING:
    from promptmigrate.config import BudgetConfig


def open_alone(
    stack: ExitStack, cache: Path | None, ledger: Path | None, budget: BudgetConfig | None
) -> tuple[Cache | None, Ledger]:
    """Files for one process; ``stack`` closes them.

    Raises:
        StorageError: a file cannot be used.
    """
    answers = None
    if cache is not None:
        replies = cache_file(cache)
        stack.callback(replies.close)
        answers = Cache(replies)
        stack.callback(answers.close)
    accounts = ledger_file(ledger)
    stack.callback(accounts.close)
    account = Ledger(accounts, budget)
    stack.callback(account.close)
    return answers, account


def open_shared(
    stack: ExitStack, cache: Path | None, ledger: Path | None, budget: BudgetConfig | None, run: str
) -> tuple[SharedCache, Ledger]:
    """Files for several workers of one host; ``stack`` closes them.

    Raises:
        UsageError: there is no file to share.
        StorageError: a file cannot be used.
    """
    if cache is None or ledger is None:
        raise UsageError("several workers share their files: open the Door with cache= and ledger=")
    beats = cache_file(cache)
    stack.callback(beats.close)
    workers = Workers(beats, run)
    stack.callback(workers.leave)
    replies = cache_file(cache)
    stack.callback(replies.close)
    answers = SharedCache(replies, workers)
    stack.callback(answers.close)
    alive = live(replies.clock)
    accounts = ledger_file(ledger)
    stack.callback(accounts.close)
    account = Ledger(
        accounts,
        budget,
        worker=workers.me,
        others=lambda _: {worker for (worker,) in replies.read(alive)},
    )
    stack.callback(account.close)
    return answers, account


def open_storage(
    stack: ExitStack, url: str, budget: BudgetConfig | None, run: str
) -> tuple[SharedCache, Ledger]:
    """PostgreSQL for workers on any host; ``stack`` closes it.

    Raises:
        StorageError: it cannot be used.
    """
    from promptmigrate.lm.postgres import Postgres

    database = Postgres(url)
    stack.callback(database.close)
    workers = Workers(database, run)
    stack.callback(workers.leave)
    answers = SharedCache(database, workers)
    stack.callback(answers.close)
    alive = live(database.clock)

    def others(session: Session) -> set[int]:
        return {worker for (worker,) in session.rows(alive)}

    account = Ledger(database, budget, run=run, worker=workers.me, others=others)
    stack.callback(account.close)
    return answers, account
