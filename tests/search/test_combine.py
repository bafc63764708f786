"""Texts without what they have said already, and without the rules of somebody else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptmigrate.search.combine import pieces, unrepeated, without
from promptmigrate.search.text import normalised

sentences = st.sampled_from(
    [
        "Sort the ticket into its queue.",
        "Answer in lower case at all times.",
        "answer in lower case, at all times",
        "Badges belong to the account queue.",
        "## Queue",
        "Use {{ticket}} and nothing else at all.",
        "",
        "## Rules",
    ]
)
texts = st.lists(st.tuples(st.sampled_from(["", "- ", "  - "]), sentences, st.sampled_from(["\n", " "]))).map(
    lambda parts: "".join(f"{lead}{text}{end}" for lead, text, end in parts)
)


def test_a_rule_that_stands_there_twice_is_said_once():
    before = "Be kind.\n\nAnswer in lower case at all times. Be brief.\n"
    assert unrepeated(f"{before}- answer in lower case at all times\n- So be it.") == f"{before}- So be it."


@given(texts)
def test_nothing_is_lost_and_a_second_look_finds_nothing(text):
    once = unrepeated(text)
    assert unrepeated(once) == once
    assert {normalised(p) for p in pieces(once)} == {normalised(p) for p in pieces(text)}
    assert once.count("{{ticket}}") == text.count("{{ticket}}")


def test_samples_may_have_the_same_answer():
    said = "It is about a bill of last year."
    for text in (
        f"```\n{said}\n{said}\n```",
        f"Input: x\nOutput: {said}\nInput: y\nOutput: {said}",
        f"Input:\nx\nOutput:\n{said}\n\nInput:\ny\nOutput:\n{said}",
        f"- Ticket: x\n{said}\n- Ticket: y\n{said}",
    ):
        assert unrepeated(text) == text


def test_without_takes_out_the_rules_and_leaves_what_stands_between_them():
    rules = "Output format:\nAnswer with one label.\n- a\n- b\nNothing else."
    mixed = rules.replace("label.", "label. Badges are accounts.")
    text = f"Sort it.\n\n{mixed}\n\nBe kind."
    assert without(text, rules) == "Sort it.\n\nBadges are accounts.\n\nBe kind."
    assert without("Sort it.", rules) == "Sort it."


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Sort it. Be kind! e.g. this one.", ["Sort it.", "Be kind! e.g. this one."]),
        ("Отвечай кратко. Не объясняй.", ["Отвечай кратко.", "Не объясняй."]),
        ("Sei knapp. Übergib keine Daten.", ["Sei knapp.", "Übergib keine Daten."]),
        ("退款归财务部。其他问题归客服！不要解释。", ["退款归财务部。", "其他问题归客服！", "不要解释。"]),
        ("他说“不。”然后走了。完", ["他说“不。”然后走了。", "完"]),
        ("संक्षेप में उत्तर दें। कारण न बताएँ।", ["संक्षेप में उत्तर दें।", "कारण न बताएँ।"]),
        ("هل هو رد؟ اكتب نعم.", ["هل هو رد؟", "اكتب نعم."]),
        ("¿Es un reembolso? ¡Responde sí!", ["¿Es un reembolso?", "¡Responde sí!"]),
    ],
)
def test_sentences_end_where_their_language_ends_them(text: str, found: list[str]):
    assert pieces(text) == found
