"""code_compiles: the output is code that its language's parser accepts."""

from __future__ import annotations

import ast
import logging
import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from scorers._errors import ScorerSpecError, nearest
from scorers._extras import needed
from scorers._measures._valid import CannotTellError, Problem, Valid
from scorers._text import clip

_FILE = "<scored output>"
_LONGEST = {"python": 200_000, "sql": 50_000}
"""Characters; what the parsers build from longer texts can fill the memory."""
_MAX_DEPTH = 60
"""Open brackets of SQL, which a parser meets with as many calls inside each other."""
_STEPS_AT_ONCE, _STEPS_PER_CHARACTER = 2_000, 20
"""Tokens that sqlglot may look at. It tries one reading after the other, which can double the time with every
bracket; ordinary statements need less than one per character."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeCompiles(Valid):
    """1.0 where the output parses as code, else 0.0. It is never run.

    Python is read by Python's own parser, into a syntax tree and no further; SQL by sqlglot
    (``promptmigrate[sql]``), in any of its dialects. Names and types are not checked. Python of more than
    200,000 characters, SQL of more than 50,000 and what is nested too deeply is unscored (``timeout``); so
    is SQL that sqlglot passes through without understanding it (``error``, kind ``unknown_statement``).

    Kinds of evidence: ``match``, ``empty``, ``syntax_error`` (``at`` is the place), ``fenced_code``,
    ``not_a_statement`` (SQL: an expression or a bare name).

    Example:
        >>> from scorers import code_compiles
        >>> code_compiles()(output="def f(x):\\n    return x + 1").value
        1.0
        >>> score = code_compiles(allow_fences=True)(output="```python\\nprint('a'\\n```")
        >>> score.value, score.evidence["kind"]
        (0.0, 'syntax_error')
    """

    name: str = "code_compiles"
    language: Literal["python", "sql"] = "python"
    dialect: str | None = None
    """sqlglot's name of the SQL dialect (``postgres``, ``bigquery``, ``tsql``, ...); by default its own,
    which accepts most of them."""

    def _check(self) -> None:
        if self.language == "sql":
            sqlglot = needed("sqlglot", scorer=f"{self.name} for SQL", install="promptmigrate[sql]")
            known = [dialect.value for dialect in sqlglot.Dialects if dialect.value]
            if self.dialect is not None and self.dialect not in known:
                raise ScorerSpecError(
                    f"{self.name}: sqlglot has no dialect {self.dialect!r}{nearest(self.dialect, known)}; "
                    f"it has {', '.join(known)}",
                    key="dialect",
                )
        elif self.dialect is not None:
            raise ScorerSpecError(f"{self.name}: 'dialect' is for SQL only", key="dialect")

    def _format(self) -> str:
        return "code"

    def _problem(self, text: str) -> Problem | None:
        longest = _LONGEST[self.language]
        if len(text) > longest:
            raise CannotTellError(f"code of more than {longest} characters is not parsed")
        return _python(text) if self.language == "python" else _sql(self.name, text, self.dialect)


def _python(text: str) -> Problem | None:
    # The parser warns of odd escapes; they are the output's affair and must not reach the caller's log, nor
    # become errors where warnings are. Swapping all filters for a moment would not be safe across threads.
    if not any(action == "ignore" and _is_ours(module) for action, _, _, module, _ in warnings.filters[:20]):
        warnings.filterwarnings("ignore", module=re.escape(_FILE))
    try:
        compile(text, _FILE, "exec", flags=ast.PyCF_ONLY_AST, dont_inherit=True)
    except SyntaxError as error:
        at = f"line {error.lineno}" if error.lineno else ""
        why = f"{clip(error.msg, 100)}{' at ' + at if at else ''}"
        return Problem(kind="syntax_error", why=why, evidence={"at": at} if at else {})
    except (RecursionError, MemoryError):
        raise CannotTellError("it is nested too deeply for the parser") from None
    except ValueError as error:  # null bytes, lone surrogates, numbers with too many digits
        return Problem(kind="syntax_error", why=clip(str(error), 100))
    return None


def _is_ours(module: Any) -> bool:
    return bool(module is not None and getattr(module, "pattern", "") == re.escape(_FILE))


def _sql(who: str, text: str, dialect: str | None) -> Problem | None:
    sqlglot = needed("sqlglot", scorer=who, install="promptmigrate[sql]")
    if _depth(text) > _MAX_DEPTH:
        raise CannotTellError(f"more than {_MAX_DEPTH} brackets are open at once")
    read = sqlglot.Dialect.get_or_raise(dialect)
    parser = _counting(read.parser_class)(dialect=read)
    steps = _steps.left = _STEPS_AT_ONCE + _STEPS_PER_CHARACTER * len(text)
    try:
        with _quiet():
            found = [part for part in parser.parse(read.tokenize(text), text) if part is not None]
    except _TooManyStepsError:
        raise CannotTellError(f"sqlglot looked at more than {steps} tokens without an end") from None
    except sqlglot.errors.SqlglotError as error:
        first = (getattr(error, "errors", None) or [{}])[0]
        at = f"line {first['line']} column {first['col']}" if first.get("line") else ""
        why = clip(first.get("description") or str(error).partition("\n")[0], 120)
        return Problem(
            kind="syntax_error", why=f"{why}{' at ' + at if at else ''}", evidence={"at": at} if at else {}
        )
    except RecursionError:
        raise CannotTellError("it is nested too deeply for the parser") from None
    if not found:
        return Problem(kind="not_a_statement", why="there is no statement, only comments")
    for statement in found:
        if isinstance(statement, sqlglot.exp.Command):
            raise CannotTellError(
                f"sqlglot does not know the statement {clip(statement.sql(), 60)!r} in this dialect",
                reason="error",
                kind="unknown_statement",
            )
        if isinstance(statement, sqlglot.exp.Select) and not statement.expressions:
            return Problem(kind="not_a_statement", why="it selects nothing")
        if isinstance(
            statement, sqlglot.exp.Condition | sqlglot.exp.Alias | sqlglot.exp.Tuple
        ) and not isinstance(statement, sqlglot.exp.Query):
            return Problem(kind="not_a_statement", why="it is an expression, not a statement")
    return None


class _TooManyStepsError(Exception):
    pass


class _Steps(threading.local):
    left = 0
    quiet = False


_steps = _Steps()


@cache
def _counting(parser: Any) -> Any:
    """sqlglot's parser, stopped when it has looked at too many tokens."""

    def advance(self: Any, times: int = 1) -> None:
        _steps.left -= 1
        if _steps.left < 0:
            raise _TooManyStepsError
        parser._advance(self, times)

    return type(parser)("Counting", (parser,), {"_advance": advance, "__slots__": ()})


@contextmanager
def _quiet() -> Iterator[None]:
    """sqlglot logs what it passes through; the score says so, and a log line per output would be noise."""
    logger = logging.getLogger("sqlglot")
    if _drop not in logger.filters:
        logger.addFilter(_drop)
    _steps.quiet = True
    try:
        yield
    finally:
        _steps.quiet = False


def _drop(_: logging.LogRecord) -> bool:
    return not _steps.quiet


def _depth(text: str) -> int:
    depth = most = 0
    for mark in re.findall(r"[()\[\]{}]", text):
        depth = depth + 1 if mark in "([{" else max(0, depth - 1)
        most = max(most, depth)
    return most


code_compiles = CodeCompiles
