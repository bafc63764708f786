"""docs/scorers.md says what the docstrings say, and its examples run."""

from __future__ import annotations

import doctest
import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from scorers._builtin import BUILTIN

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_scorers", ROOT / "tools" / "docs_scorers.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules["docs_scorers"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_every_scorer_has_an_example(tool: ModuleType) -> None:
    assert tool.without_example() == []


def test_the_page_is_up_to_date(tool: ModuleType) -> None:
    assert tool.PAGE.read_text("utf-8") == tool.page(), "run python tools/docs_scorers.py"


def test_every_example_on_the_page_runs(tool: ModuleType) -> None:
    failed, tried = doctest.testfile(str(tool.PAGE), module_relative=False)
    assert failed == 0
    assert tried > 2 * len(BUILTIN)


def test_every_scorer_has_a_section_with_its_options(tool: ModuleType) -> None:
    text = tool.page()
    for name in BUILTIN:
        assert f"\n### {name}\n" in text
    label_match = text.split("\n### label_match\n")[1].split("\n### ")[0]
    assert "| `strict` | `bool` | `False` | Only the label as it is written counts" in label_match


def test_a_scorer_without_an_example_is_named(
    tool: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    class Bare:
        """Says nothing."""

    monkeypatch.setattr(tool, "builtin", lambda: {"bare": Bare})
    assert tool.main(["--check"]) == 2
    assert "no 'Example:' in their docstring: bare" in capsys.readouterr().err


def test_check_tells_an_old_page(tool: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tool, "PAGE", tmp_path / "docs" / "scorers.md")
    assert tool.main(["--check"]) == 1
    assert tool.main([]) == 0
    assert tool.main(["--check"]) == 0
