"""Every built-in strategy keeps the contract that plug-ins have to keep."""

from promptmigrate.search import names
from promptmigrate.search.testing import StrategyContract


class TestCopro(StrategyContract):
    strategy = "copro"


class TestFewShot(StrategyContract):
    strategy = "fewshot"


class TestFewShotOptuna(StrategyContract):
    strategy = "fewshot-optuna"


class TestGepa(StrategyContract):
    strategy = "gepa"


class TestMetaprompt(StrategyContract):
    strategy = "metaprompt"


class TestMipro(StrategyContract):
    strategy = "mipro"


class TestRandom(StrategyContract):
    strategy = "random"


class TestReflective(StrategyContract):
    strategy = "reflective"
    deterministic = True


class TestSimba(StrategyContract):
    strategy = "simba"


def test_none_is_left_out():
    tested = {cls.strategy for cls in StrategyContract.__subclasses__()}
    assert set(names()) <= tested
