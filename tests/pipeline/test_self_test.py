"""Whether the scorers of a run notice broken answers, from answers to the verdict."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest

import scorers
import scorers.mlflow
from promptmigrate.decide import Rules, Verdict, decide, switch_if
from promptmigrate.evaluate import Evaluator, Measure, alter, scores_alone
from promptmigrate.lm import Door
from promptmigrate.pipeline.pairs import pair
from promptmigrate.types import Example, Prompt, Variant
from scorers import Sample, Score, Scorer

LABELS = ("billing", "refund", "shipping", "general")
PRODUCTION, CANDIDATE = (Variant(prompt=Prompt.of("{{n}}"), model=name) for name in ("sim/a", "sim/b"))
ROWS = 120


@pytest.fixture(scope="module")
def door() -> Iterator[Door]:
    with Door.open() as opened:
        yield opened


@dataclass(frozen=True)
class Custom:
    """A scorer of a team's own."""

    rate: Callable[..., float]
    name: str = "custom"
    version: str = "1"
    calls: Any = field(default_factory=count)

    def __call__(self, *, output: Any, expected: Any = None, inputs: Any = None, trace: Any = None) -> Score:
        value = self.rate(output, expected, next(self.calls))
        return Score(name=self.name, version=self.version, value=min(1.0, max(0.0, value)))


def checked(output: str, expected: str) -> bool:
    return output == expected


def asked(output: str, expected: str) -> bool:
    return output == expected


asked.asks_model = True  # type: ignore[attr-defined]


def label(n: int) -> str:
    return LABELS[n * 7 % 11 % 4]


def record(n: int) -> str:
    return json.dumps({"label": label(n), "number": n % 7})


def gate(
    door: Door,
    measures: Sequence[Scorer | Measure],
    *,
    answer: Callable[[int], str] = label,
    wrong: Callable[[int], bool] = lambda n: n % 20 == 0,
    margin: float = 0.1,
    scores: dict[str, float] | None = None,
) -> Verdict:
    """Production and a candidate that answer alike; each errs on as many rows."""
    truth = [answer(n) for n in range(ROWS)]
    rows, others = (
        [
            Example(
                id=f"e{n}",
                inputs={"n": n},
                reference=next(t for t in truth[n + 1 :] + truth if t != truth[n])
                if wrong(n + shift)
                else truth[n],
                expectations={"expected_response": truth[n]},
            )
            for n in range(ROWS)
        ]
        for shift in (0, 1)
    )
    taken = [one if isinstance(one, Measure) else Measure(scorer=one) for one in measures]
    evaluator = Evaluator(door, taken)
    baseline, measured = evaluator.recorded(PRODUCTION, rows), evaluator.recorded(CANDIDATE, others)
    tried = evaluator.tried(PRODUCTION, baseline)
    pairs = pair(rows, PRODUCTION, baseline, CANDIDATE, measured, slices={}, tried=tried)
    return decide(pairs, Rules(margin=margin, judges="any", scores=scores or {}))


def found(verdict: Verdict) -> dict[str, tuple[bool, str | None]]:
    assert verdict.self_test is not None
    return {one.how: (one.noticed, one.decision) for one in verdict.self_test.breakages}


SEEING: dict[str, tuple[Scorer, Callable[[int], str]]] = {
    "exact": (scorers.exact_match(), label),
    "label": (scorers.label_match(labels=LABELS), label),
    "label without labels": (scorers.label_match(), label),
    "contains": (Custom(lambda output, expected, n: float(expected in output)), label),
    "fields": (scorers.json_match(), record),
    "shared words": (scorers.token_f1(), lambda n: f"{label(n)} {chr(97 + n % 26) * (10 + n % 9)}"),
}


@pytest.mark.parametrize("kind", SEEING)
def test_scorers_that_compare_notice_both_kinds_of_broken_answers(door: Door, kind: str):
    scorer, answer = SEEING[kind]
    verdict = gate(door, [scorer], answer=answer)
    assert verdict.verdict == "PROMOTE", verdict.reasons
    assert verdict.self_test is not None and verdict.self_test.problems == ()
    assert found(verdict) == {
        "emptied": (True, "REJECT"),
        "swapped": (True, "REJECT"),
        "noise": (True, "REJECT"),
    }
    assert not any("notice" in warning or "form" in warning for warning in verdict.warnings)
    emptied = verdict.self_test.breakages[0]
    assert emptied.loss == pytest.approx(verdict.baseline.score)
    assert emptied.rows == ROWS and emptied.broken_by >= 0.2


FORM: dict[str, tuple[Scorer, Callable[[int], str]]] = {
    "regex": (scorers.regex(pattern="[a-z]+"), label),
    "json": (scorers.json_valid(), record),
    "length": (scorers.length(min_chars=3, max_chars=30), label),
}


