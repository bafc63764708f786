import json

import pytest
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


def test_values_that_are_taken_from_the_input_are_no_closed_set():
    ids = mine(rows(["none"] * 10 + ["A123", "B234", "C555", "Z999"]))
    assert ids is not None and "exactly one of" not in ids.rules and "Never invent" not in ids.rules
    assert not any("one of" in fact for fact in ids.facts)
    names = mine(rows(["Not stated"] * 20 + [f"Firm {c}{c}" for c in "ABCDEFG"]))
    assert names is not None and "exactly one of" not in names.rules
    tags = mine(rows(["red, blue", "blue, red", "blue"] * 6 + [f"red, tag{i}" for i in range(6)]))
    assert tags is not None and "and no others" not in tags.rules
    record = [json.dumps({"currency": c}) for c in ["USD"] * 8 + ["EUR"] * 8 + ["CHF", "SEK", "DKK", "PLN"]]
    field = mine(rows(record))
    assert field is not None and "exactly one of" not in field.rules
    rare = mine(rows(["yes"] * 60 + ["no"] * 60 + ["unclear"]))
    assert rare is not None and "exactly one of these 3 labels" in rare.rules


def test_labels_with_punctuation_are_not_told_to_have_none():
    contract = mine(rows(["Billing.", "Refund."] * 9))
    assert contract is not None and "no punctuation" not in contract.rules
    assert "no other punctuation" in contract.rules


def test_what_only_some_numbers_have_is_not_told():
    contract = mine(rows([f"{i}%" for i in range(20)] + [f"{i}" for i in range(70, 80)]))
    assert contract is not None and contract.kind == "number" and "unit" not in contract.rules
    money = mine(rows([f"{sign}{i}.50" for i in range(12) for sign in "$\u20ac"]))
    assert money is not None and money.kind == "number" and "currency" not in money.rules
    decimal = mine(rows([f"{i},{i % 10}" for i in range(30)]))
    assert decimal is not None and "thousands" not in decimal.rules and "whole" not in decimal.rules
    indian = mine(rows([f"1,{i:02d},500" for i in range(30)]))
    assert indian is not None and indian.kind == "number" and "with commas" in indian.rules


def test_the_last_field_of_a_record_is_not_the_answer():
    queues, levels = ("billing", "tech"), ("high", "low")
    answers = [f"Category: {queues[i % 2]}\nPriority: {levels[i % 3 > 0]}" for i in range(30)]
    contract = mine(rows(answers))
    assert contract is not None and contract.kind == "text" and not contract.form.works
    assert "Write 2 lines" in contract.rules and "step by step" not in contract.rules
    steps = mine(rows([f"Step 1: {i} + 1\nStep 2: that is {i + 1}\nSUM: {i + 1}" for i in range(30)]))
    assert steps is not None and steps.kind == "number" and steps.form.works


def test_a_language_is_asked_for_only_where_nearly_all_answers_have_it():
    english = "Your order has been shipped and it is on the way to you, you will get it soon."
    german = "Ihre Bestellung ist unterwegs und wird nicht lange brauchen, wir bitten Sie um Geduld."
    chinese = "您的订单已经发货，很快就会送到您的手中，请您耐心等待。"
    for texts in ([english] * 6 + [german] * 4, [english] * 7 + [chinese] * 3, [chinese] * 7 + [english] * 3):
        mixed = mine(rows([f"{text} {i}" for i, text in enumerate(texts)]))
        assert mixed is not None and "Write in" not in mixed.rules
    alone = mine(rows([f"{english} {i}" for i in range(19)] + [german]))
    assert alone is not None and "Write in English." in alone.rules


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Ваше замовлення вже в дорозі, ви отримаєте його завтра.", None),
        ("Вашата поръчка пътува и ще я получите утре.", None),
        ("Ваш заказ уже в пути, вы получите его завтра.", "Russian"),
        ("سفارش شما در راه است و فردا به دست شما می‌رسد.", None),
        ("طلبك في الطريق وسوف تستلمه غدا.", "Arabic"),
        ("तुमची ऑर्डर निघाली आहे आणि उद्या मिळेल.", None),
        ("आपका ऑर्डर रास्ते में है और कल मिल जाएगा।", "Hindi"),
        ("ご注文の商品は発送されました。明日届きます。", "Japanese"),
        ("您的订单已经发货，请您耐心等待。", "Chinese"),
    ],
)
def test_languages_that_share_a_script_are_told_apart(text, language):
    contract = mine(rows([f"{text} {i}" for i in range(12)]))
    assert contract is not None
    assert (f"Write in {language}." in contract.rules) if language else ("Write in" not in contract.rules)


def test_answers_with_a_reason_or_markdown_are_not_told_to_have_none():
    reasons = [f"{('Yes', 'No')[i % 2]}, because the customer paid on day {i}." for i in range(20)]
    contract = mine(rows(reasons))
    assert contract is not None and "no explanation" not in contract.rules
    for text in ("See [the page](http://x.example/{i}).", "Run `make {i}` first.", "| a | b |\n| {i} | 2 |"):
        marked = mine(rows([text.replace("{i}", str(i)) for i in range(12)]))
        assert marked is not None and "no markdown" not in marked.rules
    listed = mine(rows([f"- part {i}\n- shelf {i}" for i in range(12)]))
    assert listed is not None and "no markdown" not in listed.rules and "2 points" in listed.rules


