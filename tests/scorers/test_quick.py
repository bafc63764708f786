"""The quick way to a value gives what the whole work gives; the rest of a Score is told when it is read."""

import copy
import dataclasses
import json
import pickle

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import scorers
from scorers import Sample, Score, _json, _similarity
from scorers._types import late

KEYS = st.sampled_from(["a", "b", "", "a.b", 'a"]["b'])
SCALARS = st.none() | st.booleans() | st.integers(-3, 3) | st.floats(allow_nan=False)
JSON = st.recursive(
    SCALARS | st.sampled_from('aé\u0301"'),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)
TEXT = st.text(alphabet=st.sampled_from("abAB 1.,-\n\té\u0301\x1c_@[]{}\"'"), max_size=30)
ANY = (
    TEXT | st.text(max_size=8) | JSON | st.builds(json.dumps, JSON) | st.just(float("inf")) | st.just(10**400)
)
QUICK = {
    "exact": scorers.exact_match(),
    "exact, loosely": scorers.exact_match(ignore_case=True, strip=False),
    "exact, marked": scorers.exact_match(extract="answer"),
    "label": scorers.label_match(labels=["a", "b"]),
    "label, strict": scorers.label_match(strict=True),
    "numbers": scorers.numeric_match(),
    "JSON": scorers.json_valid(),
    "JSON object": scorers.json_valid(type="object", unique_keys=True),
    "fields": scorers.json_match(),
    "all fields": scorers.json_match(metric="exact"),
    "found fields": scorers.json_match(metric="recall"),
    "edits": scorers.levenshtein(),
    "few edits": scorers.levenshtein(threshold=0.7, strip=False),
    "pattern": scorers.regex(pattern=r"[a-z]+\s*\d*", mode="full"),
    "no pattern": scorers.regex(pattern="a", mode="none"),
    "words": scorers.length(max_words=3),
    "any of": scorers.contains(texts=["a", "B1"], mode="any"),
    "none of": scorers.contains(mode="none"),
    "all of": scorers.contains(texts=["é", "b"], ignore_case=False),
    "personal data": scorers.pii_leak(),
}


@pytest.mark.parametrize("which", QUICK)
@settings(max_examples=150, deadline=None)
@given(output=ANY, expected=ANY)
@example(output="", expected="")
@example(output="billing.", expected=" Billing")
@example(output='{"a": 1.0, "b": {}}', expected={"a": 1, "b": {"c": 2}})
@example(output="{}", expected={})
def test_the_quick_value_is_the_whole_one(which, output, expected):
    scorer = QUICK[which]
    score, whole = scorer(output=output, expected=expected), scorer.explain(output, expected)
    assert (score.value, score.unscored) == (whole.value, whole.unscored)
    assert (score.name, score.version) == (whole.name, whole.version)
    assert score.evidence["kind"] == whole.evidence["kind"]
    assert score.rationale == whole.rationale


@pytest.mark.parametrize("which", QUICK)
@settings(max_examples=30, deadline=None)
@given(pairs=st.lists(st.tuples(ANY, ANY), max_size=6))
def test_a_batch_gives_what_single_calls_give(which, pairs):
    scorer = QUICK[which]
    singly = [repr(scorer(output=output, expected=expected)) for output, expected in pairs]
    samples = [Sample(output=output, expected=expected) for output, expected in pairs]
    assert list(map(repr, scorer.batch(samples))) == singly
    assert list(map(repr, scorer.batch(iter(samples)))) == singly
    columns = scorer.score_columns([output for output, _ in pairs], [expected for _, expected in pairs])
    assert list(map(repr, columns)) == singly


def test_columns_without_expected_values_and_of_different_lengths():
    assert [s.value for s in scorers.json_valid().score_columns(["{}", "{"])] == [1.0, 0.0]
    assert scorers.exact_match().score_columns(["a"])[0].unscored == "no_expected"
    with pytest.raises(ValueError, match="2 outputs and 1 expected"):
        scorers.exact_match().score_columns(["a", "b"], ["a"])


def test_a_batch_sees_inputs_and_trace():
    samples = [Sample(output="ann@corp.com", inputs={"text": text}) for text in ("ann@corp.com", "Bob")]
    assert [score.value for score in scorers.pii_leak().batch(samples)] == [1.0, 0.0]
    slow = Sample(output="", trace={"latency_s": 3})
    assert scorers.latency(limit_s=2).batch([slow])[0].value == 0.0


def test_a_sample_that_breaks_a_batch_breaks_itself_only():
    class Odd:
        def __eq__(self, other):
            raise RuntimeError("no")

        __hash__ = None

    values = [s.value for s in scorers.exact_match().score_columns(["a", Odd(), "b"], ["a", "x", "b"])]
    assert values == [1.0, 0.0, 1.0]


# --- Scores that are told late


def counted():
    told = []

    class Scorer:
        name, version = "counted", "7"

        def explain(self, output, expected):
            told.append((output, expected))
            return Score(name=self.name, value=0.5, rationale="because", evidence={"kind": "partial"})

    return late(Scorer(), 0.5, "out", "exp"), told


def test_a_score_is_explained_when_it_is_read_and_once():
    score, told = counted()
    assert (score.value, score.name, score.version, score.unscored) == (0.5, "counted", "7", None)
    assert (score.cost_usd, score.input_tokens, score.output_tokens) == (None, 0, 0)
    assert told == []
    assert (score.rationale, score.evidence) == ("because", {"kind": "partial"})
    assert score.evidence is score.evidence
    assert told == [("out", "exp")]


def test_a_late_score_is_a_score():
    plain = Score(name="counted", version="7", value=0.5, rationale="because", evidence={"kind": "partial"})
    for use in (copy.copy, copy.deepcopy, dataclasses.replace, lambda s: Score(**dataclasses.asdict(s))):
        score, _ = counted()
        assert use(score) == plain
        assert repr(score) == repr(plain)
    with pytest.raises(AttributeError):
        counted()[0].value = 1.0
    with pytest.raises(AttributeError, match="'Score' object has no attribute 'nothing'"):
        _ = counted()[0].nothing
    missed = scorers.exact_match()(output="Rome", expected="Paris")
    assert pickle.loads(pickle.dumps(missed)) == missed == scorers.exact_match().explain("Rome", "Paris")


def test_a_shared_score_cannot_be_changed():
    first, second = scorers.exact_match().score_columns(["a", "b"], ["a", "b"])
    assert first is second
    with pytest.raises(TypeError):
        first.evidence["kind"] = "other"
    assert json.dumps(first.evidence) == '{"kind": "match"}'


@pytest.mark.parametrize("fast", ["orjson", "rapidfuzz"])
def test_without_the_fast_packages_the_scores_are_the_same(monkeypatch, fast):
    texts = ['{"a": [1, 2.5, "\\ud800"]}', "[1,]", "NaN", "[" * 60 + "]" * 60, '"x"', "\x0b{}", "{} {}", "-0"]
    rows = ([*texts, "kitten", "Saturday"], [*reversed(texts), "sitting", "Sunday"])
    tried = (scorers.json_valid(), scorers.levenshtein())
    before = [list(map(repr, scorer.score_columns(*rows))) for scorer in tried]
    for module in (_json, _similarity):
        monkeypatch.setattr(module, "installed", lambda name: name != fast)
    _json.quick_loads.cache_clear()
    _similarity.counter.cache_clear()
    try:
        assert [list(map(repr, scorer.score_columns(*rows))) for scorer in tried] == before
    finally:
        _json.quick_loads.cache_clear()
        _similarity.counter.cache_clear()
