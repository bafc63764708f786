"""Several candidates at once, guardrail scores, and production's noise."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from promptmigrate.decide import Interval, Rules, decide, decide_all, mean_ratio, quantile_ratio, switch_if
from promptmigrate.decide.holm import bonferroni_confidence
from promptmigrate.errors import DataError
from tests.decide.paired import counts, paired

RULES = Rules(margin=0.05)


class TestSeveral:
    def test_one_alone_is_decided_as_ever(self):
        rows = counts(190, fixed=4, broken=3, neither=3)
        assert decide_all({"a": rows}, RULES) == {"a": decide(rows, RULES)}
        assert decide_all({}, RULES) == {}

    def test_what_passes_alone_may_not_pass_among_others(self):
        close = counts(139, broken=1)
        assert decide(close, RULES).verdict == "PROMOTE"
        bad = [replace(row, candidate=0.0) for row in close]
        found = decide_all({"close": close, "bad": bad, "worse": bad}, RULES)
        assert [v.verdict for v in found.values()] == ["INCONCLUSIVE", "REJECT", "REJECT"]
        assert found["close"].confidence == pytest.approx(1 - 0.05 / 3)
        assert "98.33% interval" in found["close"].reasons[0]

    def test_holm_lets_a_second_one_pass_at_a_lower_price(self):
        """The first passes at half the level, the second at the whole, where Bonferroni would refuse it."""
        sure = counts(130)
        close = counts(129, broken=1)
        found = decide_all({"sure": sure, "close": close}, RULES)
        assert [v.verdict for v in found.values()] == ["PROMOTE", "PROMOTE"]
        assert found["sure"].confidence == 0.975 and found["close"].confidence == 0.95
        assert found["close"].joint.interval.low < -0.05 < found["close"].interval.low
        assert found["close"].joint.candidates == 2
        json.dumps(found["close"].to_json(), allow_nan=False)

    def test_intervals_of_cost_and_latency_hold_for_all_at_once(self):
        rng = np.random.default_rng(4)
        costs, odds = rng.lognormal(size=150), rng.uniform(size=150)
        rows = [
            replace(row, baseline_cost_usd=cost, candidate_cost_usd=cost * 0.5 * odd,
                    baseline_latency_s=cost * 3, candidate_latency_s=cost * odd)
            for row, cost, odd in zip(counts(150), costs, odds, strict=True)
        ]  # fmt: skip
        rules = Rules(margin=0.05, guardrails={"p95_latency_ratio": 0.9})
        alone, found = decide(rows, rules), decide_all({"a": rows, "b": rows, "c": rows}, rules)
        for verdict in found.values():
            assert verdict.joint.confidence == pytest.approx(1 - 0.05 / 3)
            for name in ("cost_ratio_interval", "p95_latency_ratio_interval"):
                wide, narrow = getattr(verdict, name), getattr(alone, name)
                assert wide.low <= narrow.low and narrow.high <= wide.high and wide != narrow
            # one interval, whatever level of Holm's the quality was decided at
            assert verdict.guardrails[0].interval == verdict.p95_latency_ratio_interval
            low, high = verdict.cost_ratio_interval
            assert f"production's ({low:.2f}x to {high:.2f}x) and a p95" in switch_if("m", verdict)

    def test_when_to_switch(self):
        holds = decide(counts(190, fixed=4, broken=3, neither=3), RULES)
        assert switch_if("m", holds).startswith("Switch to m only for reasons of your own: it has a quality")
        cheap, dear = (replace(holds, cost_ratio=ratio, p95_latency_ratio=1.2) for ratio in (0.5, 8.0))
        assert switch_if("m", cheap).startswith(
            "Switch to m if a cost per call of 0.50x production's and a p95"
        )
        assert "only for reasons of your own: it has a cost per call of 8.00x" in switch_if("m", dear)
        quicker, perhaps = (
            replace(holds, p95_latency_ratio=0.9, p95_latency_ratio_interval=Interval(0.8, high))
            for high in (0.99, 1.01)
        )
        assert switch_if("m", quicker).startswith("Switch to m if a p95 latency of 0.90x")
        assert "only for reasons of your own: it has a p95 latency of 0.90x" in switch_if("m", perhaps)
        assert switch_if("m", decide(counts(20), RULES)).startswith("Switch to m only when about ")
        assert switch_if("m", decide(counts(20, broken=90), RULES)).startswith("Do not switch to m: Quality")

    def test_the_order_of_candidates_does_not_matter(self):
        items = {"a": counts(139, broken=1), "b": counts(140), "c": counts(136, broken=4)}
        backwards = dict(reversed(items.items()))
        assert decide_all(items, RULES) == decide_all(backwards, RULES)
        assert list(decide_all(backwards, RULES)) == ["c", "b", "a"]

    def test_other_rows_of_production_are_refused(self):
        with pytest.raises(DataError, match="'a' and 'b' were not compared with the same rows"):
            decide_all({"a": counts(20), "b": counts(19, fixed=1)}, RULES)

    @pytest.mark.slow
    def test_the_chance_of_any_false_promotion_is_that_of_one(self):
        """200 families of four, all worse by the margin, half alike: 2.5 % nominal, above 6 % in 0.2 %."""
        from promptmigrate.decide.candidates import holm_confidence
        from promptmigrate.decide.quality import weighted_mean

        rng = np.random.default_rng(2)
        wrong = 0
        for _ in range(200):
            shared = rng.random(160)
            p_values = []
            for _candidate in range(4):
                fate = np.where(rng.random(160) < 0.5, shared, rng.random(160))
                rows = [paired(n, 1.0, float(f >= 0.05)) for n, f in enumerate(fate.tolist())]
                mean = weighted_mean(rows, [row.difference for row in rows], lower=-1.0)
                p_values.append(mean.p_greater(-0.05))
            levels = holm_confidence(p_values, 0.95)
            wrong += any(p < (1 - level) / 2 for p, level in zip(p_values, levels, strict=True))
        assert wrong / 200 <= 0.06

    @pytest.mark.slow
    @pytest.mark.parametrize("measured", ["cost", "latency"])
    def test_joint_intervals_of_ratios_cover_all_candidates(self, measured):
        """200 families of four that share production's calls: 95 % stated, below 90 % in 0.3 %."""
        rng = np.random.default_rng(11)
        level, held = bonferroni_confidence(4, 0.95), 0
        ones, names = [1.0] * 150, [str(n) for n in range(150)]
        for family in range(200):
            production = rng.lognormal(sigma=0.4, size=150)
            good = True
            for candidate in range(4):
                other = production**0.5 * rng.lognormal(sigma=0.3, size=150)
                settings = {
                    "clusters": names,
                    "weights": ones,
                    "confidence": level,
                    "seed": family * 4 + candidate,
                }
                if measured == "cost":  # E of a lognormal is exp(variance / 2)
                    truth = math.exp((0.04 + 0.09) / 2 - 0.16 / 2)
                    ratio = mean_ratio(production, other, **settings)
                else:
                    truth = math.exp(1.6448536 * (math.sqrt(0.04 + 0.09) - 0.4))
                    ratio = quantile_ratio(production, other, 0.95, **settings)
                good = good and ratio.interval[0] <= truth <= ratio.interval[1]
            held += good
        assert held / 200 >= 0.90


