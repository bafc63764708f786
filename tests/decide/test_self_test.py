"""The gate tries itself; here it is sabotaged, and has to notice."""

from dataclasses import replace

import numpy as np
import pytest

from promptmigrate.decide import Rules, bounded_mean, decide, quality
from promptmigrate.decide.self_test import allowance, self_test
from tests.decide.paired import counts, paired

ROWS = counts(170, fixed=6, broken=5, neither=19)
RULES = Rules(margin=0.05)


def trial(rows=ROWS, rules=RULES, **on_trial):
    return self_test(rows, rules, seed=1, **on_trial)


def test_a_sound_gate_passes_and_says_what_it_tried():
    verdict = decide(ROWS, Rules(margin=0.05))
    found = verdict.self_test
    assert found.passed and verdict.verdict == "PROMOTE"
    assert (found.identical, found.broken) == ("PROMOTE", "REJECT")
    assert found.broken_by == pytest.approx(0.1) and found.broken_rows == 20
    assert (found.draws, found.allowed) == (40, 5)
    assert found.promoted <= 5
    assert verdict.to_json()["self_test"]["problems"] == []


@pytest.mark.parametrize("rows", [10, 40, 400])
@pytest.mark.parametrize("superiority", [False, True])
def test_a_sound_gate_passes_at_any_size(rows, superiority):
    items = [
        paired(n, float(n % 9 != 0), float(n % 8 != 0), cluster=str(n // 2), weight=1 + n % 3)
        for n in range(rows)
    ]
    found = trial(items, Rules(margin=0.03, superiority=superiority))
    assert found.passed, found.problems
    assert found.broken != "PROMOTE"


def test_production_is_not_better_than_itself():
    found = trial(rules=Rules(margin=0.0, superiority=True))
    assert found.identical == "REJECT" and found.passed
    found = trial(rules=Rules(margin=0.0, superiority=True), decider=lambda *_: "PROMOTE")
    assert not found.passed
    assert "better than itself" in found.problems[0]


def test_a_limit_below_one_does_not_reject_production_itself():
    priced = [replace(row, baseline_cost_usd=0.01, candidate_cost_usd=0.001) for row in ROWS]
    verdict = decide(priced, Rules(margin=0.05, guardrails={"cost_ratio": 0.5}))
    assert verdict.self_test.identical == "PROMOTE"
    assert verdict.verdict == "PROMOTE"


def test_what_else_the_rules_ask_does_not_hide_the_broken_candidate():
    """Unknown prices leave all INCONCLUSIVE; a rule blind to quality shall still be found out."""
    rules = Rules(margin=0.05, guardrails={"cost_ratio": 0.5}, uncalibrated=("tone",), scores={"tone": 0.1})

    def blind(rows, rules, seed):
        return "INCONCLUSIVE" if rules.guardrails or rules.scores or rules.uncalibrated else "PROMOTE"

    seen = []
    found = trial(
        rules=rules,
        decider=lambda rows, r, seed: seen.append(r) or blind(rows, replace(r, uncalibrated=()), seed),
    )
    assert not found.passed and "broken on purpose" in found.problems[0]
    assert seen[1].judges == "any"


def swapped(rows, rules, seed):
    return decide_plainly([replace(r, baseline=r.candidate, candidate=r.baseline) for r in rows], rules, seed)


def decide_plainly(rows, rules, seed):
    from promptmigrate.decide.self_test import gate_says

    return gate_says(rows, rules, seed)


def wide_margin(rows, rules, seed):
    return decide_plainly(rows, replace(rules, margin=0.5), seed)


def drops_what_got_worse(rows, rules, seed):
    return decide_plainly([r for r in rows if r.candidate >= r.baseline], rules, seed)


@pytest.mark.parametrize("sabotaged", [swapped, wide_margin, drops_what_got_worse, lambda *_: "PROMOTE"])
def test_a_gate_that_promotes_the_broken_one_is_caught(sabotaged):
    found = trial(decider=sabotaged)
    assert not found.passed
    assert "promotes production with 20 answers broken on purpose, a loss of 10.0 points" in found.problems[0]


def test_a_gate_that_rejects_production_itself_is_caught():
    found = trial(decider=lambda rows, rules, seed: "REJECT")
    assert not found.passed
    assert "rejects production compared with itself" in found.problems[0]


def higher_mean(rows, rules):
    delta = np.average([r.difference for r in rows], weights=[r.weight for r in rows])
    return "pass" if delta > rules.threshold else "fail"


@pytest.mark.parametrize("superiority", [False, True])
def test_a_rule_without_uncertainty_is_caught(superiority):
    found = trial(rules=Rules(margin=0.05, superiority=superiority), ruler=higher_mean)
    assert not found.passed
    assert found.promoted > 10
    assert "just too bad to pass" in found.problems[0]


def test_rows_of_groups_taken_as_independent_are_caught():
    together = [replace(row, cluster=str(n // 20)) for n, row in enumerate(counts(380, neither=20))]

    def blind_to_groups(rows, rules):
        return quality_of([replace(row, cluster=row.example) for row in rows], rules)

    from promptmigrate.decide.self_test import quality_says as quality_of

    assert not trial(together, ruler=blind_to_groups).passed
    assert trial(together).passed


def test_decide_itself_does_not_promote_when_its_estimator_is_sabotaged(monkeypatch):
    def flipped(values, **settings):
        return bounded_mean([-v for v in values] if settings["lower"] < 0 else values, **settings)

    monkeypatch.setattr(quality, "bounded_mean", flipped)
    verdict = decide(counts(150, fixed=5, broken=25, neither=20), Rules(margin=0.05))
    assert verdict.verdict == "INCONCLUSIVE"
    assert verdict.reasons[0].startswith("The gate failed its own test: it promotes production with")


def test_decide_itself_does_not_promote_when_its_interval_is_too_narrow(monkeypatch):
    def sure(values, **settings):
        found = bounded_mean(values, **settings)
        return replace(found, effective_rows=found.effective_rows * 100)

    monkeypatch.setattr(quality, "bounded_mean", sure)
    verdict = decide(ROWS, Rules(margin=0.02))
    assert verdict.verdict == "INCONCLUSIVE"
    assert "just too bad to pass" in verdict.reasons[0]


def test_without_room_to_break_it_says_so():
    found = trial(counts(2, neither=198))
    assert found.broken is None and found.broken_rows == 0 and found.draws == 0
    assert found.passed
    verdict = decide(counts(2, neither=198), RULES)
    assert any("could not be tried on a broken candidate" in warning for warning in verdict.warnings)
    some = trial(counts(14, neither=186))
    assert some.broken_by == pytest.approx(0.07), "all that production has"
    assert some.broken != "PROMOTE"


def test_the_same_rows_give_the_same_trials():
    assert decide(ROWS, RULES).self_test == decide(ROWS[::-1], RULES).self_test


def test_the_allowance_is_what_chance_explains():
    assert allowance(40, 0.025) == 5
    assert allowance(0, 0.025) == 0
    rng = np.random.default_rng(1)
    assert np.mean(rng.binomial(40, 0.025, size=200_000) > 5) <= 1 / 2000


def test_latencies_do_not_choose_the_draws():
    """A run that was killed and goes on measures other latencies; its p-values and trials are the same."""
    slow = [replace(row, baseline_latency_s=2.0, candidate_latency_s=1.0 + n) for n, row in enumerate(ROWS)]
    quick = [replace(row, baseline_latency_s=0.1, candidate_latency_s=0.2) for row in ROWS]
    first, second = (decide(rows, Rules(margin=0.05)) for rows in (slow, quick))
    assert first.p_values == second.p_values
    assert first.self_test == second.self_test
