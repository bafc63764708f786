import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scorers import ScorerSpecError, contains, exact_match, label_match, mine_labels

LABELS = ["billing", "billing issue", "delivery", "other"]


def kind(score):
    return score.evidence["kind"]


@pytest.mark.parametrize(
    ("output", "expected", "value", "what"),
    [
        ("Paris", "Paris", 1.0, "match"),
        (" Paris\n", "Paris", 1.0, "match"),
        ("PARIS", "Paris", 0.0, "case"),
        ("It is Paris.", "Paris", 0.0, "contained"),
        ("Rome", "Paris", 0.0, "different"),
        ("", "Paris", 0.0, "empty"),
        (None, "Paris", 0.0, "empty"),
        ("", "", 1.0, "match"),
        ("42", 42, 1.0, "match"),
        ("true", True, 1.0, "match"),
    ],
)
def test_exact_match(output, expected, value, what):
    score = exact_match()(output=output, expected=expected)
    assert (score.value, kind(score)) == (value, what)


def test_exact_match_options():
    assert exact_match(strip=False)(output="a ", expected="a").value == 0.0
    assert exact_match(ignore_case=True)(output="STRASSE", expected="straße").value == 1.0


@pytest.mark.parametrize(
    ("output", "value", "what"),
    [
        ("1 + 1. So the answer is 2.", 1.0, "match"),
        ("THE ANSWER IS: 2", 0.0, "contained"),
        ("The Answer Is 2", 1.0, "match"),
        ("the answer is 3. No: the answer is 2.", 1.0, "match"),
        ("the answer is 2. No: the answer is 3.", 0.0, "different"),
        ("2", 1.0, "match"),
        ("I say 2", 0.0, "no_marker"),
        ("the answer is ", 0.0, "empty"),
        ("İİ The answer is 2", 1.0, "match"),
    ],
)
def test_exact_match_after_a_marker(output, value, what):
    marker = "The answer is" if output.startswith("İ") else "the answer is"
    score = exact_match(extract=marker)(output=output, expected="2")
    assert (score.value, kind(score)) == (value, what)


@pytest.mark.parametrize(
    "output", ["billing", "Billing", " billing \n", "`billing`", "**Billing**.", '"billing"', "“Billing”!"]
)
def test_a_label_may_be_dressed(output):
    assert label_match()(output=output, expected="billing").value == 1.0


@pytest.mark.parametrize(
    ("output", "what"),
    [
        ("delivery", "other_label"),
        ("**Delivery**", "other_label"),
        ("The category is billing.", "label_in_longer_answer"),
        ("delivery, I think", "other_label_in_longer_answer"),
        ("billing_issue", "not_a_label"),
        ("rebilling!", "not_a_label"),
        ("no idea", "not_a_label"),
        ("", "empty"),
        ("***", "not_a_label"),
    ],
)
def test_what_is_wrong_with_a_label(output, what):
    score = label_match(labels=LABELS)(output=output, expected="billing")
    assert (score.value, kind(score)) == (0.0, what)
    assert score.rationale.startswith("expected 'billing', got ")


def test_without_a_list_nobody_says_that_an_answer_is_no_label():
    assert kind(label_match()(output="**Technical**", expected="billing")) == "other_answer"
    assert kind(label_match()(output="The category is billing.", expected="billing")) == (
        "label_in_longer_answer"
    )


def test_rationale_shows_both_sides():
    score = label_match()(output="Billing issue", expected="billing")
    assert score.rationale == "expected 'billing', got 'Billing issue'"
    assert kind(score) == "label_in_longer_answer"


def test_strict_wants_the_label_as_written():
    strict = label_match(strict=True)
    assert strict(output=" billing\n", expected="billing").value == 1.0
    assert kind(strict(output="Billing", expected="billing")) == "form"


@pytest.mark.parametrize(
    ("output", "value"),
    [
        ("The category is billing.", 1.0),
        ("Billing? No: billing, billing!", 1.0),
        ("It is a billing issue.", 0.0),
        ("billing or delivery", 0.0),
        ("rebilling", 0.0),
    ],
)
def test_find_accepts_the_only_label_in_an_answer(output, value):
    assert label_match(labels=LABELS, find=True)(output=output, expected="billing").value == value


def test_longer_label_hides_the_one_inside_it():
    score = label_match(labels=LABELS)(output="It is a billing issue.", expected="billing")
    assert score.evidence["inside"] == ["billing issue"]