def test_json_that_production_fences_is_asked_for_in_a_fence():
    contract = mine(rows(["```json\n" + json.dumps({"a": i}) + "\n```" for i in range(6)]))
    assert contract is not None and "no code fences" not in contract.rules and "```json" in contract.rules


def test_keys_that_are_taken_from_the_input_are_not_listed():
    maps = [{f"person {i}": "PER", f"firm {i}": "ORG"} for i in range(12)]
    contract = mine(rows([json.dumps(one) for one in maps]))
    assert contract is not None and contract.kind == "json"
    assert "person" not in contract.rules and "keys come from the input" in contract.rules
    nested = mine(rows([json.dumps({"id": i, "found": one}) for i, one in enumerate(maps)]))
    assert nested is not None and '"id"' in nested.rules and "person" not in nested.rules


def test_optional_keys_of_nested_objects_and_empty_strings():
    answers = [
        json.dumps({"a": {"b": i, **({"c": 1} if i % 2 else {})}, "n": None if i % 3 else ""})
        for i in range(12)
    ]
    contract = mine(rows(answers))
    assert contract is not None and "not an empty string" not in contract.rules
    assert '"c": a whole number (a JSON number, no quotes) (left out where' in contract.rules


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


@pytest.mark.parametrize(
    ("answers", "parts", "not_parts"),
    [
        ([f"{i * 1357 + 900:,}" for i in range(20)], ["whole number", "with commas between"], []),
        ([f"{i * 1357 + 900}" for i in range(20)], ["whole number", "without commas between"], []),
        (["1,200", "1300"] + [f"{i}1" for i in range(1, 19)], ["whole number"], ["thousands"]),
        (
            [f"{i}.{100 + i}.000,50" for i in range(1, 21)],
            ["exactly 2 decimal places", "decimal comma", "with points between thousands"],
            ["commas between"],
        ),
        ([f"{i},5" for i in range(20)], ["exactly 1 decimal place,", "decimal comma"], ["thousands"]),
        ([f"{i} {100 + i} 000" for i in range(1, 21)], ["whole number", "with spaces between"], []),
        ([f"{i}'{100 + i}" for i in range(1, 21)], ["whole number", "with apostrophes between"], []),
        ([f"{i}.{100 + i}" for i in range(1, 21)], ['written like "1.101"'], ["decimal", "thousands"]),
        ([f"{i},99 €" for i in range(20)], ["decimal comma", "'€' after it"], ["currency"]),
        ([f"USD {i}.50" for i in range(20)], ["sign USD before it", "exactly 2 decimal"], []),
        ([f"{i}.5 kg" for i in range(20)], ["'kg' after it", "exactly 1 decimal place,"], []),
        ([f"{i + 10}円" for i in range(20)], ["whole number", "'円' after it"], []),
    ],
)
def test_numbers_are_described_as_production_writes_them(answers, parts, not_parts):
    contract = mine(rows(answers))
    assert contract is not None and contract.kind == "number"
    for part in parts:
        assert part in contract.rules, part
    for part in not_parts:
        assert part not in contract.rules, part


@pytest.mark.parametrize(
    ("form", "days", "said"),
    [
        ("{y}-{m:02}-{d:02}", range(1, 21), "YYYY-MM-DD"),
        ("{m:02}/{d:02}/{y}", range(1, 21), "MM/DD/YYYY"),
        ("{d:02}/{m:02}/{y}", range(1, 21), "DD/MM/YYYY"),
        ("{m}/{d}/{y}", range(1, 21), "M/D/YYYY"),
        ("{d:02}/{m:02}/{y}", range(1, 12), "slashes, year last"),
        ("{d:02}.{m:02}.{y}", range(1, 21), "DD.MM.YYYY"),
        ("May {d}, {y}", range(1, 21), 'like "March 5, 2024"'),
        ("{d} May {y}", range(1, 21), 'like "5 March 2024"'),
        ("{y}年{m}月{d}日", range(1, 21), "YYYY年M月D日"),
    ],
)
def test_dates_are_asked_for_in_their_form_alone(form, days, said):
    answers = [form.format(y=2024, m=5, d=d) for d in days]
    contract = mine(rows(answers))
    assert contract is not None and said in contract.rules
    assert "Begin with" not in contract.rules and "words" not in contract.rules.replace("other words", "")
    inside = mine(rows([json.dumps({"day": answer, "n": i}) for i, answer in enumerate(answers)]))
    assert inside is not None and said in inside.rules


