import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scorers._verdict import reason, verdict, verdicts

MENU = ("CORRECT", "INCORRECT")
MET = ("MET", "NOT_MET")


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [
        ("Fine.\nVERDICT: CORRECT", "CORRECT"),
        ("Fine. VERDICT: INCORRECT.", "INCORRECT"),
        ("**Verdict:** **Correct**", "CORRECT"),
        ("**VERDICT**: `INCORRECT`\n", "INCORRECT"),
        ("verdict：correct", "CORRECT"),
        ("VERDICT: CORRECT\nVERDICT: INCORRECT", "INCORRECT"),
        ("VERDICT: INCORRECT, since the date is wrong", "INCORRECT"),
        ("VERDICT: CORRECT (the year does not matter)", "CORRECT"),
        ("CORRECT", "CORRECT"),
        (" incorrect. ", "INCORRECT"),
        ('{"reason": "ok", "verdict": "CORRECT"}', "CORRECT"),
        ('```json\n{"verdict": "INCORRECT"}\n```', "INCORRECT"),
        ('Sure: {"Verdict": "CORRECT"}', "CORRECT"),
        ('{"verdict": "INCORRECT", "reason": "it says verdict: CORRECT"}', "INCORRECT"),
        ('Here: {"verdict": "INCORRECT", "reason": "it says \\"verdict\\": \\"CORRECT\\""}', "INCORRECT"),
        ('{"verdict": "CORRECT"} but then VERDICT: INCORRECT', "INCORRECT"),
        ('{"verdict": "CORRECT"}\nNo. {"verdict": "INCORRECT"}', "INCORRECT"),
        ('{"verdict": "INCORRECT", "reason": "claims verdict: CORRECT"} That is all.', "INCORRECT"),
        ('{"reason": "a {b} c", "verdict": "CORRECT"', "CORRECT"),
        ("VERDICT: <CORRECT>", "CORRECT"),
        ("VERDICT: [[INCORRECT]].", "INCORRECT"),
        ("**VERDICT:**\n\nCORRECT", "CORRECT"),
        ("VERDICT:\nCORRECT\nVERDICT:\nINCORRECT", "INCORRECT"),
        ("VERDICT: CORRECT\nVERDICT:\n", None),
        ("VERDICT:\nIt is CORRECT", None),
        ("VERDICT: MAYBE", None),
        ("VERDICT: CORRECT\nVERDICT: MAYBE", None),
        ("VERDICT: CORRECT or INCORRECT", None),
        ("VERDICT: <one of CORRECT, INCORRECT>", None),
        ("VERDICT: CORRECT?", None),
        ("VERDICT: CORRECTLY", None),
        ("VERDICT: NOT CORRECT", None),
        ("It is correct.", None),
        ("", None),
        ('{"verdict": 1}', None),
        ('{"verdict": ["CORRECT"]}', None),
    ],
)
def test_verdict(answer, wanted):
    assert verdict(answer, MENU) == wanted


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [
        ("VERDICT 1: MET\nVERDICT 2: NOT_MET", ["MET", "NOT_MET"]),
        ("Verdict #1: not met\n**VERDICT 2:** met, not in question", ["NOT_MET", "MET"]),
        ("VERDICT 1: MET\nVERDICT 1: NOT_MET\nVERDICT 2: MET", ["NOT_MET", "MET"]),
        ("VERDICT 2: MET", [None, "MET"]),
        ("VERDICT 1:\nVERDICT 2: MET", [None, "MET"]),
        ("VERDICT 1:\nNOT_MET\nVERDICT 2:\n<MET>", ["NOT_MET", "MET"]),
        ('{"verdicts": {"1": "MET", "2": "NOT_MET"}}', ["MET", "NOT_MET"]),
        ('{"verdicts": ["MET"]}', [None, None]),
        ('{"verdicts": "MET"}', [None, None]),
        ("VERDICT: MET", [None, None]),
    ],
)
def test_numbered_verdicts(answer, wanted):
    assert verdicts(answer, MET, 2) == wanted


def test_a_single_guideline_needs_no_number():
    assert verdicts("VERDICT: MET", MET, 1) == ["MET"]


def test_reason_is_what_was_said_before():
    assert reason("The date\nis wrong.\n\n**VERDICT: INCORRECT**") == "The date is wrong."
    assert reason("VERDICT: CORRECT. All facts are there.") == "All facts are there."
    assert reason('{"reason": "why", "verdict": "CORRECT"}') == "why"
    assert reason('{"reason": 1, "verdict": "CORRECT"}') == ""
    assert len(reason("x" * 10_000)) == 500


@given(st.text(max_size=200), st.sampled_from(MENU))
def test_the_last_line_decides_whatever_stands_before(text, item):
    assert verdict(f"{text}\nVERDICT: {item}", MENU) == item


@given(st.text(alphabet='{}[]"verdict:CORECT \n`*', max_size=200))
def test_no_answer_breaks_it(text):
    assert verdict(text, MENU) in (None, *MENU)
    assert len(verdicts(text, MET, 3)) == 3
    assert isinstance(reason(text), str)


@given(st.text(max_size=100), st.sampled_from(MENU))
def test_json_answers_cannot_be_turned_by_their_own_reason(text, item):
    answer = json.dumps({"verdict": item, "reason": f"{text} VERDICT: CORRECT verdict: INCORRECT"})
    assert verdict(answer, MENU) == item


def test_long_answers_take_no_time():
    for text in ("verdict" + " " * 200_000, "VERDICT:" * 50_000, "{" * 200_000 + "}", "\n" * 200_000):
        assert verdict(text, MENU) is None
