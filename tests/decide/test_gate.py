import json
import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from promptmigrate.decide import MIN_CLUSTERS, PairedRow, Rules, decide, switch_if
from promptmigrate.decide.assess import assess
from promptmigrate.errors import DataError, UsageError
from tests.decide.draws import draw


def row(number: int, baseline: float | None, candidate: float | None, **fields) -> PairedRow:
    values = {
        "baseline_cost_usd": 0.01,
        "candidate_cost_usd": 0.002,
        "baseline_latency_s": 1.0 + number % 7 / 10,
        "candidate_latency_s": 0.5 + number % 7 / 10,
        "cluster": str(number),
        **fields,
    }
    return PairedRow(example=f"e{number}", baseline=baseline, candidate=candidate, **values)


def rows(both: int, fixed: int = 0, broken: int = 0, neither: int = 0, **fields) -> list[PairedRow]:
    kinds = [(1.0, 1.0)] * both + [(0.0, 1.0)] * fixed + [(1.0, 0.0)] * broken + [(0.0, 0.0)] * neither
    return [row(n, b, c, **fields) for n, (b, c) in enumerate(kinds)]


def with_costs(items: list[PairedRow], baseline: float | None, candidate: float | None) -> list[PairedRow]:
    return [
        row(n, r.baseline, r.candidate, baseline_cost_usd=baseline, candidate_cost_usd=candidate)
        for n, r in enumerate(items)
    ]


FREE: dict[str, None] = dict.fromkeys(
    ("baseline_cost_usd", "candidate_cost_usd", "baseline_latency_s", "candidate_latency_s")
)
"""Nothing measured besides quality: no bootstrap, so simulations are quick."""