@pytest.mark.parametrize("kind", FORM)
def test_a_check_of_form_may_decide_and_is_said_to_be_one(door: Door, kind: str):
    scorer, answer = FORM[kind]
    verdict = gate(door, [scorer], answer=answer)
    assert verdict.verdict == "PROMOTE", verdict.reasons
    assert found(verdict)["emptied"] == (True, "REJECT")
    assert found(verdict)["swapped"] == (False, None)
    assert any("quality looks at the form of answers only" in warning for warning in verdict.warnings)


def test_rows_that_are_alike_in_what_is_scored_are_not_said_to_be_scored_by_form_alone(door: Door):
    def same_label(output: str, expected: str, n: int) -> float:
        return float(output.startswith("{") and json.loads(output)["label"] == json.loads(expected)["label"])

    verdict = gate(
        door,
        [Custom(same_label)],
        answer=lambda n: json.dumps({"label": "spam" if n % 30 == 0 else "fine", "why": f"reason {n}"}),
        wrong=lambda n: False,
    )
    assert verdict.verdict == "PROMOTE" and found(verdict)["swapped"] == (False, None)
    assert any("or where rows hardly differ in what it looks at" in each for each in verdict.warnings)


BLIND: dict[str, tuple[Scorer, str]] = {
    "always right": (Custom(lambda output, expected, n: 1.0), "custom does not notice broken answers"),
    "shorter is better": (
        Custom(lambda output, expected, n: 1 - len(output) / 60),
        "custom does not notice broken answers",
    ),
    "longer is better": (
        Custom(lambda output, expected, n: len(output) / 20),
        "custom looks at nothing but the length of an answer",
    ),
    "long enough": (
        Custom(lambda output, expected, n: len(output) > 3),
        "custom looks at nothing but the length of an answer",
    ),
    "something": (scorers.regex(pattern=".+"), "regex looks at nothing but the length of an answer"),
    "short enough": (scorers.length(max_chars=40), "length does not notice broken answers"),
    "the order of calls": (
        Custom(lambda output, expected, n: n / (8 * ROWS)),
        "scored a second time by custom, 120 answers of production (120 were tried) score otherwise",
    ),
    "a coin": (
        Custom(lambda output, expected, n: float(n * 7919 % 101 < 50)),
        "scored a second time by custom",
    ),
}


@pytest.mark.parametrize("kind", BLIND)
def test_scorers_that_do_not_notice_decide_nothing_and_are_named(door: Door, kind: str):
    scorer, reason = BLIND[kind]
    verdict = gate(door, [scorer])
    assert verdict.verdict == "INCONCLUSIVE"
    assert verdict.self_test is not None and not verdict.self_test.passed
    assert verdict.reasons[0].startswith(f"The gate failed its own test: {reason}")
    assert len(verdict.self_test.problems) == 1, "the first reason is the reason"
    assert not any("leaves no room" in warning for warning in verdict.warnings)
    # No number of rows opens the eyes of a scorer.
    assert verdict.rows_needed is None and not any("more test rows" in each for each in verdict.reasons)
    assert "when another run has settled it" in switch_if("acme/petite", verdict)


def test_a_blind_scorer_beside_one_that_sees_is_named_but_does_not_block(door: Door):
    always = Custom(lambda output, expected, n: 1.0, name="polite")
    verdict = gate(door, [scorers.exact_match(), always], margin=0.2)
    assert verdict.verdict == "PROMOTE"
    assert any(warning.startswith("polite does not notice broken answers") for warning in verdict.warnings)
    # Where it is nearly the whole quality, what the other one sees is within the margin.
    verdict = gate(door, [Measure(scorer=scorers.exact_match(), weight=0.1), Measure(scorer=always)])
    assert verdict.verdict == "INCONCLUSIVE"
    assert "polite does not notice broken answers (production loses 8." in verdict.reasons[0]


def test_a_score_with_a_limit_of_its_own_need_not_notice(door: Door):
    always = Measure(scorer=Custom(lambda output, expected, n: 1.0, name="harmless"), weight=0.0)
    verdict = gate(door, [scorers.exact_match(), always], scores={"harmless": 0.1})
    assert verdict.verdict == "PROMOTE"
    assert not any("harmless" in warning for warning in verdict.warnings)


def test_answers_that_may_be_empty_are_seen_by_another_rows_answer(door: Door):
    verdict = gate(door, [scorers.exact_match()], answer=lambda n: label(n) if n % 12 == 0 else "")
    assert found(verdict)["swapped"] == (True, "REJECT")
    assert verdict.verdict == "PROMOTE"
    spared = gate(door, [Custom(lambda output, expected, n: float(output in ("", expected)))])
    assert found(spared)["emptied"] == (False, None) and found(spared)["swapped"] == (True, "REJECT")
    assert spared.verdict == "PROMOTE"
    assert any("Empty answers are hardly noticed" in warning for warning in spared.warnings)


def test_a_production_that_answers_nothing_is_broken_by_noise(door: Door):
    always = Custom(lambda output, expected, n: 1.0)
    verdict = gate(door, [always], answer=lambda n: "" if n else " ", wrong=lambda n: False)
    assert set(found(verdict)) == {"noise"}
    assert "custom does not notice broken answers" in verdict.reasons[0]
    assert gate(door, [scorers.exact_match()], answer=lambda n: "" if n else " ").verdict == "PROMOTE"


