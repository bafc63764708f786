import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptmigrate.decide import JudgeErrors, PairedRow, Rules, decide
from promptmigrate.decide.rows import seed_of
from promptmigrate.errors import DataError, UsageError
from tests.decide.paired import counts, paired

FULL = Rules(
    margin=0.03,
    confidence=0.9,
    superiority=True,
    guardrails={"p95_latency_ratio": 1.5, "cost_ratio": 0.6},
    scores={"tone": 0.1, "facts": 0.02},
    slices="block",
    min_slice_rows=30,
    min_rows=12,
    max_missing=0.2,
    test_openings=3,
    test_candidates=2,
    test_seen=0.5,
    changed_settings=("gate.margin (0.1 -> 0.03)",),
    judges="any",
    uncalibrated=("tone",),
    judge_errors=JudgeErrors(true_positive=90, false_negative=5, false_positive=4, true_negative=30),
    yardstick="references",
    rerun=False,
    no_yardstick="Production was blocked.",
)


def test_rules_come_back_from_json_as_they_were():
    assert Rules.from_json(json.loads(json.dumps(FULL.to_json()))) == FULL
    assert Rules.from_json({"margin": 0.05}) == Rules(margin=0.05)
    assert set(FULL.to_json()) >= {"margin", "scores", "uncalibrated", "rerun", "judge_errors"}


@pytest.mark.parametrize(
    "wrong,message",
    [
        ({"margin": "0.1"}, "gate.margin"),
        ({"margin": 0.1, "scores": {"tone": 1.0}}, r"gate\.guardrails\.scores\.tone is 1\.0"),
        ({"margin": 0.1, "slices": "stop"}, "gate.slices is 'stop'; it must be report or block"),
        ({"margin": 0.1, "judges": "some"}, "gate.judges"),
        ({"margin": 0.1, "yardstick": "x"}, "gate.yardstick"),
        ({"margin": 0.1, "no_yardstick": None}, "must be a sentence"),
        ({"margin": 0.1, "test_seen": 1.5}, r"gate.test_seen is 1.5; it must be within \[0, 1\]"),
        ({"margin": 0.1, "min_slice_rows": 0}, "gate.min_slice_rows is 0"),
        ({"margin": 0.1, "rerun": "no"}, "gate.rerun is 'no'"),
        ({"margin": 0.1, "judge_errors": {"true_positive": 1}}, "judge_errors holds true_positive"),
        ({"margin": 0.1, "guardrails": None}, "guardrails of the gate's rules are None"),
        ({"margin": 0.1, "marign": 0.1}, "hold marign, which is not known"),
        ({}, "lack 'margin'"),
    ],
)
def test_wrong_rules_are_refused(wrong, message):
    with pytest.raises(UsageError, match=message):
        Rules.from_json(wrong)


def test_labels_without_a_bad_answer_say_nothing_of_specificity():
    with pytest.raises(UsageError, match="no bad answer"):
        JudgeErrors(true_positive=90, false_negative=5, false_positive=0, true_negative=0)
    with pytest.raises(UsageError, match="true_positive is -1"):
        JudgeErrors(true_positive=-1, false_negative=5, false_positive=3, true_negative=0)


values = st.one_of(st.none(), st.floats(0, 1))


@given(
    st.tuples(values, values, values, values),
    st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=2),
    st.dictionaries(st.text(max_size=5), st.tuples(values, values), max_size=2),
)
def test_rows_come_back_from_json_as_they_were(qualities, slices, scores):
    one, two, again, label = qualities
    row = paired(
        1, one, two, baseline_again=again, candidate_label=label, slices=slices, scores=scores, weight=2.5
    )
    assert PairedRow.from_json(json.loads(json.dumps(row.to_json(), allow_nan=False))) == row


