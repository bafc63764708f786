import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scorers import ScorerSpecError, format_contract, mine_contract


def kind(contract, output, **options):
    score = format_contract(contract=contract, **options)(output=output)
    assert (score.value == 1.0) is (score.evidence["kind"] == "match")
    return score.evidence["kind"]


TICKETS = [
    {"urgency": ["low", "high"][i % 2], "note": f"note {i}", "ok": True,
     "items": [{"n": i, "tag": None if i % 3 else "x"}]}
    for i in range(30)
]  # fmt: skip


def test_labels():
    contract = mine_contract(["billing", "delivery", "billing", "delivery", "billing", "other", "other"])
    assert contract == {
        "kind": "label",
        "labels": ["billing", "delivery", "other"],
        "casing": "lower",
        "markdown": False,
    }
    assert kind(contract, " billing\n") == "match"
    assert kind(contract, "Billing.") == "label_form"
    assert kind(contract, "refund") == "not_a_label"
    assert kind(contract, "") == "empty"


def test_json():
    contract = mine_contract([json.dumps(ticket) for ticket in TICKETS])
    assert contract["keys"]["urgency"] == {"types": ["string"], "required": True, "enum": ["high", "low"]}
    assert contract["keys"]["items[].tag"]["types"] == ["null", "string"]
    assert "enum" not in contract["keys"]["note"]
    good = {"urgency": "low", "note": "x", "items": [], "ok": False}
    assert kind(contract, json.dumps(good)) == "match"
    assert kind(contract, good) == "match"
    assert kind(contract, f"```json\n{json.dumps(good)}\n```") == "fenced_json"
    assert kind(contract, "Sure: " + json.dumps(good)) == "text_around_json"
    assert kind(contract, "no") == "invalid_json"
    assert kind(contract, json.dumps([good])) == "wrong_root"
    assert kind(contract, json.dumps({**good, "extra": 1})) == "extra_keys"
    assert kind(contract, json.dumps({**good, "ok": "yes"})) == "wrong_types"
    assert kind(contract, json.dumps({**good, "urgency": "asap"})) == "not_in_enum"
    assert kind(contract, json.dumps({**good, "items": [{"n": 1}]})) == "missing_keys"
    del good["note"]
    assert kind(contract, json.dumps(good)) == "missing_keys"


def test_json_in_code_blocks_is_the_form_where_references_have_it():
    contract = mine_contract(['```json\n{"a": 1}\n```'] * 5)
    assert contract["markdown"] is True
    assert kind(contract, '```\n{"a": 2}\n```') == "match"


def test_numbers():
    contract = mine_contract(["$12.50", "$3.00", "$1,200.75"])
    assert contract == {"kind": "number", "decimals": 2, "prefix": "$", "unit": "", "markdown": False}
    assert kind(contract, "$7.25") == "match"
    assert kind(contract, "$7.5") == "decimals"
    assert kind(contract, "7.25") == "prefix"
    assert kind(contract, "$7.25 kg") == "unit"
    assert kind(contract, "It is $7.25") == "not_a_number"
    whole = mine_contract([str(i) for i in range(40)])
    assert (whole["kind"], whole["integer"]) == ("number", True)
    assert kind(whole, "3.5") == "decimals"


def test_texts():
    texts = [f"Dear customer, your order {i} is on its way to you." for i in range(10)]
    contract = mine_contract(texts)
    assert (contract["starts_with"], contract["full_stop"], contract["lines"]) == (
        "Dear customer, your order",
        True,
        [1, 1],
    )
    assert kind(contract, texts[0]) == "match"
    assert kind(contract, "Dear customer, your order **7** is late but on its way.") == "markdown"
    assert kind(contract, "Dear customer, your order 7 is late and not on its way") == "full_stop"
    assert kind(contract, "Hello customer, your order 7 is on its way to you.") == "starts_with"
    assert kind(contract, texts[0] + " " + "And more. " * 20) == "words"
    assert kind(contract, texts[0].replace("order", "order\n")) == "lines"
    assert mine_contract(["all lower case here", "and here as well"])["casing"] == "lower"
    assert mine_contract([]) == mine_contract([None, "  "]) == {}


def test_all_broken_rules_are_told_and_graded():
    contract = {"kind": "text", "casing": "lower", "lines": [1, 1], "markdown": False, "chars": [1, 100]}
    score = format_contract(contract=contract, graded=True)(output="# Title\n**x**")
    assert [name for name, _ in score.evidence["broken"]] == ["casing", "lines", "markdown"]
    assert score.value == pytest.approx(1 - 3 / 5)
    assert format_contract(contract=contract)(output="# Title\n**x**").value == 0.0


@pytest.mark.parametrize(
    ("contract", "message"),
    [
        ({"kind": "poem"}, "one of label, json, number, text"),
        ({"kind": "text", "word": [1, 2]}, "did you mean 'words'"),
        ({"kind": "text", "labels": ["a"]}, "not for the kind 'text'"),
        ({"kind": "label", "labels": []}, "a list of texts"),
        ({"kind": "text", "words": [2, 1]}, "least, most"),
        ({"kind": "json", "keys": {"a": {"type": "string"}}}, "types, required and enum"),
        ({"kind": "json", "keys": {"a": {"types": ["text"]}}}, "types, required and enum"),
        ({"kind": "text", "casing": "title"}, "lower or upper"),
        ({"kind": "number", "decimals": -1}, "a whole number"),
        ({"kind": "text", "markdown": "no"}, "true or false"),
    ],
)
def test_contracts_that_cannot_be_used(contract, message):
    with pytest.raises(ScorerSpecError, match=message):
        format_contract(contract=contract)


JSON = st.dictionaries(
    st.sampled_from(["a", "b", "c.d"]),
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.lists(st.integers(), max_size=2),
    min_size=1,
    max_size=3,
)


@given(
    st.lists(JSON.map(json.dumps), min_size=1, max_size=8)
    | st.lists(st.sampled_from(["a", "B c", "d"]), min_size=1, max_size=12)
    | st.lists(st.integers(-999, 10**6).map(str) | st.sampled_from(["$5", "3.25"]), min_size=1, max_size=12)
    | st.lists(st.text(max_size=80), min_size=1, max_size=12)
)
def test_references_keep_the_contract_that_they_give(references):
    contract = mine_contract(references)
    assert json.loads(json.dumps(contract)) == contract
    if contract.get("kind") == "json" and not all("{" in reference for reference in references):
        return
    for reference in references:
        if reference.strip():
            score = format_contract(contract=contract)(output=reference)
            assert score.value == 1.0, (contract, reference, score)
