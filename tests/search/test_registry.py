import subprocess
import sys

import pytest

import promptmigrate.search
from promptmigrate.errors import UsageError
from promptmigrate.search import Strategy, names, strategy


def test_built_in_strategies_are_found_by_name():
    assert {"reflective", "gepa"} <= set(names())
    for name in ("reflective", "gepa"):
        made = strategy(name)
        assert isinstance(made, Strategy) and made.name == name


def test_an_unknown_name_gets_the_nearest():
    with pytest.raises(UsageError, match="did you mean 'reflective'"):
        strategy("reflexive")


def test_what_is_exported_is_what_is_said():
    exported = promptmigrate.search.__all__
    assert list(exported) == sorted(exported)
    assert all(hasattr(promptmigrate.search, name) for name in exported)


def run(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_search_never_imports_the_simulator_and_stays_light():
    heavy = (
        "('dspy', 'gepa', 'litellm', 'mlflow', 'optuna', 'pandas', 'scipy', 'numpy', 'sklearn', 'datasets')"
    )
    code = (
        "import sys, pkgutil, importlib, promptmigrate.search as s\n"
        f"print([m for m in {heavy} if m in sys.modules])\n"
        "for m in pkgutil.walk_packages(s.__path__, 'promptmigrate.search.'):\n"
        "    importlib.import_module(m.name)\n"
        "print([m for m in sys.modules if m.startswith('promptmigrate.simulate')])"
    )
    assert run(code) == "[]\n[]"


def test_problems_are_checked():
    from .world import tickets

    with pytest.raises(UsageError, match="no validation rows"):
        tickets().problem(10, validation=())
    with pytest.raises(UsageError, match="may_change has tone"):
        tickets().problem(10, may_change=frozenset({"tone"}))