def scored(rows, **scores):
    return [replace(row, scores=scores) for row in rows]


class TestGuardrailScores:
    good = staticmethod(lambda: counts(190, fixed=4, broken=3, neither=3))

    def test_a_score_that_holds(self):
        verdict = decide(scored(self.good(), tone=(0.8, 0.8)), Rules(margin=0.05, scores={"tone": 0.05}))
        assert verdict.verdict == "PROMOTE"
        assert verdict.scores[0].status == "pass"
        assert verdict.scores[0].interval.low > -0.05
        assert verdict.to_json()["guardrail_scores"][0]["name"] == "tone"

    def test_a_score_that_breaks_rejects_though_quality_holds(self):
        verdict = decide(scored(self.good(), tone=(0.9, 0.5)), Rules(margin=0.05, scores={"tone": 0.05}))
        assert verdict.verdict == "REJECT"
        assert verdict.reasons[0].startswith("Score 'tone' is 50.0% under the candidate")

    def test_a_score_that_is_open_leaves_it_open(self):
        rows = [replace(row, scores={"tone": (1.0, float(n % 20 != 0))}) for n, row in enumerate(self.good())]
        verdict = decide(rows, Rules(margin=0.05, scores={"tone": 0.05}))
        assert verdict.scores[0].status == "unclear"
        assert verdict.verdict == "INCONCLUSIVE"

    @pytest.mark.parametrize("having", [0, 150])
    def test_a_score_that_is_missing_is_not_a_pass(self, having):
        rows = scored(self.good()[:having], tone=(1.0, 1.0)) + self.good()[having:]
        verdict = decide(rows, Rules(margin=0.05, scores={"tone": 0.05}))
        assert verdict.scores[0].status == "unmeasurable"
        assert verdict.verdict == "INCONCLUSIVE"
        assert f"only {having} rows of 200" in verdict.reasons[0]

    def test_a_score_without_a_margin_is_not_tested(self):
        assert decide(scored(self.good(), tone=(0.9, 0.1)), RULES).verdict == "PROMOTE"


