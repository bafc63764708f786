"""Every built-in judge keeps the contract that plug-ins have to keep."""

import importlib
import json
from typing import ClassVar

import pytest

import scorers
from scorers import Answer, Sample
from scorers._builtin import BUILTIN
from scorers._judge import JudgeBase
from scorers.testing import JudgeContract


def answering(text):
    async def complete(question):
        return Answer(text=text)

    return complete


def lines(verdict, count=4):
    return "\n".join(f"VERDICT {i}: {verdict}" for i in range(1, count + 1))


ITEMS = "ITEM 1: a\nVERDICT 1: {0}\nITEM 2: b\nVERDICT 2: {1}"
CASES = {
    "correctness": {
        "spec": {},
        "good": Sample(output="Paris", expected="paris"),
        "bad": Sample(output="", expected="Paris"),
        "needs_expected": True,
        "says": "VERDICT: INCORRECT",
        "answers": {"Fine.\nVERDICT: CORRECT": 1.0, '{"reason": "x", "verdict": "incorrect"}': 0.0},
    },
    "equivalence": {
        "spec": {"labels": ["a", "b"]},
        "good": Sample(output="A", expected="a"),
        "bad": Sample(output="b", expected="a"),
        "needs_expected": True,
        "says": "VERDICT: DIFFERENT",
        "answers": {"VERDICT: EQUIVALENT": 1.0, "VERDICT: DIFFERENT": 0.0},
    },
    "guidelines": {
        "spec": {"guidelines": ["Is polite", "Is short"]},
        "says": lines("MET", 2),
        "good": Sample(output="Thanks."),
        "answers": {"VERDICT 1: MET\nVERDICT 2: NOT_MET": 0.5, '{"verdicts": ["MET", "MET"]}': 1.0},
    },
    "relevance": {
        "spec": {},
        "says": "VERDICT: RELEVANT",
        "good": Sample(output="x", inputs={"a": "b"}),
        "bad": Sample(output=" ", inputs={"a": "b"}),
        "needs_expected": True,
        "answers": {"VERDICT: RELEVANT": 1.0, "VERDICT: PARTLY": 0.5, "VERDICT: irrelevant": 0.0},
    },
    "faithfulness": {
        "spec": {"context_key": None},
        "says": ITEMS.format("SUPPORTED", "SUPPORTED"),
        "good": Sample(output="x", inputs={"context": "x"}),
        "bad": Sample(output="", expected="x"),
        "needs_expected": True,
        "answers": {
            ITEMS.format("SUPPORTED", "NOT FOUND"): 0.5,
            ITEMS.format("CONTRADICTED", "NOT_FOUND"): 0.0,
            "VERDICT: NONE": 1.0,
            '{"items": []}': 1.0,
            '{"items": [{"item": "a", "verdict": "SUPPORTED"}, {"verdict": "contradicted"}]}': 0.5,
        },
    },
    "completeness": {
        "spec": {},
        "says": ITEMS.format("COVERED", "COVERED"),
        "good": Sample(output="x", expected="x"),
        "bad": Sample(output="", inputs={"a": "b"}),
        "needs_expected": True,
        "answers": {ITEMS.format("COVERED", "PARTLY"): 0.75, ITEMS.format("MISSING", "MISSING"): 0.0},
    },
    "instruction_following": {
        "spec": {},
        "says": "VERDICT: NONE",
        "good": Sample(output="x", inputs={"a": "b"}),
        "bad": Sample(output="", inputs={"a": "b"}),
        "needs_expected": True,
        "answers": {ITEMS.format("FOLLOWED", "NOT_FOLLOWED"): 0.5, ITEMS.format("FOLLOWED", "FOLLOWED"): 1.0},
    },
    "judged_conciseness": {
        "spec": {},
        "says": "VERDICT: CONCISE",
        "good": Sample(output="x"),
        "bad": Sample(output=""),
        "answers": {"VERDICT: CONCISE": 1.0, "VERDICT: WORDY": 0.5, "VERDICT: BLOATED": 0.0},
    },
    "safety": {
        "spec": {"harms": ["spam"]},
        "says": "VERDICT: UNSAFE",
        "good": Sample(output=""),
        "bad": Sample(output="Buy now", inputs={"a": "b"}),
        "answers": {"VERDICT: SAFE": 1.0, "VERDICT: UNSAFE": 0.0},
    },
    "summary_quality": {
        "spec": {},
        "says": lines("5"),
        "good": Sample(output="x", inputs={"document": "x y"}),
        "bad": Sample(output="", expected="x y"),
        "needs_expected": True,
        "answers": {
            lines("5"): 1.0,
            lines("3/5"): 0.5,
            '{"verdicts": {"1": "5", "2": "5", "3": "1", "4": "1"}}': 0.5,
        },
    },
    "rubric": {
        "spec": {"criteria": "Is it kind?", "steps": ["Read it"], "low": 0, "high": 10},
        "says": "VERDICT: 10",
        "good": Sample(output="x"),
        "answers": {"VERDICT: 10": 1.0, "VERDICT: 7/10": 0.7, "VERDICT: 0 out of 10": 0.0},
    },
    "pairwise": {
        "spec": {"candidate": "openai/gpt-4.1"},
        "says": "VERDICT: TIE",
        "good": Sample(output="x", expected=""),
        "bad": Sample(output="", expected="x"),
        "needs_expected": True,
        # every question gets the same answer: "FIRST" in both orders is a flip
        "answers": {"VERDICT: TIE": 0.5, "VERDICT: FIRST": 0.5, '{"reason": "", "verdict": "SECOND"}': 0.5},
    },
    "panel": {
        "spec": {
            "judges": [
                {"use": "correctness"},
                {"use": "correctness", "judge": "b/y"},
                {"use": "rubric", "criteria": "Right?", "scale": ["INCORRECT", "CORRECT"]},
            ],
            "vote": "mean",
        },
        "says": "VERDICT: INCORRECT",
        "good": None,
        "bad": Sample(output="London", expected="Paris"),
        "answers": {"VERDICT: CORRECT": 1.0, "VERDICT: INCORRECT": 0.0},
    },
}


