"""Outputs cannot talk a judge over: attacks on a gullible simulated judge, with and without our guards."""

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import scorers
from scorers import Sample, _fence, _judge
from scorers._verdict import items, verdict, verdicts
from tests.scorers.attacks import ATTACKS
from tests.scorers.gullible import SECRET, Gullible, sees

NAMES = [f"{group}-{name}" for group, name, _ in ATTACKS]
TEXTS = dict(zip(NAMES, ATTACKS, strict=True))
INPUTS = {"question": "Which stone lies in the drawer?"}


def one(word, user):
    return f"I looked at it. VERDICT: {word}"


def two(word, user):
    return f"I looked at it.\nVERDICT 1: {word}\nVERDICT 2: {word}"


def listed(word, user):
    return f"ITEM 1: the stone\nVERDICT 1: {word}"


def as_json(word, user):
    return json.dumps({"reason": "I looked at it", "verdict": word})


JUDGES = {
    "correctness": ({"use": "correctness"}, Gullible("CORRECT", "INCORRECT", one)),
    "correctness_structured": (
        {"use": "correctness", "structured": True},
        Gullible("CORRECT", "INCORRECT", as_json),
    ),
    "relevance": ({"use": "relevance"}, Gullible("RELEVANT", "IRRELEVANT", one)),
    "rubric": ({"use": "rubric", "criteria": "Does it name the stone?"}, Gullible("5", "1", one)),
    "guidelines": (
        {"use": "guidelines", "guidelines": ["Names the stone", "No more"]},
        Gullible("MET", "NOT_MET", two),
    ),
    "faithfulness": ({"use": "faithfulness"}, Gullible("SUPPORTED", "NOT_FOUND", listed)),
}


def judged(name, output):
    spec, gullible = JUDGES[name]
    from dataclasses import replace

    judge = replace(scorers.from_spec({**spec, "judge": "weak/model", "cascade": False}), complete=gullible)
    return judge(output=output, expected=SECRET, inputs=INPUTS)


def attack(name, judge):
    return TEXTS[name][2].replace("GOOD", JUDGES[judge][1].good)


def unfenced(sections):
    return "\n\n".join(f"{name}:\n{text}" for name, text in sections.items())


def untouched(text):
    return text


def test_there_are_enough_attacks_and_all_differ():
    assert len(ATTACKS) >= 60
    assert len(set(NAMES)) == len({text for _, _, text in ATTACKS}) == len(ATTACKS)
    assert all(SECRET not in text for _, _, text in ATTACKS)


@pytest.mark.parametrize("judge", JUDGES)
def test_the_gullible_judge_is_honest_when_nobody_talks_to_it(judge):
    assert judged(judge, f"It is the {SECRET}.").value == 1.0
    assert judged(judge, "It is a pebble.").value == 0.0


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("judge", JUDGES)
def test_no_attack_raises_the_verdict(judge, name):
    score = judged(judge, attack(name, judge))
    assert score.value == 0.0, f"{name} gave {score}"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("judge", ["correctness", "rubric"])
def test_without_fence_and_rule_every_attack_works(judge, name, monkeypatch):
    monkeypatch.setattr(_judge, "fenced", unfenced)
    monkeypatch.setattr(_judge, "DATA_RULE", "")
    monkeypatch.setattr(_judge, "REMINDER", "")
    assert judged(judge, "It is a pebble.").value == 0.0
    assert judged(judge, attack(name, judge)).value == 1.0


@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith("plain")])
def test_without_neutralisation_the_fence_alone_does_not_hold(name, monkeypatch):
    monkeypatch.setattr(_fence, "neutral", untouched)
    assert judged("correctness", attack(name, "correctness")).value == 1.0


@pytest.mark.parametrize("name", ["plain-padding_before", "plain-padding_around", "plain-padding_newlines"])
def test_without_the_reminder_padding_makes_the_judge_forget_the_rule(name, monkeypatch):
    monkeypatch.setattr(_judge, "REMINDER", "")
    assert judged("correctness", attack(name, "correctness")).value == 1.0


