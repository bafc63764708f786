import doctest
import importlib
import pkgutil
import subprocess
import sys
from types import SimpleNamespace

import pytest

import scorers
from scorers import Answer, NoCompleteError, Question, _builtin, _complete, correctness

MODULES = sorted(m.name for m in pkgutil.walk_packages(scorers.__path__, "scorers."))


def run(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_all_is_sorted_and_what_can_be_imported():
    assert scorers.__all__ == sorted(scorers.__all__)
    public = {n for n in vars(scorers) if not n.startswith(("_", "@"))}  # "@": what pytest adds
    assert set(scorers.__all__) <= set(dir(scorers))
    for name in scorers.__all__:
        assert getattr(scorers, name) is not None
    modules = {"annotations", "TYPE_CHECKING", "Any", "LAZY"}
    modules |= {"testing", "mlflow", "dspy", "pytest_plugin", "running"}
    assert public - modules <= set(scorers.__all__)
    assert set(_builtin.LAZY) <= set(scorers.__all__)


def test_unknown_attribute():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = scorers.nothing


def test_import_loads_the_standard_library_only():
    loaded = run(
        "import sys; before = set(sys.modules); import scorers\n"
        "print(*{m.partition('.')[0] for m in set(sys.modules) - before})"
    )
    assert set(loaded) - set(sys.stdlib_module_names) == {"scorers"}


def test_import_loads_no_scorer_before_it_is_used():
    assert run("import sys, scorers; print(*[m for m in sys.modules if m.startswith('scorers.')])") == [
        "scorers._builtin",
        "scorers._types",
    ]


def test_using_everything_loads_the_standard_library_only():
    loaded = run(
        "import sys; before = set(sys.modules); import scorers, scorers.testing\n"
        "[getattr(scorers, name) for name in scorers.__all__]; scorers.names()\n"
        "scorers.label_match()(output='é', expected='é')\n"
        "print(*{m.partition('.')[0] for m in set(sys.modules) - before})"
    )
    assert set(loaded) - set(sys.stdlib_module_names) == {"scorers"}


@pytest.mark.parametrize("module", MODULES)
def test_examples_in_docstrings(module):
    assert doctest.testmod(importlib.import_module(module)).failed == 0


def test_every_scorer_has_an_example():
    for module, kind in _builtin.BUILTIN.values():
        assert ">>>" in getattr(importlib.import_module(module), kind).__doc__


# --- how judges reach a model by default


@pytest.fixture
def nothing_chosen(monkeypatch):
    monkeypatch.setattr(_complete, "_chosen", None)
    monkeypatch.setattr(_complete, "_found", None)


@pytest.fixture
def installed(monkeypatch, nothing_chosen):
    modules = {}
    monkeypatch.setattr(_complete, "module", modules.get)
    return modules


def ask(**options):
    return correctness(model="x/y", **options)(output="Rome", expected="Paris")


async def always_correct(question):
    return Answer(text="VERDICT: CORRECT")


async def always_incorrect(question):
    return Answer(text="VERDICT: INCORRECT")


def test_a_chosen_default_and_an_own_complete(installed):
    scorers.set_default_complete(always_correct)
    assert ask().value == 1.0
    assert ask(complete=always_incorrect).value == 0.0
    scorers.set_default_complete(None)
    with pytest.raises(NoCompleteError, match=r"pass complete=\.\.\."):
        ask()


def test_nothing_is_looked_for_where_no_model_is_needed(installed):
    assert correctness(model="x/y")(output="Paris", expected="Paris").value == 1.0


def test_the_door_of_promptmigrate_is_used_if_it_is_there(installed):
    sent = []

    class Door:
        @classmethod
        def open(cls):
            return cls()

        def close(self):
            pass

        async def acomplete(self, request):
            sent.append(request)
            answered = len(sent) == 1
            return SimpleNamespace(
                answered=answered, text="VERDICT: CORRECT" if answered else None,
                kind="ok" if answered else "timeout", error=None, cost_usd=0.1,
                input_tokens=5, output_tokens=2,
            )  # fmt: skip

    installed["promptmigrate.lm"] = SimpleNamespace(Door=Door)
    installed["promptmigrate.types"] = SimpleNamespace(Request=SimpleNamespace)
    score = ask()
    assert (score.value, score.cost_usd, score.input_tokens) == (1.0, 0.1, 5)
    assert (sent[0].model, sent[0].purpose, sent[0].params) == ("x/y", "judge", {"max_tokens": 1024})
    assert ask().rationale == "timeout: no answer"


def test_the_request_that_the_door_gets_is_a_real_one(nothing_chosen):
    from promptmigrate.types import Request

    question = correctness(model="x/y").ask(scorers.Sample(output="Rome", expected="Paris"))
    assert isinstance(question, Question)
    request = Request(model=question.model, messages=tuple(question.messages), params={}, purpose="judge")
    assert request.purpose == "judge"


def test_else_litellm(installed, monkeypatch):
    monkeypatch.delenv("LITELLM_LOCAL_MODEL_COST_MAP", raising=False)
    calls = []

    async def acompletion(**options):
        calls.append(options)
        if len(calls) > 1:
            raise RuntimeError("no such model")
        message = SimpleNamespace(content="VERDICT: CORRECT")
        usage = SimpleNamespace(prompt_tokens=4, completion_tokens=2)
        return SimpleNamespace(choices=[SimpleNamespace(message=message)], usage=usage)

    def completion_cost(response):
        raise ValueError("price unknown")

    installed["litellm"] = SimpleNamespace(acompletion=acompletion, completion_cost=completion_cost)
    score = ask()
    assert (score.value, score.cost_usd, score.input_tokens) == (1.0, None, 4)
    assert ask().rationale == "RuntimeError: no such model"
    assert calls[0]["model"] == "x/y"
    import os

    assert os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] == "True"
