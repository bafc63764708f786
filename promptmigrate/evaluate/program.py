"""Programs: Python code that asks its model with several prompts, by name.

A program is called as ``program(ask, **inputs)`` and gives a text. ``ask(name, **variables)`` renders the
prompt of that name as the running Variant has it, asks the Variant's model through the Door and gives the
answer; in an ``async`` program it is awaited. So every call is cached, counted, limited and retried like any
other, and the program knows neither models nor prompts.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from promptmigrate.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Program:
    """A callable that asks with prompts by name."""

    name: str
    """Where it is found: ``module:attribute``."""
    call: Callable[..., Any]
    """Takes ``ask`` and then the inputs by their names."""
    inputs: tuple[str, ...]
    """Its parameters without a default: the variables that every row must have."""
    asynchronous: bool = False
    source: Callable[..., Any] | None = None
    """The function that a reader would look at; None: ``call``."""

    @classmethod
    def of(cls, target: Any, *, name: str) -> Program:
        """The program that ``target`` is: a function, a method, an object that can be called (such as a
        ``dspy.Module``), or a class of such objects that needs no arguments.

        Raises:
            ConfigError: it is none of these, or does not take ``ask`` and named inputs.
        """
        if inspect.isclass(target):
            try:
                target = target()
            except TypeError as error:
                raise ConfigError(
                    f"program: {name} is a class that cannot be made without arguments ({error}); name an "
                    "object of it instead",
                    key="program",
                ) from error
        if not callable(target):
            raise ConfigError(
                f"program: {name} is a {type(target).__name__}, not something that can be called",
                key="program",
            )
        call, source = _entry(target)
        return cls(
            name=name,
            call=call,
            source=source,
            inputs=_inputs(source, name),
            asynchronous=inspect.iscoroutinefunction(source),
        )

    @cached_property
    def named(self) -> frozenset[str]:
        """Prompts that its source text asks for by a plain name; empty where there is no source to read."""
        source = self.source or self.call
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(source)))
            first = next(iter(inspect.signature(source).parameters))
        except (OSError, TypeError, SyntaxError, StopIteration):
            return frozenset()
        return frozenset(
            node.args[0].value
            for node in ast.walk(tree)
            if isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id == first
            and node.args
            and isinstance(node.args[0], ast.Constant)
            and isinstance(node.args[0].value, str)
        )


def _entry(target: Any) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """What to call, and the function whose parameters count.

    A ``dspy.Module`` is called as such (it runs its callbacks), and says in ``forward`` or ``aforward`` what
    it takes.
    """
    if inspect.isroutine(target):
        return target, target
    for method, entry in (("forward", "__call__"), ("aforward", "acall")):
        if inspect.isroutine(getattr(target, method, None)) and hasattr(target, entry):
            return getattr(target, entry), getattr(target, method)
    return target, target.__call__


def _inputs(source: Callable[..., Any], name: str) -> tuple[str, ...]:
    kinds = inspect.Parameter
    try:
        parameters = list(inspect.signature(source).parameters.values())
    except (TypeError, ValueError) as error:
        raise ConfigError(f"program: the parameters of {name} cannot be read", key="program") from error
    if not parameters or parameters[0].kind not in (kinds.POSITIONAL_ONLY, kinds.POSITIONAL_OR_KEYWORD):
        raise ConfigError(
            f"program: {name} must take 'ask' first and then its inputs, as in def answer(ask, ticket)",
            key="program",
        )
    asked = [p for p in parameters[1:] if p.kind in (kinds.POSITIONAL_OR_KEYWORD, kinds.KEYWORD_ONLY)]
    needed = tuple(p.name for p in asked if p.default is kinds.empty)
    if not needed or any(p.kind is kinds.POSITIONAL_ONLY for p in parameters[1:]):
        raise ConfigError(
            f"program: {name} must name its inputs as parameters after 'ask', as in "
            "def answer(ask, ticket): the rows are read by these names",
            key="program",
        )
    return needed