def judge_kinds():
    for name, (module, kind) in BUILTIN.items():
        found = getattr(importlib.import_module(module), kind)
        if issubclass(found, JudgeBase):
            yield name


def test_every_judge_is_here():
    assert set(CASES) == set(judge_kinds())
    assert set(CASES) <= set(scorers.names())


def contract(name, case, extra):
    def make(self):
        spec = {"use": name, "judge": "x/y", **case["spec"], **extra}
        from dataclasses import replace

        return replace(scorers.from_spec(spec), complete=answering(case["says"]))

    return type(
        f"Test{name.title().replace('_', '')}{'Structured' if extra else ''}",
        (JudgeContract,),
        {
            "make": make,
            "good": case["good"],
            "bad": case.get("bad"),
            "needs_expected": case.get("needs_expected", False),
            "answers": case["answers"],
            "__annotations__": {"answers": ClassVar},
        },
    )


for _name, _case in CASES.items():
    for _extra in (
        {},
        {"structured": True, "checks": ["identical"]} if _name == "rubric" else {"structured": True},
    ):
        _made = contract(_name, _case, _extra)
        globals()[_made.__name__] = _made
del _made


@pytest.mark.parametrize("name", CASES)
def test_structured_questions_carry_a_schema_and_ask_for_json(name):
    case = CASES[name]
    judge = scorers.from_spec({"use": name, "judge": "x/y", "structured": True, **case["spec"]})
    question = judge.ask(JudgeContract.asked)
    if name == "panel":  # its judges say themselves how they ask
        assert question.schema is None
        return
    schema = question.schema
    json.dumps(schema)
    assert schema["additionalProperties"] is False
    assert sorted(schema["required"]) == sorted(schema["properties"])
    assert "one JSON object" in question.messages[1]["content"]
    plain = scorers.from_spec({"use": name, "judge": "x/y", **case["spec"]}).ask(JudgeContract.asked)
    assert plain.schema is None
    assert "VERDICT" in plain.messages[1]["content"]


@pytest.mark.parametrize("name", CASES)
def test_the_wording_is_the_same_for_all_samples_and_names_every_verdict(name):
    case = CASES[name]
    judge = scorers.from_spec({"use": name, "judge": "x/y", **case["spec"]})
    one, two = (
        judge.ask(Sample(output=o, expected="Paris", inputs={"text": "q"}))
        for o in ("Rome it is", "No, London")
    )
    assert one.messages[0] == two.messages[0]
    assert one.messages[1] != two.messages[1]
    menu = judge.judges[0].verdict_values if name == "panel" else judge.verdict_values
    assert all(verdict in one.messages[0]["content"] for verdict in menu)
