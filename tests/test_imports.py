"""What may be loaded when: the promises about cheap imports and one-way layers."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import promptmigrate

HEAVY = (
    "mlflow", "dspy", "litellm", "optuna", "pandas", "sklearn", "scipy", "datasets", "ray", "gepa", "pyarrow",
)  # fmt: skip


def loaded_by(code: str) -> set[str]:
    """Top-level modules that a fresh interpreter has loaded after ``code``."""
    script = f"{code}\nimport sys, json; print(json.dumps(sorted({{m.split('.')[0] for m in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    "code",
    [
        "import scorers",
        "import promptmigrate",
        "import promptmigrate.gateway",
        "from promptmigrate.gateway import Gateway",
        "import promptmigrate.cli.app",
        "from promptmigrate.config import load_config",
        "from promptmigrate import Prompt, Variant",
    ],
)
def test_nothing_heavy_is_loaded(code: str):
    assert loaded_by(code) & set(HEAVY) == set()


def test_scorers_need_only_the_standard_library():
    third_party = {name for name in loaded_by("import scorers") if name not in sys.stdlib_module_names}
    # what site-packages' own start-up hooks load is there without us, too
    assert third_party - loaded_by("pass") == {"scorers"}


def test_public_names_exist_and_are_sorted():
    assert promptmigrate.__all__ == sorted(promptmigrate.__all__)
    for name in promptmigrate.__all__:
        assert getattr(promptmigrate, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'migrat'"):
        _ = promptmigrate.migrat


def test_the_search_does_not_know_the_simulator():
    code = "import promptmigrate.decide, scorers, promptmigrate.search as s; s.strategy('reflective')"
    script = f"{code}\nimport sys; print([m for m in sys.modules if m.startswith('promptmigrate.simulate')])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