@pytest.mark.parametrize(
    "wrong,message",
    [
        ({"example": "a"}, "lacks baseline, candidate, cluster"),
        ({"example": "a", "cluster": "a", "baseline": 1, "candidate": 1, "qualty": 1}, "holds qualty"),
        ({"example": "a", "cluster": "a", "baseline": 1, "candidate": 1, "slices": {"x": 1}}, "slices of"),
        ({"example": ["a"], "cluster": "a", "baseline": 1, "candidate": 1}, "example of a paired row"),
        ({"example": "a", "cluster": 1, "baseline": 1, "candidate": 1}, "cluster of a paired row"),
        ({"example": "a", "cluster": "a", "baseline": 1, "candidate": 1, "scores": {"x": 1}}, "scores of"),
    ],
)
def test_wrong_rows_are_refused(wrong, message):
    with pytest.raises(DataError, match=message):
        PairedRow.from_json(wrong)


def test_scores_and_labels_are_checked_too():
    with pytest.raises(DataError, match="row 1: score 'tone' is 2"):
        decide([paired(0, 1.0, 1.0, scores={"tone": (1.0, 2.0)})], Rules(margin=0.1))
    with pytest.raises(DataError, match="row 1: baseline_again quality is -1"):
        decide([paired(0, 1.0, 1.0, baseline_again=-1.0)], Rules(margin=0.1))
    with pytest.raises(DataError, match="row 1: candidate quality is '1'"):
        decide([paired(0, 1.0, "1")], Rules(margin=0.1))


def test_a_verdict_is_recomputed_from_json_bit_for_bit_in_any_order():
    rows = [
        paired(
            n,
            float(n % 9 != 0),
            0.1 + 0.8 * (n % 7 != 0),
            cluster=str(n // 2),
            baseline_cost_usd=0.01 + n / 7e4,
            candidate_cost_usd=0.003 + n / 9e4,
            baseline_latency_s=1 + n % 11 / 10,
            candidate_latency_s=1 + n % 13 / 10,
            baseline_again=float(n % 8 != 0),
            slices={"language": "de" if n % 3 else "en"},
            scores={"tone": (0.9, 0.8 + n % 3 / 10), "facts": (1.0, 1.0)},
        )
        for n in range(90)
    ]
    first = json.dumps(decide(rows, FULL).to_json(), allow_nan=False)
    kept = [PairedRow.from_json(json.loads(json.dumps(row.to_json()))) for row in reversed(rows)]
    again = decide(kept, Rules.from_json(json.loads(json.dumps(FULL.to_json()))))
    assert json.dumps(again.to_json(), allow_nan=False) == first


def test_the_draws_depend_on_the_rows():
    """A fixed seed could be the lucky one; the digest of the rows cannot be chosen."""
    rows = [paired(n, 1.0, 1.0) for n in range(60)]
    seeds = {seed_of(rows), seed_of(rows[1:]), seed_of([*rows[1:], paired(0, 1.0, 0.5)])}
    assert len(seeds) == 3
    assert seed_of(rows[::-1]) == seed_of(rows)


class _Yes:
    """A judge that calls all good; it asks nobody."""

    name, version, model = "yes", "1", "sim/none"

    def __call__(self, *, output, expected=None, inputs=None, **_):
        import scorers

        return scorers.Score(name="yes", value=float(output != "bad"))


def test_the_errors_of_a_judge_come_from_its_card():
    import scorers

    rows = [{"output": "good" if n % 3 else "bad", "label": float(n % 4 > 0)} for n in range(40)]
    card = scorers.calibrate(_Yes(), rows)
    errors = JudgeErrors.of(card)
    assert errors.good == 30 and errors.bad == 10
    assert errors.sensitivity == pytest.approx(card.sensitivity.value)
    assert errors.specificity == pytest.approx(card.specificity.value)


def test_nothing_is_promoted_against_a_production_that_is_no_yardstick():
    why = "9 of 80 answers of production came back blocked."
    better = counts(60, fixed=40, broken=1, neither=4)
    worse = counts(10, fixed=1, broken=70, neither=4)
    open_, held = (decide(better, Rules(margin=0.05, no_yardstick=told)) for told in ("", why))
    assert (open_.verdict, held.verdict) == ("PROMOTE", "INCONCLUSIVE")
    assert held.reasons[0].startswith(why) and held.delta == open_.delta
    rejected = decide(worse, Rules(margin=0.05, no_yardstick=why))
    assert rejected.verdict == "REJECT" and why in rejected.reasons
