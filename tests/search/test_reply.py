import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptmigrate.search.reply import read

from .world import manner

TEXT = 'Sort the ticket.\n\n- If it says "voucher", answer billing.\n- Answer with the queue only.'


@pytest.mark.parametrize("turn", range(8))
def test_reads_every_manner(turn):
    assert read(manner(TEXT, turn)).text == TEXT


def test_gives_the_diagnosis_where_there_is_one():
    assert read(f"It lacks rules.\n```\n{TEXT}\n```").note == "It lacks rules."
    assert read(json.dumps({"diagnosis": "D.", "new_instructions": TEXT})).note == "D."


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        ("```\nDo it like this:\n```json\n{\"a\": 1}\n```\nand no other way.\n```",
         "Do it like this:\n```json\n{\"a\": 1}\n```\nand no other way."),
        ("Answer with JSON such as\n```\n{\"a\": 1}\n```\nand with nothing else around it, please.",
         "Answer with JSON such as\n```\n{\"a\": 1}\n```\nand with nothing else around it, please."),
        ("```\nSort the ticket well.", "Sort the ticket well."),
        ("<new_instructions>\nSort it.\n</new_instructions>", "Sort it."),
        ("# Improved prompt:\nSort it.", "Sort it."),
        ('"Sort it."', "Sort it."),
        ("<think>plan</think>Sort it.\n\nLet me know if you need more.", "Sort it."),
        ("Old:\n```\nSort.\n```\n\nNew:\n```\nSort the ticket into one queue.\n```",
         "Sort the ticket into one queue."),
        ("", ""),
    ],
)  # fmt: skip
def test_reads_odd_replies(reply, text):
    assert read(reply).text == text


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        ("<think>The user wants\nshorter instr", ""),
        ("Okay, the user wants it short.\n</think>\n\nSort it.", "Sort it."),
        ("<thinking>short</thinking>Think in <thinking></thinking> tags, then sort it.",
         "Think in <thinking></thinking> tags, then sort it."),
        ("<role>You sort.</role>\n<instructions>Pick one queue.</instructions>",
         "<role>You sort.</role>\n<instructions>Pick one queue.</instructions>"),
        ("<reasoning>Vague.</reasoning>\n<instructions>Pick one queue.</instructions>", "Pick one queue."),
        ('Sort it, for example:\n```json\n{"answer": "billing"}\n```\nAnswer in this form only.',
         'Sort it, for example:\n```json\n{"answer": "billing"}\n```\nAnswer in this form only.'),
        ('{"new_instructions": "Sort it."}\n\nI hope this helps.', "Sort it."),
        ("```\nAnswer like this:\n```\n{\"a\": 1}\n```\nand no other way.\n```",
         "Answer like this:\n```\n{\"a\": 1}\n```\nand no other way."),
    ],
)  # fmt: skip
def test_thoughts_sections_and_samples_are_taken_for_what_they_are(reply, text):
    assert read(reply).text == text


@pytest.mark.parametrize(
    "reply",
    [
        "I'm sorry, but I can't help with that.",
        "I cannot assist with this request.",
        "```\nI’m unable to provide that.\n```",
        json.dumps({"diagnosis": "", "new_instructions": "Sorry, I can't rewrite this prompt."}),
    ],
)
def test_a_refusal_is_no_prompt(reply):
    assert read(reply).text == ""


@pytest.mark.parametrize(
    "text",
    [
        "Say sorry, I cannot do that, where a customer asks for legal advice.",
        "If nothing fits, answer: I'm sorry, I can't help with that.",
        "Unfortunately many tickets are vague: sort those as general.",
        "I can't stress it enough: answer with the queue only.",
    ],
)
def test_a_prompt_that_speaks_of_refusals_is_one(text):
    assert read(text).text == text


@given(st.text(max_size=300))
def test_never_breaks(reply):
    reading = read(reply)
    assert isinstance(reading.text, str)


@given(st.text(alphabet="abc `~{}[]#<>\n:", max_size=120))
def test_never_breaks_on_markup(reply):
    assert isinstance(read(reply).note, str)
