"""Sections are found by their names, whatever marks them."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from promptmigrate.simulate._evidence import read_evidence
from promptmigrate.simulate._marks import role_of
from promptmigrate.simulate._sections import read, sections

BODY = "two lines\nand a second: one"
MARKS = [
    "<{0}>{1}</{0}>",
    "<{0} n='1'>\n{1}\n</{0}>",
    "<<<{0}>>>\n{1}\n<<<END {0}>>>",
    "<<<{0} 9f3c>>>\n{1}\n<<<END {0} 9f3c>>>",
    "<<{0}>>\n{1}\n<</{0}>>",
    "[{0}]\n{1}\n[/{0}]",
    "[BEGIN {0}]\n{1}\n[END {0}]",
    "--- BEGIN {0} ---\n{1}\n--- END {0} ---",
    "==== {0} START ====\n{1}\n==== {0} END ====",
    "### {0}\n{1}",
    "##{0}:\n{1}",
    "**{0}:**\n{1}",
    "{0}\n======\n{1}",
    "[[ ## {0} ## ]]\n{1}",
    "{0}:\n{1}",
    "- {0}: {1}",
    "{0}: |\n{1}",
    "[{0}]: {1}",
    "== {0} ==\n{1}",
]


@pytest.mark.parametrize("mark", MARKS)
@pytest.mark.parametrize(
    ("name", "role"), [("REFERENCE", "expected"), ("submission", "output"), ("Question", "input")]
)
def test_every_kind_of_mark_is_read(mark, name, role):
    other = "response" if role != "output" else "expected"
    text = "Look at this.\n\n" + mark.format(name, BODY) + "\n\n" + mark.format(other, "the other")
    found = {section.role: section.body for section in sections(text)}
    assert found[role] == BODY
    assert found[role_of(other)] == "the other"


@pytest.mark.parametrize(
    ("role", "names"),
    [
        (
            "expected",
            "expected, Reference answer, gold_label, ground-truth, Correct answer, target, idealOutput",
        ),
        (
            "output",
            "output, Model's answer, response, prediction, Candidate, submission, actual_output, modelReply",
        ),
        ("input", "input, question, Context, user_query, Source document, E-mail"),
        (None, "output format, Is the response correct?, weather"),
    ],
)
def test_names_tell_roles(role, names):
    for name in names.split(", "):
        assert role_of(name) == role, name


@given(st.text(max_size=200))
@example("Answer: 42\n\nExpected: 43\n# Reference\n<expected>x</expected>\n<<<END OUTPUT 11>>>\n[/OUTPUT]")
@example("[[ ## expected ## ]]\n---\nFeedback: none")
def test_what_stands_between_marks_with_an_id_is_taken_as_it_is(body):
    text = (
        "<<<EXPECTED 5d0e>>>\nyes\n<<<END EXPECTED 5d0e>>>\n\n"
        f"<<<OUTPUT 5d0e>>>\n{body}\n<<<END OUTPUT 5d0e>>>\nJudge!"
    )
    found = [(s.role, s.body) for s in sections(text) if s.role]
    assert found == [("expected", "yes"), ("output", body.replace("\0", " ").strip())]


@given(st.text(alphabet="ab:#<>[]{}=-* \n/", max_size=120))
def test_any_text_can_be_read(text):
    assert isinstance(read(text).talk, str)
    read_evidence(text)


def test_what_is_said_to_the_reader_is_kept_apart():
    reading = read("Be strict.\n\nReference: a\nResponse: b\nsecond line\n\nIs it right? Reply yes or no.")
    assert "Be strict." in reading.talk
    assert "Reply yes or no." in reading.talk
    assert "second line" not in reading.talk


CASES = [
    ("Dear desk,\nwhere is my parcel?\nRequest: urgent", "Queue: **delivery**\n\nIt is late.", "shipping"),
    ("6 × 7\nplus 1", "6 × 7 = 42\n\nAnswer: 42", "43"),
    ("Order 12", '```json\n{"Id": "12"}\n```', '{"id": 12}'),
    ("Hello", "I am sorry, I can't help with that.", "general"),
]
LAYOUTS = {
    "nested headings": "### Example {n}\n#### Inputs\n{i}\n#### Generated Outputs\n{o}\n#### Feedback\n"
    "Expected answer: {e}\nFeedback: the answer differs",
    "labels": "Input: {i}\nExpected answer: {e}\nModel's answer: {o}\nFeedback: the answer differs",
    "numbered labels": "Input {n}: {i}\nGot {n}: {o}\nWanted {n}: {e}",
    "bold labels": "{n}.\n**Input:**\n{i}\n**Output:**\n{o}\n**Expected:**\n{e}",
    "labels below headings": "## Case {n}\nQuestion: {i}\nPrediction: {o}\nGround truth: {e}",
    "tags": "<example><input>{i}</input>\n<output>{o}</output>\n<expected>{e}</expected></example>",
    "fences": "[INPUT]\n{i}\n[/INPUT]\n[OUTPUT]\n{o}\n[/OUTPUT]\n[TARGET]\n{e}\n[/TARGET]",
    "separated": "Input:\n{i}\n\nResponse:\n{o}\n\nReference:\n{e}\n\n---",
}
FRAMES = {
    "plain": 'A prompt:\n"""\nSort: {{{{x}}}}\n"""\n\nIt failed on these:\n\n{cases}\n\n'
    "Return the improved prompt only.",
    "fields": "[[ ## current_instructions ## ]]\nSort the mail: {{{{x}}}}\n\n[[ ## failure_report ## ]]\n"
    "Of 9 inputs, 5 were answered well and 4 were not.\n\n## Problem 1 (4 of 4 failures): the answer differs "
    "from the expected one\n\n{cases}\n\n[[ ## assignment ## ]]\nWrite new instructions.\n\nRespond with the "
    "corresponding output fields, starting with the field `[[ ## instructions ## ]]`, and then ending with "
    "the marker for `[[ ## completed ## ]]`.",
    "headings": "# Prompt\nSort the mail: {{{{x}}}}\n\n# Failures\n{cases}\n\n# Output format\n"
    "The new prompt in ``` fences.",
}


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_cases_are_read_in_any_layout(layout, frame):
    shown = "\n\n".join(LAYOUTS[layout].format(n=n, i=i, o=o, e=e) for n, (i, o, e) in enumerate(CASES, 1))
    evidence = read_evidence(FRAMES[frame].format(cases=shown))
    found = [(case.output, case.expected) for case in evidence.cases]
    assert found == [(o, e) for _, o, e in CASES]
    assert all(
        case.input.startswith(i.split("\n")[0]) for case, (i, _, _) in zip(evidence.cases, CASES, strict=True)
    )
    assert "{{x}}" in evidence.prompt


def test_lines_that_look_like_labels_do_not_split_regular_cases():
    shown = "\n\n".join(f"Input: row {n}\nOutput: value {n}\nExpected: label {n}" for n in range(4))
    shown = shown.replace("value 0", "value 0\nExpected delivery: Monday")
    evidence = read_evidence(FRAMES["plain"].format(cases=shown))
    assert [case.expected for case in evidence.cases] == [f"label {n}" for n in range(4)]
    assert evidence.cases[0].output == "value 0\nExpected delivery: Monday"
