"""The gate: paired test rows in, Verdict out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from promptmigrate.decide import noise
from promptmigrate.decide.assess import Assessment, assess
from promptmigrate.decide.opinions import intervals, p_values
from promptmigrate.decide.rows import PairedRow, check_rows, in_order, seed_of
from promptmigrate.decide.rules import Rules
from promptmigrate.decide.self_test import self_test
from promptmigrate.decide.verdict import Joint, Verdict


def decide(rows: Sequence[PairedRow], rules: Rules) -> Verdict:
    """Decide on a candidate from all its test rows, including those with missing measurements.

    Quality (see :mod:`promptmigrate.decide.interval` for the interval of the paired difference):

    - not worse (default): passes when the interval lies above ``-margin``, fails when it lies below, is open
      otherwise;
    - ``superiority`` (the model stays, only the prompt changes): passes when the interval lies above 0, fails
      when it does not reach above 0 or when the candidate did not score higher at all, is open otherwise.

    PROMOTE needs quality, every guardrail (``cost_ratio``, ``p95_latency_ratio``: upper limits of candidate
    over production) and every guardrail score (not worse than its own margin) to pass; one that fails is a
    REJECT; one that is open, unclear or unmeasurable leaves it INCONCLUSIVE. Since all must pass, no
    correction for several tests is needed (intersection-union; Berger 1982, Technometrics 24:295-300). Slices
    are reported, or block (:mod:`promptmigrate.decide.slices`). Judges without a calibration card do not
    promote unless the rules say so. Too few rows or clusters, or a share of missing rows above
    ``max_missing``, is INCONCLUSIVE whatever the numbers say; so is a gate that fails its own test on these
    rows (:mod:`promptmigrate.decide.self_test`). Where the rules say that production is no yardstick, what
    would be promoted is INCONCLUSIVE.

    The same rows, in any order, under the same rules give the same Verdict, bit for bit.

    Raises:
        DataError: unusable rows (see :func:`promptmigrate.decide.rows.check_rows`).
    """
    check_rows(rows)
    ordered, seed = in_order(rows), seed_of(rows)
    return finish(ordered, rules, assess(ordered, rules, seed=seed, confidence=rules.confidence), seed=seed)


def finish(
    rows: Sequence[PairedRow], rules: Rules, found: Assessment, *, seed: int, joint: Joint | None = None
) -> Verdict:
    """What a Verdict holds besides the decision: self-test, noise and second opinions."""
    verdict, estimated = found.verdict, found.estimated
    confidence = verdict.confidence
    tested = self_test(rows, rules, seed=seed)
    floor = noise.measure_noise(rows, confidence=confidence)
    reasons = [
        *verdict.reasons,
        *noise.say(floor, estimated, rules, production=verdict.baseline.score),
    ]
    decision, needed = verdict.verdict, verdict.rows_needed
    if not tested.passed:
        decision, needed = "INCONCLUSIVE", None
        reasons = [*tested.problems, *(reason for reason in reasons if reason not in found.advice)]
    if rules.no_yardstick and decision == "PROMOTE":
        decision = "INCONCLUSIVE"
        reasons = [
            f"{rules.no_yardstick} What follows is what the answers as they came would have given.",
            *reasons,
        ]
    elif rules.no_yardstick:
        reasons = [*reasons, rules.no_yardstick]
    used = [row for row in rows if row.paired]
    return replace(
        verdict,
        verdict=decision,
        reasons=tuple(reasons),
        rows_needed=needed,
        warnings=(*verdict.warnings, *tested.warnings),
        p_values=p_values(used, estimated, rules, verdict.fixed, verdict.broken, seed=seed),
        intervals=intervals(used, confidence=confidence, seed=seed),
        noise=floor,
        self_test=tested,
        joint=joint,
    )