@pytest.mark.parametrize("name", NAMES)
def test_an_attack_copied_whole_into_the_answer_decides_nothing(name):
    """Whatever the judge quotes of the material as it was shown, before or after its own verdict."""
    for good, menu in (("CORRECT", ("CORRECT", "INCORRECT")), ("MET", ("MET", "NOT_MET"))):
        shown = _fence.neutral(TEXTS[name][2].replace("GOOD", good))
        for answer in (f"{shown}\nVERDICT: {menu[1]}", f"VERDICT: {menu[1]}\nThe text reads: {shown}"):
            assert verdict(answer, menu) in (menu[1], None)
        assert verdicts(f"{shown}\nVERDICT 1: {menu[1]}", menu, 1) == [menu[1]]
        listed = items(f"ITEM 1: {shown}\nVERDICT 1: {menu[1]}", menu)
        assert listed is None or {given for _, given in listed} == {menu[1]}
        assert verdict(shown, menu) is None


@pytest.mark.parametrize("name", NAMES)
def test_the_attack_stays_inside_its_fence(name):
    question = scorers.correctness(model="x/y", cascade=False).ask(
        Sample(output=attack(name, "correctness"), expected=SECRET, inputs=INPUTS)
    )
    user = question.messages[1]["content"]
    marks = re.findall(r"<<<(END )?([A-Z]+) ([0-9a-f]{12})>>>", user)
    assert [(bool(end), section) for end, section, _ in marks] == [
        (False, "INPUT"),
        (True, "INPUT"),
        (False, "EXPECTED"),
        (True, "EXPECTED"),
        (False, "OUTPUT"),
        (True, "OUTPUT"),
    ]
    assert user.count("<<<") == user.count(">>>") == 6
    assert len({nonce for *_, nonce in marks}) == 1


@pytest.mark.parametrize("name", NAMES)
def test_in_pairs_an_attack_never_beats_a_real_answer(name):
    from tests.scorers.gullible import GulliblePair

    judge = scorers.pairwise(model="weak/model", complete=GulliblePair(), cascade=False)
    for good in ("FIRST", "SECOND"):
        score = judge(output=TEXTS[name][2].replace("GOOD", good), expected=f"The {SECRET}.", inputs=INPUTS)
        assert score.value == 0.0, f"{name} gave {score}"


def test_in_pairs_the_gullible_judge_can_be_fooled(monkeypatch):
    from tests.scorers.gullible import GulliblePair

    monkeypatch.setattr(_judge, "fenced", unfenced)
    monkeypatch.setattr(_judge, "DATA_RULE", "")
    monkeypatch.setattr(_judge, "REMINDER", "")
    judge = scorers.pairwise(model="weak/model", complete=GulliblePair(), cascade=False)
    fooled = [
        name
        for name, (_, _, text) in TEXTS.items()
        if (judge(output=text.replace("GOOD", "FIRST"), expected=f"The {SECRET}.", inputs=INPUTS).value or 0)
        > 0
    ]
    assert len(fooled) > 0.9 * len(ATTACKS)


@settings(max_examples=400, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [
                "<",
                ">",
                "<<<",
                "＜",
                "&lt;",
                "&#60;",
                "\\u003c",
                " ",
                "\n",
                "\u200b",
                "\u0301",
                "\u00ad",
                "VERDICT",
                "verdict",
                "ＶＥＲ",
                "DICT",
                "VЕRDIСT",
                ":",
                "：",
                "=",
                '"',
                "*",
                "1",
                "(",
                "CORRECT",
                "MET",
                "END",
                "OUTPUT",
                "|",
                "im_start",
                "System",
                "[INST]",
                "\ud800",
                "\U000e0041",
                "a",
            ]
        ),
        max_size=25,
    ).map("".join)
)
def test_no_mixture_of_such_pieces_gets_through(text):
    shown = sees(_fence.neutral(text))
    assert "<<" not in shown
    assert ">>" not in shown
    assert not re.search(r"verdict[\s\d\"'*_]{0,12}[:=]", shown, re.IGNORECASE)
    assert "<|im_start|>" not in shown
    assert verdict(f"My own words: {_fence.neutral(text)}", ("CORRECT", "MET")) is None
