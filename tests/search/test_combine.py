"""Texts without what they have said already, and without the rules of somebody else."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptmigrate.search.anatomy import Anatomy, Candidate
from promptmigrate.search.combine import pieces, splices, union, unrepeated, without
from promptmigrate.search.text import normalised
from promptmigrate.types import Prompt, Variant

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
        f"**User:** x\n**Bot:** {said}\n\n**User:** y\n**Bot:** {said}",
        f"user> x\nbot> {said}\nuser> y\nbot> {said}",
        f"<example>\n<in>x</in>\n<out>{said}</out>\n</example>\n"
        f"<example>\n<in>y</in>\n<out>{said}</out>\n</example>",
    ):
        assert unrepeated(text) == text


@pytest.mark.parametrize(
    "rule",
    [
        "No formatting of any kind: no bold, no headings, no code.",
        "- When the ticket is empty: answer with other.",
        "**Tone of every answer:** friendly and short at all times.",
    ],
)
def test_a_rule_that_begins_like_a_label_is_said_once(rule):
    assert unrepeated(f"{rule}\nSort it.\n{rule}") == f"{rule}\nSort it."
    assert unrepeated(f"Sort it.\n{rule}\n\nBe kind.\n\n{rule}\n") == f"Sort it.\n{rule}\n\nBe kind."


def test_samples_with_the_same_answer_stay_where_only_one_side_has_a_label():
    said = "It is about a bill of last year."
    for text in (
        f"My bill of May\nRight answer: {said}\nMy bill of June\nRight answer: {said}",
        f"What the customer says: My bill of May\n{said}\nWhat the customer says: My bill of June\n{said}",
    ):
        assert unrepeated(text) == text


def test_without_takes_out_the_rules_and_leaves_what_stands_between_them():
    rules = "Output format:\nAnswer with one label.\n- a\n- b\nNothing else."
    mixed = rules.replace("label.", "label. Badges are accounts.")
    text = f"Sort it.\n\n{mixed}\n\nBe kind."
    assert without(text, rules) == "Sort it.\n\nBadges are accounts.\n\nBe kind."
    assert without("Sort it.", rules) == "Sort it."


def test_without_leaves_a_list_of_the_prompts_own():
    rules = (
        "Output format:\nAnswer with exactly one of these 3 labels:\n- a\n- no answer\n- +\nOutput only it."
    )
    own = "Sort it into a queue:\n- a\n- no answer\n\n---\n| a | b |\n|---|---|\n| x | y |"
    assert without(f"{own}\n\n{rules}", rules) == own
    assert without(f"{own}\n\n{rules}\n\nBe kind.", rules) == f"{own}\n\nBe kind."


@given(texts)
def test_without_gives_back_what_the_rules_were_added_to(text):
    rules = (
        "Output format:\nAnswer with exactly one of these 2 labels:\n- ## Queue\n- b\nOutput only the label."
    )
    own = re.sub(r"\n{3,}", "\n\n", text).strip() or "Sort it."
    assert without(f"{own}\n\n{rules}", rules) == own


@pytest.mark.parametrize(
    "sample",
    ['```json\n{\n"queue": "a"\n}\n```', "<example>\nMy badge is gone.\nThe queue is accounts.\n</example>"],
)
def test_samples_of_a_sibling_are_not_taken_apart(sample):
    anatomy = Anatomy.of(
        Prompt.text("Sort it.\nBe kind.\nBe brief.\nBe quick.\nUse one word.\nBe fair.\n\n{{x}}")
    )
    base = Variant(prompt=anatomy.prompt, model="m/x")
    parent = Candidate(anatomy=anatomy, base=base, instructions=anatomy.instructions)
    child = parent.but(instructions=f"{parent.instructions}\n{sample}")
    other = parent.but(instructions=f"{parent.instructions}\nBadges belong to accounts.")
    assert not any("```" in c.instructions or "<" in c.instructions for c in splices(other, [child]))
    assert union(parent, [child, other]) is None
    assert [c.instructions for c in splices(parent, [other])] == [
        f"{parent.instructions}\n\nBadges belong to accounts."
    ]


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
