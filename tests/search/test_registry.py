import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

import promptmigrate.search
from promptmigrate.errors import UsageError
from promptmigrate.search import Strategy, names, registry, strategy

BUILT_IN = (
    "copro", "fewshot", "fewshot-optuna", "gepa", "metaprompt", "mipro", "random", "reflective", "simba",
)  # fmt: skip


def test_built_in_strategies_are_found_by_name():
    assert set(BUILT_IN) <= set(names())
    assert list(names()) == sorted(names())
    for name in BUILT_IN:
        made = strategy(name)
        assert isinstance(made, Strategy) and made.name == name


def test_every_strategy_has_a_section_in_the_docs():
    page = (Path(__file__).parents[2] / "docs" / "strategies.md").read_text(encoding="utf-8")
    sections = {line[3:].strip(" `") for line in page.splitlines() if line.startswith("## ")}
    assert set(BUILT_IN) <= sections


class Mine:
    name = "mine"

    def search(self, problem):
        raise NotImplementedError


def refuses():
    raise RuntimeError("no licence for sk-SECRET1234567890abcdef")


def test_plug_ins_are_found_and_broken_ones_are_named(monkeypatch):
    def plugged(group):
        assert group == registry.GROUP
        return [
            EntryPoint(name, value, group)
            for name, value in {
                "mine": f"{__name__}:Mine",
                "gone": "there.is.no.such:module",
                "absent": f"{__name__}:Nobody",
                "refuses": f"{__name__}:refuses",
                "hollow": "builtins:dict",
                "random": f"{__name__}:Mine",
            }.items()
        ]

    monkeypatch.setattr(registry, "entry_points", plugged)
    assert strategy("mine").name == "mine"
    assert strategy("random").name == "random"
    assert {"mine", "gone"} <= set(names())
    for name, said in {
        "gone": "there.is.no.such",
        "absent": "Nobody",
        "refuses": r"no licence for \[SECRET\]",
        "hollow": "has no name and search",
    }.items():
        with pytest.raises(UsageError, match=f"strategy '{name}' of .*{said}"):
            strategy(name)
    with pytest.raises(UsageError, match="did you mean 'mine'"):
        strategy("mime")


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
