import json
from importlib.metadata import EntryPoint

import pytest

import scorers
from scorers import Sample, ScorerSpecError, _registry, from_spec, names, to_spec
from scorers.testing import ScorerContract
from tests.scorers import plugins

HERE = "tests.scorers.plugins"


@pytest.mark.parametrize(
    ("spec", "same"),
    [
        ({"use": "label_match", "labels": ["a", "b"]}, scorers.label_match(labels=("a", "b"))),
        ({"use": "exact_match", "extract": "the answer is"}, scorers.exact_match(extract="the answer is")),
        ({"use": "contains", "texts": ["x"], "mode": "none"}, scorers.contains(texts=["x"], mode="none")),
        ({"use": "regex", "pattern": "a+", "name": "as"}, scorers.regex(pattern="a+", name="as")),
        ({"use": "json_match", "tolerance": 1}, scorers.json_match(tolerance=1.0)),
        ({"use": "numeric_match"}, scorers.numeric_match()),
        ({"use": "equivalence", "judge": "x/y"}, scorers.equivalence(model="x/y")),
        (
            {"use": "correctness", "judge": "x/y", "max_tokens": 9},
            scorers.correctness(model="x/y", max_tokens=9),
        ),
        (
            {"use": "guidelines", "judge": "x/y", "guidelines": ["a"]},
            scorers.guidelines(model="x/y", guidelines=["a"]),
        ),
    ],
)
def test_yaml_and_python_give_the_same_object(spec, same):
    built = from_spec(spec)
    assert built == same
    assert type(built) is type(same)
    assert hash(built) == hash(same)
    described = to_spec(same)
    assert from_spec(json.loads(json.dumps(described))) == same
    assert described == spec


def test_a_bare_name_will_do():
    assert from_spec("exact_match") == scorers.exact_match()


def test_the_field_name_of_an_aliased_option_is_known_too():
    assert from_spec({"use": "equivalence", "model": "x/y"}) == scorers.equivalence(model="x/y")
    with pytest.raises(ScorerSpecError, match="the same option"):
        from_spec({"use": "equivalence", "model": "x/y", "judge": "x/z"})


