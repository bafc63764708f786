import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scorers import ScorerSpecError, json_match
from scorers._json import depth_within, read

EXPECTED = {"urgency": "high", "customer": {"name": "Ann", "vip": True}, "tags": ["a", "b"]}


def test_the_same_object_in_another_order():
    output = '{"tags": ["a", "b"], "customer": {"vip": true, "name": "Ann"}, "urgency": "high"}'
    score = json_match()(output=output, expected=json.dumps(EXPECTED))
    assert (score.value, score.evidence["kind"], score.rationale) == (1.0, "match", "")


def test_every_field_has_its_fate():
    output = '{"urgency": "low", "customer": {"name": "Ann", "age": 3}, "tags": ["a", "b"]}'
    score = json_match()(output=output, expected=EXPECTED)
    assert score.evidence["fields"] == {
        "urgency": "wrong",
        "customer.vip": "missing",
        "customer.age": "extra",
        "customer.name": "match",
        "tags[0]": "match",
        "tags[1]": "match",
    }
    assert score.evidence["wrong"] == {"urgency": ["high", "low"]}
    assert score.evidence["kind"] == "missing_fields"
    assert "urgency: expected 'high', got 'low'" in score.rationale
    assert score.value == pytest.approx(3 / 5)


@pytest.mark.parametrize(
    ("metric", "value"), [("precision", 1.0), ("recall", 0.5), ("f1", 2 / 3), ("exact", 0.0)]
)
def test_metrics(metric, value):
    score = json_match(metric=metric)(output='{"a": 1}', expected={"a": 1, "b": 2})
    assert score.value == pytest.approx(value)


@pytest.mark.parametrize(
    ("output", "kind"),
    [
        ("", "empty"),
        (None, "empty"),
        ("sorry", "invalid_json"),
        ('{"a": 1', "invalid_json"),
        ('{"a": NaN}', "invalid_json"),
        ("{'a': 1}", "invalid_json"),
        ("[" * 100_000, "invalid_json"),
        ("[" * 500 + "]" * 500, "invalid_json"),
        ('```json\n{"a": 1}\n```', "fenced_json"),
        ('Here:\n```\n{"a": 1}\n```\nBye', "fenced_json"),
        ('Here it is: {"a": 1}', "text_around_json"),
        ("[1]", "wrong_type"),
        ("1", "wrong_type"),
        ('{"a": 2}', "wrong_values"),
        ('{"b": 1}', "missing_fields"),
    ],
)
def test_what_a_strict_consumer_refuses(output, kind):
    score = json_match()(output=output, expected={"a": 1})
    assert (score.value, score.evidence["kind"]) == (0.0, kind)
    assert score.rationale


def test_fences_count_only_if_allowed():
    for output in ('```json\n{"a": 1}\n```', 'Sure!\n```\n{"a": 1}\n```\nDone.'):
        assert json_match(allow_fences=True)(output=output, expected={"a": 1}).value == 1.0
    assert json_match(allow_fences=True)(output='Sure: {"a": 1}', expected={"a": 1}).value == 0.0


@pytest.mark.parametrize(
    ("options", "output", "expected", "value"),
    [
        ({}, '{"a": 1.0}', {"a": 1}, 1.0),
        ({}, '{"a": true}', {"a": 1}, 0.0),
        ({}, '{"a": "1"}', {"a": 1}, 0.0),
        ({}, '{"a": null}', {"a": None}, 1.0),
        ({}, '{"a": []}', {"a": []}, 1.0),
        ({}, '{"a": {}}', {"a": []}, 0.0),
        ({"tolerance": 0.1}, '{"a": 1.05}', {"a": 1}, 1.0),
        ({"tolerance": 0.1}, '{"a": 1.2}', {"a": 1}, 0.0),
        ({"ignore_case": True}, '{"a": "X"}', {"a": "x"}, 1.0),
        ({"ignore_order": True}, '{"a": [2, 1, 1]}', {"a": [1, 1, 2]}, 1.0),
        ({"ignore_order": True}, '{"a": [{"b": [1, 2]}, "x"]}', {"a": ["x", {"b": [2, 1]}]}, 1.0),
        ({"ignore_order": True}, '{"a": ["x", "y", "z"]}', {"a": ["y"]}, 0.5),
        ({"ignore_order": True}, '{"a": [true]}', {"a": [1]}, 0.0),
        ({"ignore_order": True, "tolerance": 0.1}, '{"a": [2.05, 1]}', {"a": [1, 2]}, 1.0),
        ({"fields": ["a"]}, '{"a": 1, "b": 9}', {"a": 1, "b": 2}, 1.0),
        ({"fields": ["a"]}, '{"a": {"x": 1}, "ab": 9}', {"a": {"x": 1}, "ab": 2}, 1.0),
        ({"ignore": ["note"]}, '{"a": 1, "note": {"x": 9}}', {"a": 1, "note": "y"}, 1.0),
    ],
)
def test_how_values_compare(options, output, expected, value):
    assert json_match(**options)(output=output, expected=expected).value == pytest.approx(value)