def test_label_after_a_marker():
    assert (
        label_match(extract="label:")(output="Because...\nLabel: **Billing**", expected="billing").value
        == 1.0
    )


def test_accents_compare_in_any_spelling():
    assert label_match()(output="cafe\u0301", expected="caf\u00e9").value == 1.0


def test_a_label_of_punctuation_is_a_label():
    assert label_match()(output="?", expected="?").value == 1.0
    assert label_match()(output="?", expected="!").value == 0.0


def test_expected_mapping_needs_a_key():
    expected = {"label": "billing", "note": "urgent"}
    score = label_match()(output="billing", expected=expected)
    assert score.unscored == "bad_expected"
    assert label_match(expected_key="label")(output="billing", expected=expected).value == 1.0
    assert label_match(expected_key="nothing")(output="billing", expected=expected).unscored == "no_expected"
    assert label_match()(output="billing", expected={"expected_response": "billing", "note": 1}).value == 1.0


def test_options_of_labels_are_checked():
    with pytest.raises(ScorerSpecError, match="'labels' has no label"):
        label_match(labels=[])
    with pytest.raises(ScorerSpecError, match="contradict"):
        label_match(strict=True, find=True)
    with pytest.raises(ScorerSpecError, match="option 'labels' must be a list of texts, got 'billing'"):
        label_match(labels="billing")


def test_mined_labels_are_ordered_and_spelled_as_most_write_them():
    values = ["Billing", "billing", "Billing", "delivery", None, "**delivery**", "other"]
    assert mine_labels(values) == ("Billing", "**delivery**", "other")


@pytest.mark.parametrize(
    "values",
    [
        [],
        [None],
        ["ok", ""],
        ["a long text " * 10, "b"],
        ["two\nlines", "b"],
        [f"text {i}" for i in range(25)],
        [str(i % 300) for i in range(3_000)],
    ],
)
def test_no_labels_where_there_are_none(values):
    assert mine_labels(values) is None


@pytest.mark.parametrize(
    ("mode", "output", "value", "what"),
    [
        ("all", "red and blue", 1.0, "match"),
        ("all", "RED only", 0.0, "missing"),
        ("any", "RED only", 1.0, "match"),
        ("any", "green", 0.0, "missing"),
        ("any", " ", 0.0, "empty"),
        ("none", "green", 1.0, "match"),
        ("none", "blue", 0.0, "forbidden"),
    ],
)
def test_contains(mode, output, value, what):
    score = contains(texts=["red", "blue"], mode=mode)(output=output)
    assert (score.value, kind(score)) == (value, what)


def test_contains_says_what_it_found():
    score = contains(texts=("red", "blue"))(output="red")
    assert (score.evidence["found"], score.evidence["missing"]) == (["red"], ["blue"])
    assert "'blue'" in score.rationale


def test_contains_whole_words_and_case():
    assert contains(texts=["art"], whole_words=True)(output="a party").value == 0.0
    assert contains(texts=["art"], whole_words=True)(output="party art!").value == 1.0
    assert contains(texts=["Art"], ignore_case=False)(output="art").value == 0.0


def test_contains_the_expected_texts():
    assert contains()(output="red and blue", expected=["red", "blue"]).value == 1.0
    assert contains()(output="red", expected="blue").value == 0.0
    assert contains()(output="red", expected=[]).unscored == "bad_expected"
    assert contains()(output="red").unscored == "no_expected"


@pytest.mark.parametrize("texts", [[], [""]])
def test_contains_refuses_to_look_for_nothing(texts):
    with pytest.raises(ScorerSpecError, match="texts"):
        contains(texts=texts)


@given(st.text(), st.text())
def test_any_texts_give_a_value_and_evidence_that_can_be_written(output, expected):
    for scorer in (
        exact_match(),
        exact_match(extract="is"),
        label_match(labels=["a", "b c"]),
        label_match(find=True),
    ):
        score = scorer(output=output, expected=expected)
        assert score.value in (0.0, 1.0)
        json.dumps([score.rationale, dict(score.evidence)], ensure_ascii=False).encode()


@given(st.text())
def test_every_text_is_itself(text):
    assert exact_match()(output=text, expected=text).value == 1.0
    assert label_match()(output=text, expected=text).value == 1.0
    assert label_match()(output=f"**{text}**.", expected=text).value == 1.0 or not text.strip(
        " \t\n\r\f\v\u00a0\ufeff\"'`*_“”‘’«».,;:!?…"
    )
