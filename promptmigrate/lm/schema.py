"""The tables of the call cache and the ledger.

A SQLite file knows its version: each step brings it one version on, and nothing that was stored is lost.
"""

from __future__ import annotations

from pathlib import Path

from promptmigrate.lm.sqlite import Sqlite

_CACHE = (
    "CREATE TABLE replies (key BLOB PRIMARY KEY, reply TEXT NOT NULL) WITHOUT ROWID",
    """
    CREATE TABLE workers (
      worker INTEGER PRIMARY KEY, run TEXT NOT NULL, host TEXT NOT NULL, pid INTEGER NOT NULL,
      beat REAL NOT NULL);
    CREATE TABLE claims (key BLOB PRIMARY KEY, worker INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE failures (
      run TEXT NOT NULL, key BLOB NOT NULL, reply TEXT NOT NULL, PRIMARY KEY (run, key)) WITHOUT ROWID
    """,
    # At which endpoint a claimed request is, so that a limit of requests in flight holds for all workers.
    """
    ALTER TABLE claims ADD COLUMN place TEXT NOT NULL DEFAULT '';
    ALTER TABLE claims ADD COLUMN at REAL NOT NULL DEFAULT 0
    """,
)
_LEDGER = (
    """
    CREATE TABLE requests (
      id INTEGER PRIMARY KEY, purpose TEXT NOT NULL, model TEXT NOT NULL, state TEXT NOT NULL,
      tokens INTEGER NOT NULL, nanousd INTEGER);
    CREATE TABLE totals (
      purpose TEXT PRIMARY KEY, sent INTEGER NOT NULL, tokens INTEGER NOT NULL, held_tokens INTEGER NOT NULL,
      nanousd INTEGER NOT NULL, held_nanousd INTEGER NOT NULL, unpriced INTEGER NOT NULL);
    CREATE TABLE lifetimes (id INTEGER PRIMARY KEY, seconds REAL NOT NULL)
    """,
    # Several workers at a time: whose a request is, and from when to when each was at work.
    """
    ALTER TABLE requests ADD COLUMN run TEXT NOT NULL DEFAULT '';
    ALTER TABLE requests ADD COLUMN worker INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE totals ADD COLUMN run TEXT NOT NULL DEFAULT '';
    CREATE TABLE spans (
      worker INTEGER PRIMARY KEY, run TEXT NOT NULL, started REAL NOT NULL, ended REAL NOT NULL);
    INSERT INTO spans SELECT 0, '', -TOTAL(seconds), 0 FROM lifetimes;
    DROP TABLE lifetimes
    """,
)
POSTGRES = (
    """
CREATE TABLE promptmigrate.format (version INTEGER NOT NULL);
INSERT INTO promptmigrate.format VALUES (1);
CREATE TABLE promptmigrate.turns (client BIGINT, turn BIGINT, PRIMARY KEY (client, turn));
CREATE TABLE promptmigrate.replies (key BYTEA PRIMARY KEY, reply TEXT NOT NULL);
CREATE TABLE promptmigrate.workers (
  worker BIGINT PRIMARY KEY, run TEXT NOT NULL, host TEXT NOT NULL, pid BIGINT NOT NULL,
  beat DOUBLE PRECISION NOT NULL);
CREATE TABLE promptmigrate.claims (key BYTEA PRIMARY KEY, worker BIGINT NOT NULL);
CREATE TABLE promptmigrate.failures (
  run TEXT NOT NULL, key BYTEA NOT NULL, reply TEXT NOT NULL, PRIMARY KEY (run, key));
CREATE TABLE promptmigrate.requests (
  id BIGINT PRIMARY KEY, run TEXT NOT NULL, worker BIGINT NOT NULL, purpose TEXT NOT NULL,
  model TEXT NOT NULL, state TEXT NOT NULL, tokens BIGINT NOT NULL, nanousd BIGINT);
CREATE INDEX under_way ON promptmigrate.requests (run) WHERE state = 'reserved';
CREATE TABLE promptmigrate.totals (
  run TEXT, purpose TEXT, sent BIGINT NOT NULL, tokens BIGINT NOT NULL, held_tokens BIGINT NOT NULL,
  nanousd BIGINT NOT NULL, held_nanousd BIGINT NOT NULL, unpriced BIGINT NOT NULL,
  PRIMARY KEY (run, purpose));
CREATE TABLE promptmigrate.spans (
  worker BIGINT PRIMARY KEY, run TEXT NOT NULL, started DOUBLE PRECISION NOT NULL,
  ended DOUBLE PRECISION NOT NULL);
CREATE INDEX spans_of ON promptmigrate.spans (run);
CREATE TABLE promptmigrate.notes (
  run TEXT, name TEXT, content TEXT NOT NULL, PRIMARY KEY (run, name))
""",
    # As in the file; and when an answer was last of use, by which old ones are told.
    """
ALTER TABLE promptmigrate.claims ADD COLUMN place TEXT NOT NULL DEFAULT '';
ALTER TABLE promptmigrate.claims ADD COLUMN at DOUBLE PRECISION NOT NULL DEFAULT 0;
ALTER TABLE promptmigrate.replies
  ADD COLUMN used DOUBLE PRECISION NOT NULL DEFAULT extract(epoch FROM clock_timestamp())
""",
)
"""Steps of the schema, as of a file."""


def cache_file(path: Path) -> Sqlite:
    """The database at ``path`` that holds replies, and who is asking for which.

    Raises:
        StorageError: it cannot be used.
    """
    return Sqlite(path, _CACHE, "the call cache", "its answers are then asked for and paid again")


def ledger_file(path: Path | None) -> Sqlite:
    """The database at ``path`` (None: in memory) that holds the account of one run.

    Raises:
        StorageError: it cannot be used.
    """
    return Sqlite(path, _LEDGER, "the ledger", "what the run has spent does not count any more then")