def test_values_that_are_not_texts():
    assert json_match()(output={"a": 1}, expected={"a": 1}).value == 1.0
    assert json_match()(output="5", expected=5).value == 1.0
    assert json_match()(output="{}", expected={}).value == 1.0


def test_expected_that_cannot_be_used():
    assert json_match()(output="{}", expected="not JSON").unscored == "bad_expected"
    assert json_match()(output="{}").unscored == "no_expected"
    assert json_match(fields=["z"])(output="{}", expected={"a": 1}).unscored == "bad_expected"
    assert (
        json_match(expected_key="json")(output='{"a": 1}', expected={"json": '{"a": 1}', "b": 2}).value == 1.0
    )


def test_options_are_checked():
    with pytest.raises(ScorerSpecError, match="one of f1, precision, recall, exact"):
        json_match(metric="accuracy")
    with pytest.raises(ScorerSpecError, match="'fields' is empty"):
        json_match(fields=[])
    with pytest.raises(ScorerSpecError, match="negative"):
        json_match(tolerance=-0.1)


def test_long_lists_without_order_are_counted_not_paired():
    many = list(range(20_000))
    score = json_match(ignore_order=True)(output=json.dumps(many[::-1]), expected=many)
    assert score.value == 1.0


def test_nested_lists_without_order_stay_fast():
    # Comparing each with each at every level would take more than 10^9 steps.
    many = [[[i * 1000 + j] for j in range(100)] for i in range(100)]
    back = [row[::-1] for row in many[::-1]]
    for tolerance in (0.0, 0.1):
        scorer = json_match(ignore_order=True, tolerance=tolerance)
        assert scorer(output=json.dumps(back), expected=many).value == 1.0


def test_evidence_stays_small():
    score = json_match()(output=json.dumps({f"k{i}": "x" * 1_000 for i in range(2_000)}), expected={"a": 1})
    assert len(json.dumps(dict(score.evidence))) < 10_000


def test_reading():
    assert read("```json\n{}").problem == "surrounded"
    assert read('{"a": 1}').value == {"a": 1}
    assert not depth_within([[[1]]], 2)
    assert depth_within([[[1]]], 3)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda c: st.lists(c, max_size=4) | st.dictionaries(st.text(), c, max_size=4),
    max_leaves=12,
)


@given(JSON, st.booleans(), st.booleans())
def test_every_value_equals_itself(value, order, case):
    scorer = json_match(ignore_order=order, ignore_case=case, tolerance=0.0)
    score = scorer(output=json.dumps(value), expected=json.dumps(value))
    assert score.value == 1.0


@given(JSON, JSON)
def test_f1_is_symmetric_and_within_bounds(a, b):
    left = json_match()(output=json.dumps(a), expected=json.dumps(b))
    right = json_match()(output=json.dumps(b), expected=json.dumps(a))
    assert left.value == pytest.approx(right.value)
    if left.value == 1.0:
        assert json_match(metric="exact")(output=json.dumps(a), expected=json.dumps(b)).value == 1.0


@given(st.text(alphabet='{}[]":,`\n a1ntrue', max_size=80))
def test_no_text_breaks_it(text):
    assert json_match(allow_fences=True)(output=text, expected={"a": 1}).value is not None
