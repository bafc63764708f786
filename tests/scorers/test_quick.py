"""The quick way to a value gives what the whole work gives; the rest of a Score is told when it is read."""

import copy
import dataclasses
import json
import pickle

import pandas
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
NUMBER = st.integers(-3, 3) | st.integers()
REAL = (
    st.sampled_from([0.0, -0.0, 1.0, 1.0000000001, 1e300, float("inf"), float("nan"), 10**400, 1, 2])
    | st.floats()
)
ASCII = st.text(alphabet="abAB 1.,-\n\t\x1c_@[]{}\"'", max_size=30)
PIECES = st.lists(
    st.sampled_from(
        ["ann@corp.com", "bob@example.com", "+1 415 555 2671", "4111111111111111", "xoxb-1234567890",
         "a" * 15, "sk-" + "a1" * 9, "-----BEGIN PRIVATE KEY-----", "AKIA" + "A" * 16,
         "٤١٥٥٥٥٢٦٧١", "é", " ", "order ", "@"]
    ),
    max_size=4,
).map("".join)  # fmt: skip
COLUMNS = [
    st.lists(st.tuples(kind, other), max_size=6)
    for kind, other in ((ANY, ANY), (NUMBER, NUMBER), (REAL, REAL), (ASCII, ASCII), (PIECES, st.none()))
] + [st.lists(st.tuples(JSON.map(json.dumps) | ASCII, JSON), max_size=6)]
"""A column mostly holds values of one kind, which is quicker still."""
QUICK = {
    "exact": scorers.exact_match(),
    "exact, loosely": scorers.exact_match(ignore_case=True, strip=False),
    "exact, marked": scorers.exact_match(extract="answer"),
    "label": scorers.label_match(labels=["a", "b"]),
    "label, strict": scorers.label_match(strict=True),
    "numbers": scorers.numeric_match(),
    "near numbers": scorers.numeric_match(tolerance=1, relative_tolerance=0.5),
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
    "some personal data": scorers.pii_leak(kinds=("email", "key"), allow=("@corp.com",)),
}


@pytest.mark.parametrize("which", QUICK)
@settings(max_examples=150, deadline=None)
@given(output=ANY | PIECES, expected=ANY)
@example(output="", expected="")
@example(output="billing.", expected=" Billing")
@example(output='{"a": 1.0, "b": {}}', expected={"a": 1, "b": {"c": 2}})
@example(output="{}", expected={})
@example(output=10**400, expected=1)
@example(output=10**400, expected=-(10**400))
def test_the_quick_value_is_the_whole_one(which, output, expected):
    scorer = QUICK[which]
    score, whole = scorer(output=output, expected=expected), scorer.explain(output, expected)
    assert (score.value, score.unscored) == (whole.value, whole.unscored)
    assert (score.name, score.version) == (whole.name, whole.version)
    assert score.evidence["kind"] == whole.evidence["kind"]
    assert score.rationale == whole.rationale


@pytest.mark.parametrize("which", QUICK)
@settings(max_examples=30, deadline=None)
@given(pairs=st.one_of(COLUMNS))
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
    values = [s.value for s in scorers.exact_match().score_columns(["a", "x", "b"], ["a", Odd(), "b"])]
    assert values == [1.0, 0.0, 1.0]


def test_columns_of_pandas_and_numpy_are_read_in_their_order():
    frame = pandas.DataFrame({"output": [1, 2, 3], "expected": [3, 2, 0]}).sort_values("expected")
    scores = scorers.numeric_match().score_columns(frame["output"], frame["expected"])
    assert [score.value for score in scores] == [0.0, 1.0, 0.0]
    assert scores[0].rationale == "expected 0, got 3"
    arrays = frame["output"].to_numpy(), frame["expected"].to_numpy()
    assert [score.value for score in scorers.numeric_match().score_columns(*arrays)] == [0.0, 1.0, 0.0]


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


@pytest.fixture(params=["msgspec", "msgspec, orjson", "rapidfuzz", ""])
def without(request, monkeypatch):
    """Packages that seem not to be installed."""
    for module in (_json, _similarity):
        monkeypatch.setattr(module, "installed", lambda name: name not in request.param)
    caches = _json.validator, _similarity.counter
    for cached in caches:
        cached.cache_clear()
    yield request.param
    for cached in caches:
        cached.cache_clear()


ODD_JSON = (
    *('{"a": [1, 2.5, "\\ud800"]}', "[1,]", "[NaN]", "[" * 60 + "]" * 60, "[" * 101 + "]" * 101, "x" * 300),
    *("\x0b{}", "{} {}", "[1],[2]", "{", "[}", "]", " [1] ", '{"a": 1e999}', "[" + "1" * 4400 + "]", "[01]"),
    *('{"a"', '"x"', "-0", "1]", "", " ", "\ufeff{}", "[]\xa0", '["\x7f"]', '["\n"]', '["\\q"]', "Sure: {}"),
    *('["\ud800"]', "[1.]", "[-]", "[1e5, 0.1, -0.0]", "[18446744073709551617]", '{"a":1,"a":2}', "[tru]"),
)
ODD_TEXTS = (
    *("kitten", "Saturday", "", " ", "a" * 100, "a" * 99 + "b", "ab" * 60, "ba" * 60, "é" * 70, "abc" * 200),
    *("xyz" * 200, "abc" * 150 + "xyz" * 50, "\x1cSunday\x1c", "sitting"),
)


def test_without_the_fast_packages_the_scores_are_the_same(without):
    for scorer in (scorers.json_valid(), scorers.json_valid(type="list"), scorers.json_match()):
        told = [scorer.explain(text, "{}") for text in ODD_JSON]
        assert scorer.score_columns(ODD_JSON, ["{}"] * len(ODD_JSON)) == told
        assert [scorer(output=text, expected="{}") for text in ODD_JSON] == told
    pairs = [(a, b) for a in ODD_TEXTS for b in ODD_TEXTS]
    for scorer in (scorers.levenshtein(), scorers.levenshtein(threshold=0.5, strip=False)):
        for some in (pairs, [pair for pair in pairs if "".join(pair).isascii()]):
            told = [scorer.explain(a, b) for a, b in some]
            assert scorer.score_columns([a for a, _ in some], [b for _, b in some]) == told
            assert [scorer(output=a, expected=b) for a, b in some] == told


LIKE_JSON = st.lists(
    st.sampled_from(
        [*'{}[],:"\\ \n01-+.eEu', *("null", "true", '"a"', '"a":', "NaN", "\\ud800", "\ud800", "1e999")]
    ),
    max_size=8,
).map("".join)


@settings(max_examples=500, deadline=None)
@given(text=LIKE_JSON | JSON.map(json.dumps), data=st.data())
def test_what_is_json_does_not_depend_on_who_reads_it(text, data):
    if text and data.draw(st.booleans()):
        at = data.draw(st.integers(0, len(text) - 1))
        text = text[:at] + data.draw(st.sampled_from(["", *'{}[],"1\\'])) + text[at + 1 :]
    try:
        valid = bool(text.strip(" \t\n\r")) and bool([_json.scan(text)])
    except ValueError:
        valid = False
    assert scorers.json_valid()(output=text).value == float(valid)
    assert scorers.json_valid().score_columns([text])[0].value == float(valid)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.text("ab", max_size=200), st.text("abc", max_size=200)), max_size=4))
def test_edits_of_columns_are_those_of_the_plain_table(pairs):
    a, b = [a for a, _ in pairs], [b for _, b in pairs]
    assert _similarity.edit_distances(a, b) == list(map(_similarity.distance_by_bits, a, b))
