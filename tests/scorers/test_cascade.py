"""Cheap checks before judges: what they settle, and how many questions they save."""

import json
import random

import pytest

import scorers
from scorers import Answer, Check, Question, Sample, ScorerSpecError, correctness, from_spec, to_spec

LABELS = ["billing", "delivery", "technical", "refund", "account"]


class Oracle:
    """A judge model that knows the truth by what it is shown; counts what it is asked."""

    def __init__(self, same, menu):
        self.same, self.menu, self.asked = same, menu, 0

    async def __call__(self, question):
        self.asked += 1
        text = question.messages[1]["content"]
        expected, output = (
            text.split(f"<<<{name} ")[1].split(">>>\n", 1)[1].split(f"\n<<<END {name}")[0]
            for name in ("EXPECTED", "OUTPUT")
        )
        return Answer(text="VERDICT: " + self.menu[not self.same(expected, output)])


# --- what checks settle


@pytest.mark.parametrize(
    ("check", "output", "expected", "value", "decider"),
    [
        ("identical", "Yes.", "yes", 1.0, "identical"),
        ("identical", '{"a": 1}', '{"a": 1.0}', 1.0, "equal_json"),
        ("empty", " ", "yes", 0.0, "empty"),
        ("invalid_json", "{a", "yes", 0.0, "invalid_json"),
        ({"use": "exact_match", "passed": 1}, "x", "x", 1.0, "exact_match"),
        (
            {"use": "label_match", "labels": LABELS, "failed": 0, "kinds": ["other_label"]},
            "refund",
            "billing",
            0.0,
            "label_match",
        ),
        ({"use": "contains", "texts": ["sorry"], "passed": 0.25}, "so sorry", "x", 0.25, "contains"),
    ],
)
def test_a_check_settles(check, output, expected, value, decider):
    if check == "identical" and output.startswith("{"):
        decider = "identical"
    judge = scorers.rubric(criteria="Good?", model="x/y", checks=[check])
    score = judge.ask(Sample(output=output, expected=expected))
    assert (score.value, score.evidence["decided_by"]) == (value, decider)
    assert score.cost_usd is None
    assert value == 1.0 or score.rationale
    asked = scorers.rubric(criteria="Good?", model="x/y", checks=[check], cascade=False)
    assert isinstance(asked.ask(Sample(output=output, expected=expected)), Question)


@pytest.mark.parametrize(
    ("check", "output"),
    [
        ("identical", "no"),
        ("empty", "no"),
        ("invalid_json", "{}"),
        ({"use": "exact_match", "passed": 1}, "no"),
        ({"use": "label_match", "labels": LABELS, "failed": 0, "kinds": ["other_label"]}, "the parcel"),
        ({"use": "numeric_match", "failed": 0}, "no number"),
    ],
)
def test_what_no_check_settles_is_asked(check, output):
    judge = scorers.rubric(criteria="Good?", model="x/y", checks=[check])
    asked = judge.ask(Sample(output=output, expected="billing"))
    assert isinstance(asked, Question), asked


def test_checks_go_in_order_and_before_those_of_the_judge():
    lenient = {"use": "contains", "texts": ["Rome"], "passed": 1}
    strict = {"use": "exact_match", "failed": 0}
    sample = Sample(output="Rome", expected="Paris")
    assert correctness(model="x/y", checks=[lenient, strict]).ask(sample).value == 1.0
    assert correctness(model="x/y", checks=[strict, lenient]).ask(sample).value == 0.0


@pytest.mark.parametrize(
    ("checks", "message"),
    [
        (["identcal"], "did you mean 'identical'"),
        ([{"use": "exact_match"}], "say what 'exact_match' settles"),
        ([{"use": "safety", "judge": "x/y", "passed": 1}], "no deterministic scorer"),
        ([5], "a word or a mapping"),
        ([{"use": "exact_match", "passed": 2}], "within"),
        ([{"use": "nothing", "passed": 1}], "no scorer 'nothing'"),
        ("empty", "must be a list"),
    ],
)
def test_checks_are_checked(checks, message):
    with pytest.raises(ScorerSpecError, match=message):
        correctness(model="x/y", checks=checks)


def test_checks_make_the_round_trip_and_are_the_same_from_python_and_yaml():
    spec = {
        "use": "correctness",
        "judge": "x/y",
        "checks": [
            "empty",
            {"use": "label_match", "labels": LABELS, "passed": 1.0, "failed": 0.0, "kinds": ["match"]},
        ],
    }
    judge = from_spec(spec)
    assert json.loads(json.dumps(to_spec(judge))) == spec
    by_hand = Check(scorer=scorers.label_match(labels=LABELS), passed=1, failed=0, kinds=["match"])
    assert correctness(model="x/y", checks=["empty", by_hand]) == judge == from_spec(to_spec(judge))
    assert hash(judge) == hash(from_spec(spec))


