"""json_match: comparers for single fields, lists by key, lists without order, paths."""

import copy
import json
import pickle

import pytest

from scorers import ScorerSpecError, equivalence, from_spec, json_match, levenshtein, numeric_match, to_spec
from scorers._frozen import Frozen, frozen, thawed


def test_a_field_may_have_its_own_comparer():
    scorer = json_match(compare={"amount": {"use": "numeric_match", "tolerance": 0.01}, "who": "label_match"})
    assert (
        scorer(output='{"amount": "$12.50", "who": "ANN."}', expected={"amount": 12.504, "who": "Ann"}).value
        == 1
    )
    score = scorer(output='{"amount": 13, "who": "Ann"}', expected={"amount": 12.5, "who": "Ann"})
    assert (score.value, score.evidence["fields"]["amount"]) == (0.5, "wrong")
    assert scorer(output='{"amount": null, "who": "x"}', expected={"amount": None, "who": "x"}).value == 1.0
    assert scorer(output='{"amount": 1, "who": "x"}', expected={"amount": None, "who": "x"}).value == 0.5


def test_the_value_of_a_comparer_is_the_share_of_a_match():
    scorer = json_match(compare={"note": levenshtein()}, metric="recall")
    score = scorer(output='{"note": "abxx"}', expected={"note": "abcd"})
    assert (score.value, score.evidence["fields"]) == (0.5, {"note": "wrong"})


def test_a_comparer_for_every_item_for_one_and_for_a_whole_object():
    expected = {"items": [{"price": 1.0}, {"price": 2.0}]}
    output = '{"items": [{"price": 1.004}, {"price": "2.004"}]}'
    for path in ("items[].price", "items[*].price"):
        assert (
            json_match(compare={path: numeric_match(tolerance=0.01)})(output=output, expected=expected).value
            == 1
        )
    one = json_match(compare={"items[0].price": numeric_match(tolerance=0.01)})
    assert one(output=output, expected=expected).value == 0.5
    whole = json_match(compare={"items": {"use": "json_match", "ignore_order": True}}, metric="exact")
    assert whole(output='{"items": [{"price": 2}, {"price": 1}]}', expected=expected).value == 1.0


def test_items_matched_by_a_key_count_field_by_field():
    expected = {"items": [{"sku": "a", "n": 1, "p": 5}, {"sku": "b", "n": 2, "p": 6}]}
    output = {"items": [{"sku": "b", "n": 2, "p": 7}, {"sku": "c", "n": 1, "p": 5}]}
    score = json_match(list_keys={"items": "sku"})(output=json.dumps(output), expected=expected)
    assert score.evidence["fields"]["items[b].p"] == "wrong"
    assert score.evidence["fields"]["items[a].n"] == "missing"
    assert score.evidence["fields"]["items[c].n"] == "extra"
    assert score.value == pytest.approx(2 / 6)
    twice = {"items": [{"sku": "a", "n": 1}, {"sku": "a", "n": 2}, "odd"]}
    assert json_match(list_keys={"items": "sku"})(output=json.dumps(twice), expected=twice).value == 1.0
    inner = {"orders": [{"lines": [{"id": 2, "n": 1}, {"id": 1, "n": 3}]}]}
    turned = {"orders": [{"lines": [{"id": 1, "n": 3}, {"id": 2, "n": 1}]}]}
    for path in ("orders[].lines", "orders[*].lines", "orders[0].lines"):
        assert json_match(list_keys={path: "id"})(output=inner, expected=turned).value == 1.0
        assert json_match(unordered=[path])(output=inner, expected=turned).value == 1.0


def test_some_lists_have_no_order():
    expected = {"tags": ["a", "b"], "steps": ["x", "y"]}
    scorer = json_match(unordered=["tags"])
    assert scorer(output='{"tags": ["b", "a"], "steps": ["x", "y"]}', expected=expected).value == 1.0
    score = scorer(output='{"tags": ["a", "b"], "steps": ["y", "x"]}', expected=expected)
    assert (score.value, score.evidence["fields"]["tags"]) == (0.5, "match")


