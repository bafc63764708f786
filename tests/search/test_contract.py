import json

from hypothesis import given
from hypothesis import strategies as st

from promptmigrate.search.contract import mine

from .world import example


def rows(answers, **expectations):
    return [
        example({"x": f"{i}"}, reference=answer, **{k: v[i] for k, v in expectations.items()})
        for i, answer in enumerate(answers)
    ]


def test_nothing_to_mine():
    assert mine([]) is None
    assert mine([example({"x": "1"})]) is None


def test_labels_are_listed_with_their_spelling():
    contract = mine(rows(["billing_issue", "bug", "other"] * 6))
    assert contract is not None and contract.kind == "labels"
    assert set(contract.labels) == {"billing_issue", "bug", "other"}
    for part in ("- billing_issue\n", "exactly one", "lowercase", "underscores", "no explanation"):
        assert part in contract.rules


def test_labels_that_production_wraps_in_words_keep_the_form_for_working():
    answers = ["The text is kind.\nSo the answer is (A).", "The text is rude.\nSo the answer is (B)."] * 8
    contract = mine(rows(answers))
    assert contract is not None and contract.kind == "labels"
    assert contract.labels == ("(A)", "(B)")
    assert contract.form.works and contract.form.lead == "So the answer is "
    assert contract.steps is not None and "So the answer is" in contract.steps


def test_many_unseen_identifiers_make_an_open_set():
    answers = [f"intent_{i % 15}_x" for i in range(24)]
    contract = mine(rows(answers))
    assert contract is not None and contract.kind == "labels"
    assert "in use include" in contract.rules


def test_json_gives_keys_types_enumerations_and_dates():
    answers = [
        json.dumps({"who": f"P{i}", "kind": "ab"[i % 2], "day": f"2024-05-{i + 1:02d}", "n": i, "ok": True,
                    "note": None if i % 2 else "x"})
        for i in range(12)
    ]  # fmt: skip
    contract = mine(rows(answers))
    assert contract is not None and contract.kind == "json"
    for part in ('"who": a string', 'one of "a", "b"', "YYYY-MM-DD", "whole number", "or null", "flat",
                 "single line", "code fences", "true or false"):  # fmt: skip
        assert part in contract.rules, part


def test_json_inside_a_fence_and_nested_objects_are_understood():
    answers = ["```json\n" + json.dumps({"a": {"b": i}, "c": [1.5]}) + "\n```" for i in range(6)]
    contract = mine(rows(answers))
    assert contract is not None and contract.kind == "json"
    assert '  - "b": a whole number' in contract.rules
    assert "flat" not in contract.rules


def test_several_expectations_do_not_pass_for_a_json_answer():
    found = rows(["billing", "bug"] * 6, tone=["ok"] * 12, queue=["billing", "bug"] * 6)
    contract = mine(found)
    assert contract is not None and contract.kind == "labels"


def test_numbers_keep_the_form_of_production():
    contract = mine(rows([f"{i} + 1 = {i + 1}\n#### {i + 1}" for i in range(20)],
                         expected_response=[str(i + 1) for i in range(20)]))  # fmt: skip
    assert contract is not None and contract.kind == "number"
    assert contract.form.lead == "#### " and contract.form.works
    assert (
        contract.steps is not None and "#### <number>" in contract.steps and "step by step" in contract.steps
    )


def test_answers_that_are_worked_out_are_not_asked_for_bare():
    contract = mine(rows([f"{i} x 3 = {3 * i}\nSUM: {3 * i}" for i in range(20)]))
    assert contract is not None and contract.kind == "number"
    assert contract.form.works and contract.form.lead == "SUM: "
    assert "SUM: <number>" in contract.rules and "step by step" in contract.rules
    assert "no explanation" not in contract.rules and contract.steps == contract.rules


def test_short_answers_of_several_lines_keep_their_lines():
    contract = mine(rows([f"part{i} and bolt{i}\nshelf{i} then box{i}" for i in range(12)]))
    assert contract is not None and contract.kind == "text"
    assert "Write 2 lines" in contract.rules and "no explanation" not in contract.rules


def test_bare_numbers_with_currency_and_decimals():
    contract = mine(rows([f"${i * 1000 + 1000:,}.50" for i in range(12)]))
    assert contract is not None and contract.kind == "number"
    for part in ("2 decimal places", "sign $", "commas between thousands"):
        assert part in contract.rules
    assert contract.steps is not None and "number only" in contract.steps


def test_ratings_from_one_to_five_are_labels():
    contract = mine(rows([str(1 + i % 5) for i in range(40)]))
    assert contract is not None and contract.kind == "labels"


def test_label_lists():
    contract = mine(rows(["red, blue", "blue", "green, red", "red", "green, blue"] * 4))
    assert contract is not None and contract.kind == "multilabel"
    assert "separated by ', '" in contract.rules


def test_long_texts_give_length_and_language():
    text = "Wir haben die Rechnung geprüft und sie ist nicht korrekt. " * 7
    contract = mine(rows([f"{text} Nummer {i}." for i in range(10)]))
    assert contract is not None and contract.kind == "text"
    assert "German" in contract.rules and "words" in contract.rules
    assert contract.steps is None


def test_short_texts_give_casing():
    contract = mine(rows([f"the answer about thing{i} and place{i}" for i in range(10)]))
    assert contract is not None and contract.kind == "text"
    assert "lowercase" in contract.rules and "full stop" in contract.rules


def test_texts_without_spaces_are_counted_in_characters_and_have_no_case():
    cities = "上海市", "北京市", "广州市", "深圳市", "成都市"
    answers = [f"您好，您寄往{cities[i % 5]}的{i}号包裹已经发出，预计三天之内送达。" for i in range(15)]
    contract = mine(rows(answers))
    assert contract is not None and contract.kind == "text"
    assert "in at most 29 characters" in contract.rules, "punctuation counts too"
    assert "Write in Chinese" in contract.rules
    assert "case" not in contract.rules and "full stop" not in contract.rules
    long = mine(rows([answer * 4 for answer in answers]))
    assert long is not None and "Write about 110 characters: not fewer than" in long.rules
    thai = mine(rows([f"ส่งพัสดุหมายเลข {i} ไปยังกรุงเทพแล้ว" for i in range(15)]))
    assert thai is not None and "characters" in thai.rules


def test_labels_without_capital_and_small_letters_are_not_told_to_have_any():
    contract = mine(rows(["退款", "物流", "发票"] * 6))
    assert contract is not None and contract.labels == ("发票", "物流", "退款")
    assert "exactly as it is spelled above, and nothing else" in contract.rules
    several = mine(rows(["退款、物流", "物流", "发票、退款", "退款"] * 5))
    assert several is not None and several.kind == "multilabel"
    assert "separated by '、'" in several.rules
    record = mine(rows([json.dumps({"n": f"第{i}号包裹已经发出了"}, ensure_ascii=False) for i in range(9)]))
    assert record is not None and '"n": a string' in record.rules and "case" not in record.rules


ANYTHING = st.one_of(
    st.text(max_size=30),
    st.integers(),
    st.booleans(),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)


@given(st.lists(ANYTHING, max_size=12))
def test_never_breaks(values):
    contract = mine([example({"x": i}, expected_response=v) for i, v in enumerate(values)])
    assert contract is None or contract.rules