@pytest.mark.parametrize(
    ("spec", "message", "key"),
    [
        ({"use": "label_macth"}, r"there is no scorer 'label_macth' \(did you mean 'label_match'\?\)", "use"),
        ({"use": "label_match", "lables": []}, r"no option 'lables' \(did you mean 'labels'\?\)", "lables"),
        ({"use": "json_match", "tolerance": "x"}, "'tolerance' must be a number, got 'x'", "tolerance"),
        ({"use": "json_match", "ignore": "x"}, "'ignore' must be a list of texts", "ignore"),
        ({"use": "json_match", "ignore_case": 1}, "must be true or false", "ignore_case"),
        ({"use": "exact_match", "name": 3}, "'name' must be a text", "name"),
        ({"use": "contains", "mode": "some"}, "one of all, any, none", "mode"),
        ({"use": "equivalence"}, "asks a model: name it", "judge"),
        ({"use": "equivalence", "judge": "x/y", "max_tokens": 1.5}, "a whole number", "max_tokens"),
        ({"use": "equivalence", "judge": "x/y", "complete": 1}, "no option 'complete'", "complete"),
        ({}, "needs 'use'", "use"),
        ({"use": 3}, "needs 'use'", "use"),
        ({"use": f"{HERE}:nothing"}, "plugins:nothing cannot be loaded: AttributeError", "use"),
        ({"use": "no_such_module:x"}, "no_such_module:x cannot be loaded: ModuleNotFound", "use"),
        ({"use": f"{HERE}:number"}, "is a int, not a scorer", "use"),
        ({"use": f"{HERE}:not_a_scorer"}, "which is no scorer", "use"),
        ({"use": f"{HERE}:MaxWords", "mots": 3}, "did you mean 'most'", "mots"),
        ({"use": f"{HERE}:ready", "most": 3}, "it has no options", "most"),
        ({"use": f"{HERE}:Described", "size": -1}, "cannot be built: KeyError", None),
        ({"use": f"{HERE}:Described"}, "cannot be built: TypeError", None),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(spec, message, key):
    with pytest.raises(ScorerSpecError, match=message) as caught:
        from_spec(spec)
    assert caught.value.key == key


def test_plug_in_class_instance_and_factory():
    assert from_spec({"use": f"{HERE}:MaxWords", "most": 2}) == plugins.MaxWords(most=2)
    assert to_spec(plugins.MaxWords(most=2)) == {"use": f"{HERE}:MaxWords", "most": 2}
    assert from_spec({"use": f"{HERE}:ready"}) is plugins.ready
    assert from_spec({"use": f"{HERE}:factory", "most": 4}) == plugins.MaxWords(most=4)
    assert to_spec(from_spec({"use": f"{HERE}:Described", "size": 3})) == {
        "use": f"{HERE}:Described",
        "size": 3,
    }


def test_a_function_is_a_scorer():
    scorer = from_spec({"use": f"{HERE}:shorter"})
    assert (scorer.name, scorer(output="a", expected="ab").value) == ("shorter", 1.0)
    assert scorer(output="abc", expected="ab").evidence["kind"] == "not_met"
    broken = scorer(output=None, expected="ab")
    assert broken.unscored == "error"
    assert "TypeError" in broken.rationale
    assert to_spec(from_spec({"use": f"{HERE}:shorter", "name": "len"})) == {
        "use": f"{HERE}:shorter",
        "name": "len",
    }
    anything = from_spec(f"{HERE}:anything")
    assert anything(output=1).name == "mine"
    assert anything(output=1, inputs={}).value == 0.25


def test_a_function_whose_value_is_out_of_range_is_unscored(monkeypatch):
    monkeypatch.setattr(plugins, "shorter", lambda output: 7)
    score = from_spec(f"{HERE}:shorter")(output="x")
    assert score.unscored == "error"
    assert "[0, 1]" in score.rationale


def test_what_has_no_spec_says_so():
    class Inner(plugins.MaxWords):
        pass

    with pytest.raises(ScorerSpecError, match="inside a function"):
        to_spec(Inner())

    class Plain:
        name = version = "x"

        def __call__(self, *, output, expected=None, inputs=None, trace=None):
            raise AssertionError

    with pytest.raises(ScorerSpecError, match="method spec"):
        to_spec(Plain())


@pytest.fixture
def entry_points(monkeypatch):
    points = {
        "max_words": EntryPoint("max_words", f"{HERE}:MaxWords", _registry.GROUP),
        "broken": EntryPoint("broken", "no_such_module:Scorer", _registry.GROUP),
        "label_match": EntryPoint("label_match", f"{HERE}:MaxWords", _registry.GROUP),
    }
    monkeypatch.setattr(_registry, "_entry_points", lambda: points)


@pytest.mark.usefixtures("entry_points")
def test_entry_points():
    assert from_spec({"use": "max_words", "most": 9}) == plugins.MaxWords(most=9)
    assert to_spec(plugins.MaxWords(most=9)) == {"use": "max_words", "most": 9}
    assert "max_words" in names()
    assert type(from_spec("label_match")) is scorers.LabelMatch, "a plug-in cannot replace a built-in scorer"


@pytest.mark.usefixtures("entry_points")
def test_a_broken_entry_point_is_named_when_asked_for():
    assert "broken" in names()
    with pytest.raises(ScorerSpecError, match=r"plug-in broken \(entry point no_such_module:Scorer\) cannot"):
        from_spec("broken")


def test_entry_points_are_really_looked_up(tmp_path, monkeypatch):
    info = tmp_path / "someones_scorers-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: someones-scorers\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{_registry.GROUP}]\nsomeones = {HERE}:MaxWords\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    _registry._entry_points.cache_clear()
    try:
        assert from_spec("someones") == plugins.MaxWords()
    finally:
        _registry._entry_points.cache_clear()


def test_names_are_sorted_and_all_built_in_ones_exist():
    assert list(names()) == sorted(names())
    for name in _registry.BUILTIN:
        assert getattr(scorers, name).__name__ == _registry.BUILTIN[name][1]
        assert getattr(scorers, name) is getattr(scorers, _registry.BUILTIN[name][1])


# --- the contract finds what it is there to find


class Sloppy:
    name = "sloppy"
    version = "1"

    def __call__(self, *, output, expected=None, inputs=None, trace=None):
        return scorers.Score(name="another", value=float(len(output) > 1), evidence={"kind": "x"})


class SloppyContract(ScorerContract):
    good = Sample(output="x", expected="x")
    bad = Sample(output="yyy", expected="x")

    def make(self):
        return Sloppy()


@pytest.mark.parametrize(
    ("test", "error"),
    [
        ("test_any_output_gives_a_score", (AssertionError, TypeError)),
        ("test_good_and_bad", AssertionError),
        ("test_no_expected_is_unscored", AssertionError),
        ("test_spec_round_trip", ScorerSpecError),
    ],
)
def test_the_contract_can_fail(test, error):
    with pytest.raises(error):
        getattr(SloppyContract(), test)()


class TestMaxWords(ScorerContract):
    good = Sample(output="one two")
    needs_expected = False

    def make(self):
        return plugins.MaxWords(most=4)

    def test_any_output_gives_a_score(self):
        with pytest.raises(RuntimeError, match="cannot be shown"):
            super().test_any_output_gives_a_score()

    test_any_expected_gives_a_score = None