def test_comparers_work_inside_lists_without_order():
    expected = {"items": [{"d": "x", "n": 1}, {"d": "y", "n": 2}, {"d": "z", "n": 3}]}
    output = {"items": [{"d": "Z", "n": 3}, {"d": "Y.", "n": 9}, {"d": "x", "n": 1}]}
    scorer = json_match(unordered=["items"], compare={"items[].d": "label_match"}, metric="recall")
    assert scorer(output=json.dumps(output), expected=expected).value == pytest.approx(2 / 3)
    many = [{"d": f"a{i}"} for i in range(300)]
    other = [{"d": f"b{i}"} for i in range(300)]
    long = scorer(output={"items": many}, expected={"items": other})
    assert long.unscored == "timeout"
    assert scorer(output={"items": many[::-1]}, expected={"items": many}).value == 1.0


def test_fields_may_be_named_for_every_item():
    expected = {"items": [{"a": 1, "b": 2}, {"a": 3, "b": 4}]}
    output = '{"items": [{"a": 1, "b": 9}, {"a": 3, "b": 9}]}'
    assert json_match(fields=["items[].a"])(output=output, expected=expected).value == 1.0
    assert json_match(ignore=["items[*].b"])(output=output, expected=expected).value == 1.0


def test_no_two_fields_share_a_path():
    expected = {"a.b": 1, "a": {"b": 2}, "c[0]": 3, "c": [4], "": 5}
    score = json_match()(output=json.dumps({**expected, "a.b": 9}), expected=expected)
    assert score.value == pytest.approx(4 / 5)
    assert score.evidence["fields"]['["a.b"]'] == "wrong"
    assert json_match(fields=["a.b"])(output=json.dumps({**expected, "c": 0}), expected=expected).value == 1.0


def test_comparers_are_checked_and_described():
    spec = {
        "use": "json_match",
        "compare": {"a": {"use": "numeric_match", "tolerance": 0.5}, "b[]": {"use": "regex"}},
    }
    scorer = json_match(compare={"a": numeric_match(tolerance=0.5), "b[*]": "regex"})
    assert to_spec(scorer) == spec
    assert from_spec(json.loads(json.dumps(spec))) == scorer
    assert pickle.loads(pickle.dumps(scorer))(output='{"a": 1.4}', expected={"a": 1}).value == 1.0
    for compare, message in (
        ({"a": "nothing"}, "there is no scorer 'nothing'"),
        ({"a": {"use": "regex", "patern": "x"}}, "did you mean 'pattern'"),
        ({"a": numeric_match}, "is not a scorer"),
        ({"a": equivalence(model="x/y")}, "asks a model"),
        ({"a": {"use": "equivalence", "judge": "x/y"}}, "asks a model"),
        ({"": "regex"}, "not the path"),
        (["a"], "must map paths"),
    ):
        with pytest.raises(ScorerSpecError, match=message) as caught:
            json_match(compare=compare)
        assert caught.value.key == "compare"


def test_frozen_mappings():
    value = frozen({"a": [1, {"b": None}]})
    assert value == {"a": (1, {"b": None})}
    assert hash(value) == hash(frozen({"a": [1.0, {"b": None}]}))
    assert thawed(value) == {"a": [1, {"b": None}]}
    assert pickle.loads(pickle.dumps(value)) == copy.deepcopy(value) == value
    for change in (
        lambda: value.update(x=1),
        lambda: value.pop("a"),
        lambda: value.__setitem__("a", 1),
        value.clear,
    ):
        with pytest.raises(TypeError, match="cannot be changed"):
            change()
    with pytest.raises(TypeError):
        frozen({1: 2})
    assert isinstance(json_match(list_keys={"a": "b"}).list_keys, Frozen)
    with pytest.raises(ScorerSpecError, match="a mapping of texts"):
        json_match(list_keys={"a": 1})