def test_what_cannot_be_scored_is_missing_and_not_wrong(door: Door):
    def strict(output: str, expected: str, n: int) -> float:
        if not output:
            raise ValueError("nothing to look at")
        return float(output == expected)

    verdict = gate(door, [Custom(strict)])
    assert verdict.verdict == "PROMOTE"
    assert found(verdict) == {"emptied": (True, None), "swapped": (True, "REJECT"), "noise": (True, "REJECT")}
    assert verdict.self_test is not None
    emptied = verdict.self_test.breakages[0]
    assert (emptied.loss, emptied.rows, emptied.unscored) == (None, 0, ROWS)

    def own_only(output: str, expected: str, n: int) -> float:
        assert output in LABELS and output.strip() == expected, "not an answer to this row"
        return 1.0

    # An assertion on an answer of production or the candidate ends a run; on a broken one it must not.
    verdict = gate(door, [Custom(own_only)], wrong=lambda n: False)
    assert verdict.verdict == "PROMOTE"
    assert verdict.self_test is not None and verdict.self_test.broken is None
    assert any("could not be scored" in warning for warning in verdict.warnings)


def test_a_judge_is_not_asked_and_the_worst_is_put_in_its_place(door: Door):
    class Judged(scorers.Equivalence):
        def ask(self, sample: Sample) -> Score:
            assert sample.output in LABELS, "a judge is paid: broken answers are not shown to it"
            value = float(sample.output == sample.expected)
            return Score(name=self.name, version=self.version, value=value)

    judge = Judged(model="sim/judge")
    alone = gate(door, [judge]).self_test
    assert alone is not None and alone.passed and alone.unasked == ("equivalence",)
    assert [(one.how, one.decision) for one in alone.breakages] == [("planted", "REJECT")]
    beside = gate(door, [judge, scorers.regex(pattern="[a-z]+")]).self_test
    assert beside is not None and beside.unasked == ("equivalence",)
    of = {one.how: one for one in beside.breakages}
    assert of["swapped"].loss == pytest.approx(0.95 / 2), "the judge's half only"
    assert of["emptied"].loss == pytest.approx(0.95 / 2 + 0.5)


def test_mlflows_scorers_are_tried_unless_they_ask_a_model(door: Door):
    from mlflow.genai.scorers import Guidelines, scorer

    @scorer
    def generous(outputs: Any) -> float:
        return 1.0

    verdict = gate(door, [scorers.mlflow.use(generous)])
    assert "generous does not notice broken answers" in verdict.reasons[0]
    judge = scorers.mlflow.use(Guidelines(name="tone", guidelines="Be kind.", model="openai:/none"))
    assert not scores_alone(judge)


def test_a_scorer_that_says_that_it_asks_a_model_is_not_asked_about_broken_answers(door: Door):
    @dataclass(frozen=True)
    class Paid(Custom):
        asks_model: bool = True

    paid = Paid(lambda output, expected, n: float(output == expected))
    verdict = gate(door, [paid])
    assert next(paid.calls) == 2 * ROWS, "production's and the candidate's answers, and nothing else"
    assert verdict.self_test is not None
    assert verdict.self_test.unasked == ("custom",)
    assert [one.how for one in verdict.self_test.breakages] == ["planted"]
    assert scores_alone(scorers.from_spec({"use": f"{__name__}:checked"}))
    assert not scores_alone(scorers.from_spec({"use": f"{__name__}:asked"}))


def test_where_production_has_nothing_to_lose_no_scorer_is_blamed(door: Door):
    verdict = gate(door, [scorers.exact_match()], wrong=lambda n: n % 30 != 0)
    assert verdict.self_test is not None and verdict.self_test.passed
    assert verdict.self_test.breakages == ()
    assert any("leaves no room" in warning for warning in verdict.warnings)


def test_which_answers_stand_for_which_follows_from_the_rows_alone():
    answers = {f"e{n}": ["a", "b", " A ", "", "b"][n % 5] for n in range(50)}
    first = alter(answers)
    assert first == alter(dict(reversed(answers.items())))
    for row, texts in first.items():
        of = {one.how: one for one in texts}
        assert of["again"].text == answers[row]
        assert ("emptied" in of) == bool(answers[row].strip())
        other = of["swapped"]
        assert other.of is not None and other.text == answers[other.of]
        assert other.text.strip() and other.text.strip().casefold() != answers[row].strip().casefold()
        assert len(of["noise"].text) >= 2 * len(answers[row]) and not any(map(str.isalnum, of["noise"].text))
    assert [one.how for one in alter({"x": "same", "y": "Same"})["x"]] == ["again", "emptied", "noise"]
    assert len(alter({"x": "long" * 5000})["x"][-1].text) == 40_000
    assert alter({}) == {}