class TestNoise:
    @staticmethod
    def rows(candidate_broken):
        """Production differs from itself on every tenth row, as often for the better as for the worse."""
        return [
            paired(
                n,
                float(n % 20 != 0),
                float(n >= candidate_broken and n % 20 != 0),
                baseline_again=float(n % 20 != 10),
            )
            for n in range(200)
        ]

    def test_a_difference_within_productions_own_noise_is_said(self):
        verdict = decide(self.rows(4), RULES)
        assert verdict.noise.delta == 0.0 and verdict.noise.changed == 20 and verdict.noise.rows == 200
        assert any("lies within production's own noise" in reason for reason in verdict.reasons)
        assert verdict.to_json()["noise"]["changed"] == 20

    def test_a_difference_beyond_it_too(self):
        verdict = decide(self.rows(60), RULES)
        assert any("lies outside of production's own noise" in reason for reason in verdict.reasons)

    def test_a_mean_over_repeats_is_not_compared_with_its_own_part(self):
        rows = [
            paired(n, 0.5, 0.5, baseline_first=float(n % 2), baseline_again=float(n % 2 == 0))
            for n in range(60)
        ]
        assert decide(rows, RULES).noise.changed == 60

    def test_a_row_whose_first_answer_failed_was_not_asked_twice(self):
        rows = [
            paired(
                n,
                1.0,
                1.0,
                baseline_first=None if n < 40 else float(n % 10 > 0),
                baseline_again=1.0,
            )
            for n in range(140)
        ]
        noise = decide(rows, RULES).noise
        assert (noise.rows, noise.changed) == (100, 10)

    def test_without_second_answers_there_is_nothing_to_say(self):
        verdict = decide(counts(100), RULES)
        assert verdict.noise is None
        assert len(verdict.reasons) == 1

    def test_the_yardstick_of_recorded_answers_is_named(self):
        rows = counts(180, fixed=5, broken=5, neither=10)
        asked = decide(rows, replace(RULES, yardstick="references"))
        assert any("production itself, asked again, scores 92.5%" in reason for reason in asked.reasons)
        assert sum("production" in reason.lower() for reason in asked.reasons[1:]) == 1
        recorded = decide(rows, replace(RULES, yardstick="references", rerun=False))
        assert any("gate.baseline: rerun measures it" in reason for reason in recorded.reasons)

    @pytest.mark.parametrize("changed", [0, 20])
    @pytest.mark.parametrize("recorded", [True, False])
    def test_steady_production_that_left_its_records_is_told_in_one_true_sentence(self, changed, recorded):
        """What two answers of today say of each other is another thing than what they say of the records."""
        rows = [
            paired(n, float(n >= 7), float(n >= 7), baseline_again=float(n >= 7) - (n >= 180) * (changed > 0))
            for n in range(200)
        ]
        rules = replace(RULES, yardstick="references" if recorded else "expectations")
        verdict = decide(rows, rules)
        _, said = verdict.reasons
        assert "no noise" not in said and "noise floor" not in said
        same = "asked twice, scores the same on all 200 rows" in said
        assert same is (changed == 0)
        assert (f"differs from itself on {changed} of 200 rows" in said) is (changed > 0)
        assert (
            "scores 96.5% against them, which is what the candidate is held to, not 100%" in said
        ) is recorded

    def test_production_that_repeats_its_records_is_not_held_to_less(self):
        rows = [paired(n, 1.0, float(n > 1), baseline_again=1.0) for n in range(200)]
        _, said = decide(rows, replace(RULES, yardstick="references")).reasons
        assert said == (
            "Production, asked twice, scores the same on all 200 rows; answers are compared with "
            "production's recorded ones, and production itself, asked again, scores 100.0% against them."
        )


def test_second_opinions_stand_beside_the_decision():
    verdict = decide(counts(190, fixed=9, broken=2, neither=3), RULES)
    assert set(verdict.p_values) == {
        "not_worse_than_margin",
        "better",
        "t_not_worse_than_margin",
        "t_better",
        "permutation_better",
        "mcnemar",
    }
    assert verdict.p_values["permutation_better"] == pytest.approx(verdict.p_values["mcnemar"] / 2)
    assert verdict.intervals["t"].low < verdict.delta < verdict.intervals["t"].high
    assert verdict.intervals["bca"].low < verdict.delta < verdict.intervals["bca"].high
    same = decide(counts(100), RULES)
    assert same.p_values["t_better"] is None and same.intervals == {"t": None, "bca": None}
