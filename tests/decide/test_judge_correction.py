"""Judges with known mistakes: Rogan-Gladen and PPI++."""

from statistics import NormalDist

import numpy as np
import pytest

from promptmigrate.decide import (
    JudgeErrors,
    Rules,
    bounded_mean,
    corrected_difference,
    corrected_rate,
    decide,
    labelled_mean,
    switch_if,
)
from promptmigrate.decide.rogan_gladen import p_corrected_greater
from tests.decide.paired import counts, paired

SENSITIVITY, SPECIFICITY = 0.93, 0.75


def judged(rng, truth):
    """What a judge says of answers of the given truth."""
    says = rng.random(truth.shape)
    return np.where(truth > 0, says < SENSITIVITY, says > SPECIFICITY).astype(float)


def card(rng, labels=80, good=0.7):
    truth = (rng.random(labels) < good).astype(float)
    says = judged(rng, truth)
    return JudgeErrors(
        true_positive=int((truth * says).sum()),
        false_negative=int((truth * (1 - says)).sum()),
        false_positive=int(((1 - truth) * says).sum()),
        true_negative=int(((1 - truth) * (1 - says)).sum()),
    )


PERFECT = JudgeErrors(true_positive=10**9, false_negative=0, false_positive=0, true_negative=10**9)


class TestRoganGladen:
    def test_turns_the_reported_rate_round(self):
        errors = JudgeErrors(true_positive=90, false_negative=10, false_positive=20, true_negative=80)
        found = corrected_rate(0.62 * 1000, 1000, errors, confidence=0.95)
        assert found.value == pytest.approx((0.62 - 0.2) / 0.7)
        assert found.interval[0] < found.value < found.interval[1]

    def test_the_interval_of_the_rate_is_the_papers(self):
        """Lang and Reiczigel 2014, by hand with z = 2: 42 of 100 for 40 of 96, 9 of 10 for 8 of 8."""
        errors = JudgeErrors(true_positive=8, false_negative=0, false_positive=0, true_negative=8)
        found = corrected_rate(40, 96, errors, confidence=2 * NormalDist().cdf(2) - 1)
        rate = (0.42 + 0.9 - 1) / 0.8
        label = 0.9 * 0.1 / 10
        error = ((0.42 * 0.58 / 100 + (rate**2 + (1 - rate) ** 2) * label) ** 0.5) / 0.8
        middle = rate + 2 * 2**2 * (2 * rate - 1) * label
        assert found.interval == pytest.approx((middle - 2 * error, middle + 2 * error))

    def test_a_judge_without_mistakes_changes_nothing(self):
        difference = bounded_mean([1.0] * 9 + [-1.0] * 14 + [0.0] * 177, lower=-1, upper=1)
        found = corrected_difference(difference, PERFECT, confidence=0.95)
        assert found.value == pytest.approx(difference.mean)
        assert found.interval == pytest.approx(difference.interval(0.95), abs=1e-5)

    def test_a_coin_is_no_judge(self):
        coin = JudgeErrors(true_positive=25, false_negative=25, false_positive=24, true_negative=26)
        difference = bounded_mean([0.0] * 50, lower=-1, upper=1)
        assert corrected_difference(difference, coin, confidence=0.95) is None
        assert corrected_rate(30, 50, coin, confidence=0.95) is None

    def test_interval_and_test_agree(self):
        rng = np.random.default_rng(1)
        difference = bounded_mean([1.0] * 9 + [-1.0] * 14 + [0.0] * 177, lower=-1, upper=1)
        errors = card(rng)
        low, high = corrected_difference(difference, errors, confidence=0.95).interval
        assert -1 < low < high < 1
        assert p_corrected_greater(difference, errors, low) == pytest.approx(0.025, abs=1e-4)
        assert p_corrected_greater(difference, errors, high) == pytest.approx(0.975, abs=1e-4)

    def test_simulated_coverage_of_the_rate(self):
        """800 runs with 80 labels and 400 judged rows: 95 % nominal, tolerated from 92.5 %."""
        rng = np.random.default_rng(2)
        covered = raw = 0
        for _ in range(800):
            says = judged(rng, (rng.random(400) < 0.7).astype(float))
            low, high = corrected_rate(says.sum(), 400, card(rng), confidence=0.95).interval
            covered += low <= 0.7 <= high
            raw += abs(says.mean() - 0.7) < 1.96 * np.sqrt(says.mean() * (1 - says.mean()) / 400)
        assert covered / 800 >= 0.925
        assert raw / 800 < 0.9

    @pytest.mark.parametrize("loss", [0.0, 0.05, 0.2])
    def test_simulated_coverage_of_the_difference(self, loss):
        """400 runs each: 95 % nominal, seen below 92 % with a probability of 0.6 %."""
        rng = np.random.default_rng(3)
        covered = above = 0
        for _ in range(400):
            before = (rng.random(300) < 0.85).astype(float)
            after = np.where(rng.random(300) < loss / 0.85, 0.0, before)
            difference = bounded_mean(judged(rng, after) - judged(rng, before), lower=-1, upper=1)
            found = corrected_difference(difference, card(rng, 150), confidence=0.95)
            covered += found.interval[0] <= -loss <= found.interval[1]
            above += found.interval[0] > -loss
        assert covered / 400 >= 0.92
        assert above / 400 <= 0.045, "false promotions"