def test_a_json_array_has_its_own_rules():
    names = mine(rows([json.dumps(x) for x in (["a", "b"], ["b"], [], ["a", "c"], ["c"])] * 5))
    assert names is not None and names.kind == "json"
    for part in ("one valid JSON array", 'exactly one of "a", "b", "c"', "the empty list: []", "single line"):
        assert part in names.rules, part
    things = [[{"name": f"P{i}", "count": n} for n in range(2)] for i in range(12)]
    for answers in ([json.dumps(x) for x in things], [f"```json\n{json.dumps(x)}\n```" for x in things]):
        objects = mine(rows(answers))
        assert objects is not None and objects.kind == "json"
        for part in ('- "name": a string', '- "count": a whole number', "exactly 2 items"):
            assert part in objects.rules, part
        assert ("between two lines of ```" in objects.rules) == answers[0].startswith("```")
    given = mine([example({"x": i}, expected_response=["a", "b"][: i % 3]) for i in range(12)])
    assert given is not None and given.kind == "json" and "single line" not in given.rules


def test_empty_answers_are_told():
    rule = "right answer is empty"
    for answers in (["billing", "bug", ""] * 6, [f"{i + 1}.5" for i in range(10)] + ["", " "]):
        contract = mine([example({"x": i}, expected_response=a) for i, a in enumerate(answers)])
        assert contract is not None and rule in contract.rules
        assert f"For {sum(not a.strip() for a in answers)} of {len(answers)} inputs" in contract.facts[-1]
    one = mine(rows([*["billing", "bug"] * 6, ""]))
    assert one is not None and rule not in one.rules and rule not in "".join(one.facts)
    assert mine(rows(["", "", ""])) is None
    worked = mine(rows(["It is kind.\nAnswer: (A)", "It is rude.\nAnswer: (B)", ""] * 6))
    assert worked is not None and worked.form.works and rule not in worked.rules
    assert rule in worked.facts[-1]


def test_labels_with_signs_around_them_keep_them():
    quoted = mine(rows(['"a"', '"b"'] * 8))
    assert quoted is not None and "quotes" not in quoted.rules and "no markdown" in quoted.rules
    bold = mine(rows(["**a**", "**b**"] * 8))
    assert bold is not None and "markdown" not in bold.rules and "no quotes" in bold.rules
    assert bold.steps is not None and "no other punctuation or quotes around it" in bold.steps
    plain = mine(rows(["a", "b"] * 8))
    assert plain is not None and "no punctuation, no quotes, no markdown" in plain.rules


def test_labels_on_lines_of_their_own_are_several():
    contract = mine(rows(["red\nblue", "blue", "red", "green\nred", "blue\ngreen\nred", "green\nblue"] * 4))
    assert contract is not None and contract.kind == "multilabel"
    assert contract.labels == ("blue", "green", "red") and "one a line" in contract.rules


@pytest.mark.parametrize(
    ("form", "said", "unsaid"),
    [
        ("```python\ndef f{i}(x):\n    return x\n```", "(the first is ```python)", "lowercase"),
        ("```\nselect {i}\n```", "two lines of ```, and", "lowercase"),
        (
            "| name | qty |\n|---|:-:|\n| x{i} | {i} |",
            "these columns, in this order: name | qty",
            "Begin with",
        ),
        (
            "<answer><name>x{i}</name><qty>{i}</qty></answer>",
            "<answer>, <name> (inside <answer>), <qty> (inside <answer>)",
            "lowercase",
        ),
        ("<why>it is {i}</why>\n<label>b</label>", "end tag: <why>, <label>. Nothing", "lines"),
        ("name: x{i}\nqty: {i}\nkind: b", "labels, in this order: name:, qty:, kind:", "Begin with"),
    ],
)
def test_answers_that_are_built_are_described_by_what_they_are_built_of(form, said, unsaid):
    contract = mine(rows([form.replace("{i}", str(i)) for i in range(15)]))
    assert contract is not None and contract.kind == "text" and said in contract.rules
    assert unsaid not in contract.rules
    assert said in "".join(contract.facts)


def test_mixed_shapes_are_none():
    contract = mine(rows([f"```\nx{i}\n```" if i % 2 else f"some words {i} here" for i in range(20)]))
    assert contract is not None and "code block" not in contract.rules


@pytest.mark.parametrize("form", ["user{i}@example.com", "https://example.com/{i}/os/que", "com {i} com {i}"])
def test_addresses_are_in_no_language(form):
    contract = mine(rows([form.replace("{i}", f"{i}") for i in range(40)]))
    assert contract is not None and "Write in" not in contract.rules


answer_texts = st.lists(
    st.one_of(
        st.text(max_size=30),
        st.sampled_from(
            ["", "[]", "[1]", "{}", "1.200", "1,5", "```\nx\n```", "<a>x</a>", "| a |\n|---|", "a: b\nc: d"]
        ),
    ),
    max_size=30,
)


@given(answer_texts)
def test_any_answers_have_a_contract_or_none(answers):
    contract = mine(rows(answers))
    assert (contract is None) == (not any(answer.strip() for answer in answers))
    if contract is not None:
        assert contract.rules.startswith("Output format:\n") and all(contract.facts)