# --- how many questions they save


def classification(rows, seed):
    """Labels as a decent model gives them: mostly right, some dressed up, some paraphrased, some wrong."""
    chance = random.Random(seed)
    paraphrases = {
        "billing": "an invoice matter",
        "delivery": "shipping",
        "technical": "a bug",
        "refund": "money back",
        "account": "login trouble",
    }
    for _ in range(rows):
        expected, roll = chance.choice(LABELS), chance.random()
        other = chance.choice([label for label in LABELS if label != expected])
        dressed = chance.choice(
            [f"**{expected.title()}**", f'"{expected}"', f"{expected}.", expected.upper()]
        )
        if roll < 0.5:
            output = expected
        elif roll < 0.7:
            output = dressed
        elif roll < 0.84:
            output = other
        elif roll < 0.94:
            output = chance.choice([paraphrases[expected], f"The category is {expected}."])
        else:
            output = chance.choice([paraphrases[other], f"This is about {other}, I think"])
        yield Sample(output=output, expected=expected)


def same_label(expected, output):
    said = output.casefold().replace("*", "")
    meant = {
        "invoice": "billing",
        "shipping": "delivery",
        "bug": "technical",
        "money": "refund",
        "login": "account",
    }
    found = {label for label in LABELS if label in said} | {
        label for word, label in meant.items() if word in said
    }
    return found == {expected}


def extraction(rows, seed):
    """JSON as a decent model gives it: mostly equal, some formatted otherwise, some wrong, some broken."""
    chance = random.Random(seed)
    for _ in range(rows):
        record = {
            "name": chance.choice(["Anna Lee", "Bo Chen", "Cy Diaz"]),
            "amount": chance.randrange(10, 9000) / 10,
            "date": f"2025-{chance.randrange(1, 13):02}-{chance.randrange(1, 29):02}",
            "paid": chance.random() < 0.5,
        }
        expected, roll = json.dumps(record), chance.random()
        if roll < 0.45:
            output = expected
        elif roll < 0.72:
            output = json.dumps(dict(sorted(record.items())), indent=2)
        elif roll < 0.8:
            output = chance.choice(
                [f"Sure: {expected}", f"```json\n{expected}\n```", expected[:-1], "I cannot say."]
            )
        elif roll < 0.9:
            output = json.dumps({**record, "name": record["name"].upper()})
        else:
            output = json.dumps({**record, "amount": record["amount"] + 1})
        yield Sample(output=output, expected=expected)


def same_record(expected, output):
    try:
        got, want = json.loads(output), json.loads(expected)
    except ValueError:
        return False
    return {**got, "name": got["name"].casefold()} == {**want, "name": want["name"].casefold()}


LABEL_CHECK = {
    "use": "label_match",
    "labels": LABELS,
    "passed": 1,
    "failed": 0,
    "kinds": ["match", "other_label"],
}


@pytest.mark.parametrize(
    "judge, rows, same, menu",
    [
        ({"use": "equivalence", "labels": LABELS}, classification, same_label, ("EQUIVALENT", "DIFFERENT")),
        (
            {"use": "correctness", "checks": [LABEL_CHECK]},
            classification,
            same_label,
            ("CORRECT", "INCORRECT"),
        ),
        (
            {"use": "rubric", "criteria": "Right?", "scale": ["WRONG", "RIGHT"], "checks": [LABEL_CHECK]},
            classification,
            same_label,
            ("RIGHT", "WRONG"),
        ),
        ({"use": "equivalence"}, extraction, same_record, ("EQUIVALENT", "DIFFERENT")),
        (
            {"use": "correctness", "checks": ["identical", "invalid_json"]},
            extraction,
            same_record,
            ("CORRECT", "INCORRECT"),
        ),
    ],
)
def test_cascades_save_at_least_70_percent_of_the_questions_with_the_same_verdicts(judge, rows, same, menu):
    from dataclasses import replace

    samples = list(rows(1_000, seed=7))
    cheap, dear = Oracle(same, menu), Oracle(same, menu)
    built = from_spec({**judge, "judge": "x/y"})
    fast = replace(built, complete=cheap).batch(samples)
    slow = replace(built, complete=dear, cascade=False).batch(samples)
    assert [score.value for score in fast] == [score.value for score in slow]
    assert 0.4 < sum(score.value for score in slow) / len(samples) < 0.95
    assert dear.asked == len(samples)
    assert cheap.asked <= 0.3 * dear.asked, f"{cheap.asked} of {dear.asked} questions are left"
    assert sum(score.evidence["decided_by"] == "judge" for score in fast) == cheap.asked