class TestPpi:
    def test_without_a_useful_judge_it_is_the_mean_of_the_labels(self):
        rng = np.random.default_rng(4)
        truths = [*rng.choice([-1.0, 0.0, 1.0], size=60).tolist(), *[None] * 200]
        found = labelled_mean([0.0] * 260, truths, clusters=range(260))
        assert found.weight == 0.0
        assert found.mean == pytest.approx(np.mean(truths[:60]))
        assert (found.labelled, found.judged) == (60, 200)

    def test_a_good_judge_narrows_the_interval(self):
        rng = np.random.default_rng(5)
        truth = rng.choice([-1.0, 0.0, 1.0], p=[0.2, 0.65, 0.15], size=600)
        known = [*truth[:100].tolist(), *[None] * 500]
        sharp = labelled_mean(truth, known, clusters=range(600))
        blind = labelled_mean(np.zeros(600), known, clusters=range(600))
        assert sharp.weight > 0.7
        assert sharp.standard_error < 0.75 * blind.standard_error

    def test_the_weight_is_the_papers(self):
        """cov(Y, f) / ((1 + n / N) var f): with f's variance taken from both parts."""
        rng = np.random.default_rng(6)
        truth = rng.normal(size=4000).clip(-1, 1)
        says = (0.6 * truth + 0.3 * rng.normal(size=4000)).clip(-1, 1)
        found = labelled_mean(says, [*truth[:1000].tolist(), *[None] * 3000], clusters=range(4000))
        expected = np.cov(truth[:1000], says[:1000])[0, 1] / ((1 + 1000 / 3000) * says.var())
        assert found.weight == pytest.approx(expected, rel=0.05)

    @pytest.mark.parametrize("loss,size", [(0.0, 1), (0.05, 1), (0.05, 2), (0.2, 1)])
    def test_simulated_coverage(self, loss, size):
        """400 runs with 80 of 300 rows labelled: 95 % nominal, tolerated from 92 %."""
        rng = np.random.default_rng(7)
        covered = above = 0
        for _ in range(400):
            before = (rng.random(300) < 0.85).astype(float)
            after = np.where(rng.random(300 // size).repeat(size) < loss / 0.85, 0.0, before)
            truths = [*(after - before)[:80].tolist(), *[None] * 220]
            found = labelled_mean(
                judged(rng, after) - judged(rng, before), truths, clusters=[k // size for k in range(300)]
            )
            low, high = found.interval(0.95)
            covered += low <= -loss <= high
            above += low > -loss
        assert covered / 400 >= 0.92
        assert above / 400 <= 0.045

    def test_needs_labels(self):
        with pytest.raises(ValueError, match="two clusters"):
            labelled_mean([0.0, 0.0], [0.0, None], clusters=["a", "b"])


ERRORS = JudgeErrors(true_positive=135, false_negative=15, false_positive=40, true_negative=60)


class TestVerdict:
    def test_the_corrected_difference_decides(self):
        """The judge sees half of a true loss: what looks within the margin is not."""
        rows = counts(560, fixed=2, broken=18, neither=20)
        plain = decide(rows, Rules(margin=0.05))
        corrected = decide(rows, Rules(margin=0.05, judge_errors=ERRORS))
        assert plain.verdict == "PROMOTE"
        assert corrected.verdict == "INCONCLUSIVE"
        assert corrected.delta == plain.delta, "what was measured is still shown"
        assert corrected.corrected.method == "rogan_gladen"
        assert corrected.corrected.delta == pytest.approx(plain.delta / 0.5)
        assert corrected.interval.low > -0.05 > corrected.corrected.interval.low
        assert "with the judge's mistakes taken out" in corrected.reasons[0]

    def test_when_to_switch_names_the_interval_that_decided(self):
        verdict = decide(counts(900, fixed=2, broken=8, neither=20), Rules(margin=0.05, judge_errors=ERRORS))
        assert verdict.verdict == "PROMOTE"
        low, high = verdict.corrected.interval
        assert (low, high) != verdict.interval
        assert f"a quality between {100 * low:+.1f} and {100 * high:+.1f} points" in switch_if("m", verdict)

    def test_a_judge_that_is_a_coin_decides_nothing(self):
        coin = JudgeErrors(true_positive=25, false_negative=25, false_positive=24, true_negative=26)
        verdict = decide(counts(40, broken=260), Rules(margin=0.05, judge_errors=coin))
        assert verdict.verdict == "INCONCLUSIVE"
        assert "better than a coin" in verdict.reasons[0]

    def test_labels_on_the_rows_decide(self):
        """The judge finds all well; the people who looked at a third of the rows do not."""
        rows = [
            paired(
                n,
                1.0,
                1.0,
                baseline_label=1.0 if n < 100 else None,
                candidate_label=float(n >= 40) if n < 100 else None,
            )
            for n in range(300)
        ]
        verdict = decide(rows, Rules(margin=0.05, judge_errors=ERRORS))
        assert verdict.corrected.method == "ppi"
        assert verdict.corrected.delta == pytest.approx(-0.4)
        assert verdict.verdict == "REJECT"

    def test_a_handful_of_labels_corrects_nothing(self):
        rows = [paired(n, 1.0, 1.0, baseline_label=1.0, candidate_label=1.0) for n in range(19)]
        rows += [paired(n, 1.0, 1.0) for n in range(19, 300)]
        assert decide(rows, Rules(margin=0.05)).corrected is None

    def test_a_judge_nobody_checked_does_not_promote(self):
        rows = counts(190, fixed=4, broken=3, neither=3)
        verdict = decide(rows, Rules(margin=0.05, uncalibrated=("equivalence",)))
        assert verdict.verdict == "INCONCLUSIVE"
        assert "equivalence" in verdict.reasons[0] and "scorers.calibrate" in verdict.reasons[0]
        assert "gate.judges: any" in verdict.reasons[0]

    def test_but_rejects(self):
        verdict = decide(counts(60, broken=60), Rules(margin=0.05, uncalibrated=("equivalence",)))
        assert verdict.verdict == "REJECT"
        assert verdict.reasons[0].startswith("Quality drops")

    def test_unless_any_judge_will_do(self):
        rules = Rules(margin=0.05, uncalibrated=("equivalence",), judges="any")
        verdict = decide(counts(190, fixed=4, broken=3, neither=3), rules)
        assert verdict.verdict == "PROMOTE"
        assert any("unchecked against people" in warning for warning in verdict.warnings)

    def test_labels_on_the_rows_are_a_check_of_the_judge(self):
        rows = [
            paired(
                n, 1.0, 1.0, baseline_label=1.0 if n < 150 else None, candidate_label=1.0 if n < 150 else None
            )
            for n in range(400)
        ]
        verdict = decide(rows, Rules(margin=0.05, uncalibrated=("equivalence",)))
        assert verdict.corrected.method == "ppi"
        assert verdict.verdict == "PROMOTE"
        assert verdict.self_test.passed

    def test_the_self_test_does_not_mistake_a_harsh_judge_of_people_for_a_fault(self):
        """People think little of production: answers broken on purpose are no loss in their eyes."""
        rows = [
            paired(n, 1.0, 1.0, baseline_label=float(n % 2), candidate_label=float(n % 2)) for n in range(400)
        ]
        assert decide(rows, Rules(margin=0.05)).self_test.passed
