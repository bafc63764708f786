"""Every exception that promptmigrate raises on purpose.

::

    PromptMigrateError                exit code 1: the tool broke
    ├── UsageError                    exit code 2: something given to us is wrong; nothing was spent
    │   ├── ConfigError               the experiment file: file, line, key
    │   ├── DataError                 traces or a data file: file, row, key
    │   ├── TemplateError             a prompt or its variables
    │   ├── RouteError                a route file
    │   ├── EndpointError             an endpoint that is unreachable, refuses the key or lacks the model
    │   └── StorageError              a folder or store that cannot be read or written
    ├── EndpointDown                  exit code 1: an endpoint stopped answering; the run can go on later
    ├── BudgetExceeded                exit code 3: the next call would go over a budget
    └── CallFailed                    a model call that ended without an answer (gateway callers see it)

A message is one sentence: what is wrong, where, and what to do.
"""

from __future__ import annotations

from pathlib import Path


class PromptMigrateError(Exception):
    """Base of all errors raised on purpose; ``exit_code`` is what the command line returns."""

    exit_code = 1


class UsageError(PromptMigrateError):
    """Something that the user gave is wrong. Raised before anything is spent."""

    exit_code = 2


class ConfigError(UsageError):
    """The experiment file is wrong.

    ``file``, ``line`` (1-based) and ``key`` (dotted path) say where, as far as known; ``message`` says what.
    """

    def __init__(
        self, message: str, *, file: str | Path | None = None, line: int | None = None, key: str | None = None
    ) -> None:
        self.message, self.file, self.line, self.key = message, file, line, key
        where = str(file) if file else ""
        if where and line:
            where += f":{line}"
        super().__init__(f"{where}: {message}" if where else message)


class DataError(UsageError):
    """A data file or trace store is unusable. ``row`` is 1-based."""

    def __init__(self, message: str, *, file: str | Path | None = None, row: int | None = None) -> None:
        self.file, self.row = file, row
        where = str(file) if file else ""
        if row is not None:
            where += f"{', ' if where else ''}row {row}"
        super().__init__(f"{where}: {message}" if where else message)


class TemplateError(UsageError):
    """A prompt template cannot be used, or a rendering lacks a variable."""


class RouteError(UsageError):
    """A route file cannot be used."""


class EndpointError(UsageError):
    """An endpoint is unreachable, refuses the key, or does not serve the model.

    ``key`` (dotted path) is the setting in the experiment that it hangs on, as far as it is one.
    """

    def __init__(self, message: str, *, key: str | None = None) -> None:
        self.key = key
        super().__init__(message)


class StorageError(UsageError):
    """A folder, file or store cannot be read or written."""


class EndpointDown(PromptMigrateError):  # noqa: N818 - it was up before
    """An endpoint that answered before has answered nothing for long; what was answered is kept."""


class BudgetExceeded(PromptMigrateError):  # noqa: N818 - the word users know
    """The next call would go over a budget; it was not sent.

    ``limit`` is the key under ``budget`` that can be raised, as far as it is one alone; ``message`` is the
    sentence without that advice.
    """

    exit_code = 3

    def __init__(self, message: str, *, limit: str | None = None) -> None:
        self.message, self.limit = message, limit
        super().__init__(message if limit is None else f"{message}; raise budget.{limit}")


class CallFailed(PromptMigrateError):  # noqa: N818 - the word users know
    """A model call ended without an answer.

    ``kind`` is the outcome kind (see :data:`promptmigrate.types.OutcomeKind`), ``status`` the HTTP status
    if there was one, ``attempts`` how many requests were sent.
    """

    def __init__(self, message: str, *, kind: str, status: int | None = None, attempts: int = 1) -> None:
        self.kind, self.status, self.attempts = kind, status, attempts
        super().__init__(message)