class TestNotWorse:
    def test_equal_quality_on_enough_rows_is_promoted(self):
        verdict = decide(rows(190, fixed=4, broken=3, neither=3), Rules(margin=0.05))
        assert verdict.verdict == "PROMOTE"
        assert verdict.interval.low > -0.05
        assert verdict.rows_needed is None
        assert (verdict.fixed, verdict.broken) == (4, 3)
        assert verdict.reasons[0].startswith("Quality holds: the candidate scores 97.0% and production 96.5%")
        assert "a loss of 5.0 points or more is ruled out" in verdict.reasons[0]

    def test_a_clear_loss_is_rejected(self):
        verdict = decide(rows(120, broken=60), Rules(margin=0.05))
        assert verdict.verdict == "REJECT"
        assert verdict.interval.high < -0.05
        assert verdict.reasons[0].startswith("Quality drops:")

    def test_forty_rows_without_a_difference_prove_nothing_about_two_points(self):
        verdict = decide(rows(40), Rules(margin=0.02))
        assert verdict.verdict == "INCONCLUSIVE"
        assert verdict.delta == 0
        assert 100 <= verdict.rows_needed <= 200
        assert decide(rows(40 + verdict.rows_needed), Rules(margin=0.02)).verdict == "PROMOTE"

    def test_a_loss_beyond_the_margin_that_is_not_sure_says_that_rows_will_not_help(self):
        verdict = decide(rows(95, broken=5), Rules(margin=0.02))
        assert verdict.verdict == "INCONCLUSIVE"
        assert verdict.rows_needed is None
        assert any("More rows will hardly help" in reason for reason in verdict.reasons)

    def test_a_small_loss_names_both_numbers_of_rows(self):
        verdict = decide(rows(195, fixed=1, broken=4), Rules(margin=0.03))
        assert verdict.verdict == "INCONCLUSIVE"
        assert verdict.delta < 0
        (advice,) = [reason for reason in verdict.reasons if "more test rows" in reason]
        assert "would do if in truth there is no difference)" in advice

    def test_rows_of_one_session_are_not_counted_as_independent(self):
        changes = rows(180, fixed=14, broken=12)
        assert decide(changes, Rules(margin=0.06)).verdict == "PROMOTE"
        together = [row(n, r.baseline, r.candidate, cluster=str(n // 6)) for n, r in enumerate(changes)]
        verdict = decide(together, Rules(margin=0.06))
        assert verdict.verdict == "INCONCLUSIVE"
        assert verdict.clusters == 35
        assert any("35 groups" in warning for warning in verdict.warnings)

    def test_continuous_scores(self):
        draw_ = random.Random(2)
        items = []
        for n in range(300):
            base = draw_.uniform(0.6, 0.9)
            items.append(row(n, base, min(1.0, max(0.0, base + draw_.gauss(0.0, 0.08)))))
        verdict = decide(items, Rules(margin=0.03))
        assert verdict.verdict == "PROMOTE"
        assert verdict.p_values["mcnemar"] is None

    def test_weights_count(self):
        items = [row(n, 1.0, 0.0 if n < 20 else 1.0, weight=5.0 if n < 20 else 1.0) for n in range(100)]
        verdict = decide(items, Rules(margin=0.05))
        assert verdict.delta == pytest.approx(-100 / 180)


class TestSuperiority:
    def test_a_real_improvement_is_promoted(self):
        verdict = decide(rows(120, fixed=25, broken=4, neither=20), Rules(margin=0.02, superiority=True))
        assert verdict.verdict == "PROMOTE"
        assert verdict.interval.low > 0
        assert verdict.p_values["mcnemar"] < 0.001

    def test_no_improvement_is_rejected_however_many_rows(self):
        for items in (rows(40), rows(500), rows(90, fixed=5, broken=5), rows(90, fixed=3, broken=6)):
            verdict = decide(items, Rules(margin=0.02, superiority=True))
            assert verdict.verdict == "REJECT"
            assert "does not improve" in verdict.reasons[0]

    def test_an_improvement_that_may_be_luck_is_open(self):
        verdict = decide(rows(90, fixed=5, broken=2), Rules(margin=0.02, superiority=True))
        assert verdict.verdict == "INCONCLUSIVE"
        assert verdict.rows_needed > 50
        assert "the interval still contains zero" in verdict.reasons[0]


class TestGuardrails:
    good = staticmethod(lambda: rows(190, fixed=4, broken=3, neither=3))
    limits = {"cost_ratio": 0.6, "p95_latency_ratio": 1.2}  # noqa: RUF012 - read only

    def test_kept(self):
        verdict = decide(self.good(), Rules(margin=0.05, guardrails=self.limits))
        assert verdict.verdict == "PROMOTE"
        assert [g.status for g in verdict.guardrails] == ["pass", "pass"]
        assert verdict.cost_ratio == pytest.approx(0.2)
        assert verdict.baseline.cost_per_call_usd == pytest.approx(0.01)
        assert verdict.candidate.p95_latency_s == pytest.approx(1.1)

    def test_cost_above_its_limit_is_rejected_and_comes_first(self):
        verdict = decide(with_costs(self.good(), 0.01, 0.0061), Rules(margin=0.05, guardrails=self.limits))
        assert verdict.verdict == "REJECT"
        assert verdict.reasons[0] == (
            "Cost per call is 0.61x production's (interval 0.61x to 0.61x), above the limit of 0.60x."
        )

    def test_cost_above_its_limit_is_rejected_although_its_interval_reaches_below(self):
        draw_ = random.Random(6)
        items = [
            row(n, r.baseline, r.candidate, candidate_cost_usd=0.0062 * draw_.uniform(0.2, 1.8))
            for n, r in enumerate(self.good())
        ]
        verdict = decide(items, Rules(margin=0.05, guardrails=self.limits))
        assert verdict.cost_ratio_interval.low < 0.6 < verdict.cost_ratio
        assert verdict.verdict == "REJECT"

    def test_unknown_price_is_not_a_pass(self):
        verdict = decide(with_costs(self.good(), 0.01, None), Rules(margin=0.05, guardrails=self.limits))
        assert verdict.verdict == "INCONCLUSIVE"
        assert verdict.guardrails[0].status == "unmeasurable"
        assert "give the model's price" in verdict.reasons[0]
        assert verdict.baseline.cost_per_call_usd == pytest.approx(0.01), "what is known is still shown"
        assert verdict.candidate.cost_per_call_usd is None

    def test_unknown_price_does_not_matter_without_a_limit(self):
        assert decide(with_costs(self.good(), None, None), Rules(margin=0.05)).verdict == "PROMOTE"

    def test_free_production_cannot_be_undercut(self):
        paid = decide(with_costs(self.good(), 0.0, 0.001), Rules(margin=0.05, guardrails=self.limits))
        free = decide(with_costs(self.good(), 0.0, 0.0), Rules(margin=0.05, guardrails=self.limits))
        assert (paid.verdict, free.verdict) == ("REJECT", "PROMOTE")

    def test_latency_is_rejected_only_when_clearly_slower(self):
        def slowed(factor, spread):
            draw_ = random.Random(4)
            return [
                row(
                    n,
                    r.baseline,
                    r.candidate,
                    baseline_latency_s=draw_.lognormvariate(0, spread),
                    candidate_latency_s=factor * draw_.lognormvariate(0, spread),
                )
                for n, r in enumerate(self.good())
            ]

        assert decide(slowed(3.0, 0.3), Rules(margin=0.05, guardrails=self.limits)).verdict == "REJECT"
        unclear = decide(slowed(1.3, 0.6), Rules(margin=0.05, guardrails=self.limits))
        assert unclear.guardrails[1].value > 1.2
        assert unclear.guardrails[1].status == "unclear"
        assert unclear.verdict == "INCONCLUSIVE"

    def test_a_failed_guardrail_rejects_although_quality_is_open(self):
        verdict = decide(with_costs(rows(40), 0.01, 0.02), Rules(margin=0.02, guardrails=self.limits))
        assert verdict.verdict == "REJECT"
        assert verdict.reasons[0].startswith("Cost per call")


class TestUnusable:
    def test_too_few_rows(self):
        verdict = decide(rows(9), Rules(margin=0.5))
        assert verdict.verdict == "INCONCLUSIVE"
        assert verdict.reasons[0] == (
            "Only 9 test rows could be compared; at least 10 are needed for any verdict."
        )
        assert verdict.rows_needed >= 1

    def test_too_few_rows_are_not_rejected_either(self):
        assert decide(rows(0, broken=9), Rules(margin=0.02)).verdict == "INCONCLUSIVE"

    def test_no_rows(self):
        verdict = decide([], Rules(margin=0.02))
        assert verdict.verdict == "INCONCLUSIVE"
        assert (verdict.delta, verdict.interval, verdict.rows, verdict.rows_needed) == (None, None, 0, 10)

    def test_too_few_groups(self):
        items = [row(n, 1.0, 1.0, cluster=str(n % (MIN_CLUSTERS - 1))) for n in range(300)]
        verdict = decide(items, Rules(margin=0.5))
        assert verdict.verdict == "INCONCLUSIVE"
        assert "only 4 groups" in verdict.reasons[0]

    def test_one_group(self):
        verdict = decide([row(n, 1.0, 0.0, cluster="a") for n in range(50)], Rules(margin=0.02))
        assert verdict.verdict == "INCONCLUSIVE"
        assert verdict.delta == -1

    def test_missing_rows_are_left_out_not_scored_as_zero(self):
        items = rows(190, fixed=4, broken=3, neither=3) + [row(900 + n, 1.0, None) for n in range(2)]
        verdict = decide(items, Rules(margin=0.05))
        assert verdict.verdict == "PROMOTE"
        assert verdict.delta == pytest.approx(1 / 200)
        assert (verdict.rows, verdict.rows_given) == (200, 202)
        assert (verdict.missing.baseline, verdict.missing.candidate) == (0, 2)
        assert any("missing unevenly" in warning for warning in verdict.warnings)

    def test_more_rows_are_not_asked_for_where_a_limit_is_broken(self):
        items = [row(n, 1.0, 1.0, baseline_cost_usd=1.0, candidate_cost_usd=2.0) for n in range(40)]
        verdict = decide(items, Rules(margin=0.05, guardrails={"cost_ratio": 0.5}))
        assert (verdict.verdict, verdict.rows_needed) == ("REJECT", None)
        assert verdict.reasons[0].startswith("Cost per call is 2.00x production's")
        assert not any("more test rows" in reason for reason in verdict.reasons)
        assert decide(items, Rules(margin=0.05)).rows_needed

    def test_too_many_missing_rows_come_before_anything_else(self):
        for broken in (0, 100):
            items = rows(190 - broken, broken=broken) + [row(900 + n, None, None) for n in range(40)]
            verdict = decide(items, Rules(margin=0.05))
            assert verdict.verdict == "INCONCLUSIVE"
            assert verdict.reasons[0].startswith("17.4% of the test rows have no measurement")

    @pytest.mark.parametrize("quality,candidate", [(1.0, None), (0.0, 0.0)])
    def test_more_rows_are_not_asked_for_where_they_would_not_help(self, quality, candidate):
        verdict = decide([row(n, quality, candidate) for n in range(60)], Rules(margin=0.05))
        assert (verdict.verdict, verdict.rows_needed) == ("INCONCLUSIVE", None)
        assert switch_if("m", verdict).startswith("Switch to m only when another run has settled it")

    def test_evenly_missing_rows_give_no_warning(self):
        items = [*rows(190), row(900, None, None)]
        assert decide(items, Rules(margin=0.05)).warnings == ()


def test_further_openings_of_the_test_rows_are_said():
    verdict = decide(rows(200), Rules(margin=0.05, test_openings=4, test_candidates=4, test_seen=0.875))
    (warning,) = verdict.warnings
    assert (
        "87.5% of these test rows have now judged 4 candidates;" in warning
        and "up to 9.6% instead of 2.5%" in warning
    )
    assert verdict.to_json()["test_openings"] == 4


def test_one_candidate_under_several_settings_is_one_candidate_and_every_decision_counts():
    changed = ("gate.margin (0.1 -> 0.05)",)
    rules = Rules(margin=0.05, test_openings=2, test_candidates=1, test_seen=1.0, changed_settings=changed)
    luck, settings = decide(rows(200), rules).warnings
    assert (
        "These test rows have now judged this candidate in 2 decisions;" in luck
        and "up to 4.9% instead of 2.5%" in luck
    )
    assert "under other settings: gate.margin (0.1 -> 0.05)." in settings
    more = decide(rows(200), replace(rules, test_openings=3, test_candidates=2)).warnings
    assert "now judged 2 candidates in 3 decisions;" in more[0]


def test_json_holds_what_the_design_asks_for_and_is_json():
    verdict = decide(rows(150, fixed=2, broken=2), Rules(margin=0.05, guardrails={"cost_ratio": 0.5}))
    record = json.loads(json.dumps(verdict.to_json(), allow_nan=False))
    assert record["verdict"] == verdict.verdict
    assert record["interval"] == list(verdict.interval)
    assert record["rows"] == {
        "test": 154,
        "used": 154,
        "groups": 154,
        "unscored": 0,
        "unscored_baseline": 0,
        "unscored_candidate": 0,
    }
    assert set(record["baseline"]) == {"score", "interval", "cost_per_call_usd", "p95_latency_s"}
    assert record["guardrails"][0]["status"] == "pass"
    empty = json.loads(json.dumps(decide([], Rules(margin=0.05)).to_json(), allow_nan=False))
    assert empty["interval"] is None


@pytest.mark.parametrize(
    "settings_,message",
    [
        ({"margin": -0.1}, "gate.margin"),
        ({"margin": 1.0}, "gate.margin"),
        ({"margin": float("nan")}, "gate.margin"),
        ({"margin": 0.02, "confidence": 1.0}, "gate.confidence"),
        ({"margin": 0.02, "max_missing": 2}, "gate.max_missing"),
        ({"margin": 0.02, "guardrails": {"price": 1}}, "use one of: cost_ratio, p95_latency_ratio"),
        ({"margin": 0.02, "guardrails": {"cost_ratio": 0}}, "cost_ratio"),
    ],
)
def test_settings_out_of_range_are_refused(settings_, message):
    with pytest.raises(UsageError, match=message):
        decide(rows(20), Rules(**settings_))


@pytest.mark.parametrize(
    "bad,message",
    [
        (row(0, 1.0, 1.0), "row 2: example 'e0' appears twice"),
        (row(1, 1.2, 1.0), "row 2: baseline quality is 1.2"),
        (row(1, 1.0, float("nan")), "row 2: candidate quality is nan"),
        (row(1, 1.0, 1.0, weight=0.0), "row 2: weight"),
        (row(1, 1.0, 1.0, candidate_cost_usd=-1.0), "row 2: candidate_cost_usd"),
        (row(1, 1.0, 1.0, baseline_latency_s=float("inf")), "row 2: baseline_latency_s"),
    ],
)
def test_unusable_rows_are_refused(bad, message):
    with pytest.raises(DataError, match=message):
        decide([row(0, 1.0, 1.0), bad], Rules(margin=0.02))


def test_the_same_rows_give_the_same_verdict_in_any_order():
    items = rows(150, fixed=8, broken=6, neither=10)
    shuffled = random.Random(1).sample(items, len(items))
    first = decide(items, Rules(margin=0.05, guardrails={"cost_ratio": 0.6})).to_json()
    second = decide(shuffled, Rules(margin=0.05, guardrails={"cost_ratio": 0.6})).to_json()
    assert first["verdict"] == second["verdict"]
    assert first["interval"] == pytest.approx(second["interval"])
    assert decide(items, Rules(margin=0.05, guardrails={"cost_ratio": 0.6})).to_json() == first


scores = st.one_of(st.none(), st.sampled_from([0.0, 0.5, 1.0]), st.floats(0, 1))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(scores, scores, st.integers(0, 15)), max_size=40),
    st.sampled_from([0.0, 0.02, 0.3]),
    st.booleans(),
)
@example([(0.5, None, 1), (5e-324, None, 0)], 0.0, False)
def test_any_rows_get_a_verdict_that_follows_from_its_numbers(found, margin, superiority):
    items = [row(n, b, c, cluster=str(k)) for n, (b, c, k) in enumerate(found)]
    verdict = decide(items, Rules(margin=margin, superiority=superiority))
    json.dumps(verdict.to_json(), allow_nan=False)
    assert verdict.reasons
    if verdict.verdict == "PROMOTE":
        assert verdict.interval.low > (0 if superiority else -margin)
        assert verdict.rows >= 10 and verdict.clusters >= MIN_CLUSTERS
    if verdict.verdict == "REJECT" and not superiority:
        assert verdict.interval.high < -margin


def promotes(items: list[PairedRow], margin: float) -> bool:
    """The decision without self-test and second opinions, which would take most of a simulation's time."""
    found = assess(items, Rules(margin=margin), seed=1, confidence=0.95)
    return found.verdict.verdict == "PROMOTE"


@pytest.mark.slow
@pytest.mark.parametrize(
    "world",
    [
        {"mean": -0.05, "changed": 0.05},
        {"mean": -0.05, "changed": 0.2, "size": 3.0, "together": 0.5},
        {"mean": -0.05, "changed": 0.4, "scores": "continuous"},
    ],
    ids=["breaks only", "clusters", "continuous"],
)
def test_the_gate_seldom_promotes_a_candidate_that_is_worse_by_the_margin(world):
    rng = np.random.default_rng(17)
    promoted = 0
    for _ in range(250):
        differences, clusters = draw(rng, 150, **world)
        items = [
            # Any pair of scores in [0, 1] with this difference will do.
            row(n, min(1.0, 1.0 - max(0.0, d)), min(1.0, 1.0 + min(0.0, d)), cluster=str(c), **FREE)
            for n, (d, c) in enumerate(zip(differences.tolist(), clusters.tolist(), strict=True))
        ]
        promoted += promotes(items, 0.05)
    assert promoted / 250 <= 0.05


def test_the_gate_has_power():
    """An equal candidate that changes 6 % of 400 rows passes a 5-point margin nearly always."""
    rng = np.random.default_rng(19)
    promoted = 0
    for _ in range(60):
        differences, _ = draw(rng, 400, mean=0.0, changed=0.06)
        items = [row(n, float(d <= 0), float(d >= 0), **FREE) for n, d in enumerate(differences)]
        promoted += promotes(items, 0.05)
    assert promoted >= 54
