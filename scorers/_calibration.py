"""How far a judge can be trusted: measured on rows that people labelled, and tied to that very judge."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from scorers._agreement import cohens_kappa
from scorers._bias import length_slope
from scorers._card import Calibration
from scorers._complete import default_complete
from scorers._deliberate import models_of, run_judge
from scorers._errors import ScorerSpecError
from scorers._fingerprint import fingerprint
from scorers._judge import JudgeBase
from scorers._labelled import Labelled, Rows, load_labelled, value_of
from scorers._position import positional_bias
from scorers._stats import Estimate, labels_for_share, spearman, wilson
from scorers._types import Answer, Complete, Question, Sample, Score, Scorer
from scorers._waiting import wait_for


def calibrate(
    judge: Scorer,
    labelled: str | Path | Rows,
    *,
    complete: Complete | None = None,
    scale: tuple[float, float] | None = None,
    threshold: float | None = None,
    columns: Mapping[str, str] | None = None,
    half_width: float = 0.05,
    confidence: float = 0.95,
    concurrency: int = 16,
    seed: int = 0,
) -> Calibration:
    """Ask ``judge`` about rows that people labelled, and measure how far it agrees with them.

    Args:
        judge: any judge (or measure).
        labelled: a CSV or JSONL file or rows; see :func:`scorers.load_labelled` and
            :class:`scorers.Labelled`. A row with a recorded ``score`` is not asked again.
        complete: how to reach the model; by default the judge's own way.
        scale: worst and best human label, if labels are numbers outside [0, 1]. A rubric's labels are read
            on its own scale without it.
        threshold: from which value on judge and label count as "good"; by default 0.5, for pairwise 1: a win.
        columns: which column stands for ``output``, ``label``, ``expected``, ``inputs``, ``group``.
        half_width: the precision for which the number of labels needed is told.
        confidence: of all intervals.
        concurrency: questions in work at a time.
        seed: of the bootstrap over groups.

    Raises:
        ValueError: no row has a label, or a label cannot be read.
        NoCompleteError: a model must be asked and there is no way to reach one.

    Example:
        >>> import scorers
        >>> async def complete(question):
        ...     right = "Paris" in question.messages[1]["content"].split("<<<OUTPUT")[1]
        ...     return scorers.Answer(text="VERDICT: " + ("CORRECT" if right else "INCORRECT"))
        >>> judge = scorers.correctness(model="openai/gpt-5-mini", complete=complete)
        >>> rows = [{"output": f"{city} {i}", "expected": "It is Paris", "label": city == "Paris"}
        ...         for i in range(10) for city in ("Paris", "Rome")]
        >>> card = scorers.calibrate(judge, rows)
        >>> str(card.accuracy), card.valid_for(judge)
        ('1.000 [0.839, 1.000] (n=20)', True)
    """
    return wait_for(
        calibrate_async(
            judge, labelled, complete=complete, scale=scale, threshold=threshold, columns=columns,
            half_width=half_width, confidence=confidence, concurrency=concurrency, seed=seed,
        )
    )  # fmt: skip


async def calibrate_async(
    judge: Scorer,
    labelled: str | Path | Rows,
    *,
    complete: Complete | None = None,
    scale: tuple[float, float] | None = None,
    threshold: float | None = None,
    columns: Mapping[str, str] | None = None,
    half_width: float = 0.05,
    confidence: float = 0.95,
    concurrency: int = 16,
    seed: int = 0,
) -> Calibration:
    """As :func:`calibrate`, awaited."""
    import asyncio

    given = load_labelled(labelled, columns=columns)
    rows, labels = _read(judge, given, scale)
    slots = asyncio.Semaphore(max(1, concurrency))

    async def one(row: Labelled) -> Score:
        async with slots:
            return row.score or await _score(judge, row, complete)

    scores = list(await asyncio.gather(*map(one, rows)))
    if threshold is None:
        threshold = 1.0 if any("first_order" in score.evidence for score in scores) else 0.5
    return _measured(
        judge, rows, labels, scores, threshold=threshold, half_width=half_width, confidence=confidence,
        seed=seed, unlabelled=len(given) - len(rows),
    )  # fmt: skip


def _read(
    judge: Scorer, given: Sequence[Labelled], scale: tuple[float, float] | None
) -> tuple[list[Labelled], list[float]]:
    """The rows with a label, and their labels as values."""
    if scale is not None and scale[0] == scale[1]:
        raise ValueError(f"scale {scale} has no width")
    menu = judge.verdict_values if isinstance(judge, JudgeBase) else {}
    rows: list[Labelled] = []
    labels: list[float] = []
    for number, row in enumerate(given, 1):
        try:
            label = value_of(row.label, menu, scale)
        except ValueError as error:
            raise ValueError(f"labelled row {number}: {error}") from None
        if label is not None:
            rows.append(row)
            labels.append(label)
    if not rows:
        raise ValueError("there is no row with a label to calibrate on")
    return rows, labels


async def _score(judge: Any, row: Labelled, complete: Complete | None) -> Score:
    told = {"output": row.output, "expected": row.expected, "inputs": row.inputs}
    if not (hasattr(judge, "ask") and hasattr(judge, "conclude")):
        found: Score = judge(**told)
        return found
    reach = complete or getattr(judge, "complete", None) or default_complete()

    async def asked(question: Question, /) -> Answer:
        try:
            return await reach(question)
        except Exception as error:  # noqa: BLE001 - a failed call is missing data, told in the card
            return Answer(error=f"{type(error).__name__}: {error}")

    return await run_judge(judge, Sample(**told), asked)


def _measured(
    judge: Scorer,
    rows: Sequence[Labelled],
    labels: Sequence[float],
    scores: Sequence[Score],
    *,
    threshold: float,
    half_width: float,
    confidence: float,
    seed: int,
    unlabelled: int,
) -> Calibration:
    kept = [i for i, score in enumerate(scores) if score.value is not None]
    values = [scores[i].value or 0.0 for i in kept]
    truth = [labels[i] for i in kept]
    # A row without a group is one of its own.
    groups: list[Hashable] = [(i,) if rows[i].group is None else (rows[i].group, "group") for i in kept]
    grouped = len(set(groups)) < len(groups)
    says = [value >= threshold - 1e-9 for value in values]
    good = [label >= threshold - 1e-9 for label in truth]

    def share(hits: Sequence[bool], among: Sequence[bool] | None = None) -> Estimate:
        chosen = [i for i in range(len(hits)) if among is None or among[i]]
        return clustered_share([hits[i] for i in chosen], [groups[i] for i in chosen], confidence=confidence)

    right = [a == b for a, b in zip(says, good, strict=True)]
    accuracy = share(right)
    sensitivity, specificity = share(right, good), share(right, [not g for g in good])
    kappa = cohens_kappa(good, says, groups=groups if grouped else None, confidence=confidence, seed=seed)
    asked = [score.evidence for score in scores if "first_order" in score.evidence]
    graded = any(value not in (0.0, 1.0) for value in (*values, *truth))
    costs = [score.cost_usd for score in scores if score.cost_usd is not None]
    prevalence = share(good)
    return Calibration(
        judge=judge.name,
        version=judge.version,
        models=models_of(judge),
        fingerprint=fingerprint(judge),
        spec=_spec(judge),
        threshold=threshold,
        confidence=confidence,
        rows=len(rows),
        scored=len(kept),
        unlabelled=unlabelled,
        unscored=dict(Counter(str(score.unscored) for score in scores if score.unscored is not None)),
        groups=len(set(groups)),
        true_positive=sum(a and b for a, b in zip(says, good, strict=True)),
        false_positive=sum(a and not b for a, b in zip(says, good, strict=True)),
        false_negative=sum(b and not a for a, b in zip(says, good, strict=True)),
        true_negative=sum(not a and not b for a, b in zip(says, good, strict=True)),
        accuracy=accuracy,
        kappa=kappa,
        sensitivity=sensitivity,
        specificity=specificity,
        labelled_good=prevalence,
        judged_good=share(says),
        exact=share([abs(a - b) < 1e-9 for a, b in zip(values, truth, strict=True)]) if graded else None,
        weighted_kappa=cohens_kappa(
            truth, values, weights="quadratic", groups=groups if grouped else None, confidence=confidence,
            seed=seed,
        ) if graded else None,
        rank_correlation=spearman(values, truth) if graded else None,
        mean_absolute_error=(
            math.fsum(abs(a - b) for a, b in zip(values, truth, strict=True)) / len(kept) if kept else None
        ),
        length_slope=length_slope(scores, [row.output for row in rows], confidence=confidence),
        length_bias=length_slope(
            scores, [row.output for row in rows], labels=list(labels), confidence=confidence
        ),
        position=positional_bias(
            [found["first_order"] for found in asked], [found["second_order"] for found in asked],
            confidence=confidence,
        ) if asked else None,
        decided_by=dict(Counter(str(scores[i].evidence.get("decided_by", "unknown")) for i in kept)),
        half_width=half_width,
        labels_needed=_labels_needed(
            half_width, confidence, accuracy, kappa, sensitivity, specificity, prevalence
        ),
        cost_usd=math.fsum(costs) if costs else None,
        input_tokens=sum(score.input_tokens for score in scores),
        output_tokens=sum(score.output_tokens for score in scores),
    )  # fmt: skip


def _spec(judge: Scorer) -> Mapping[str, Any] | None:
    from scorers._registry import to_spec

    try:
        return to_spec(judge)
    except ScorerSpecError:
        return None


def clustered_share(hits: Sequence[bool], groups: Sequence[Hashable], *, confidence: float) -> Estimate:
    """A share with Wilson's interval for as many independent rows as the grouped ones are worth.

    Rows of a group resemble each other: n is divided by the design effect, the variance between groups over
    that of independent rows (Kish 1965), where that is above 1.
    """
    n = len(hits)
    plain = wilson(sum(hits), n, confidence=confidence)
    if plain.value is None or len(set(groups)) == n:
        return plain
    sums: dict[Hashable, float] = {}
    for hit, group in zip(hits, groups, strict=True):
        sums[group] = sums.get(group, 0.0) + hit - plain.value
    spread = n * plain.value * (1 - plain.value)
    many = len(sums)
    if spread <= 0 or many < 2:
        # All alike: the rows may say no more than one row per group.
        worth = float(many)
    else:
        effect = many / (many - 1) * math.fsum(total**2 for total in sums.values()) / spread
        worth = n / max(1.0, effect)
    found = wilson(plain.value * worth, worth, confidence=confidence)
    return replace(found, value=plain.value, n=n, method="wilson, by design effect of the groups")


def _labels_needed(
    half_width: float,
    confidence: float,
    accuracy: Estimate,
    kappa: Estimate,
    sensitivity: Estimate,
    specificity: Estimate,
    prevalence: Estimate,
) -> dict[str, int | None]:
    """Labels with which each interval gets a half width of ``half_width``, if the rates stay as they are."""

    def scaled(found: Estimate, part: float | None) -> int | None:
        if found.value is None or not part:
            return None
        # A perfect rate on few rows is hardly perfect: half a miss is assumed.
        rate = min(max(found.value, 0.5 / found.n), 1 - 0.5 / found.n)
        return math.ceil(labels_for_share(rate, half_width, confidence=confidence) / part)

    good = prevalence.value
    needed = {
        "accuracy": scaled(accuracy, 1.0),
        "sensitivity": scaled(sensitivity, good),
        "specificity": scaled(specificity, None if good is None else 1 - good),
    }
    if kappa.low is None or kappa.high is None:
        return {**needed, "kappa": None}
    return {**needed, "kappa": math.ceil(kappa.n * ((kappa.high - kappa.low) / 2 / half_width) ** 2)}
