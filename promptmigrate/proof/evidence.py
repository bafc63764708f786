"""What a verdict rests on, as the pipeline has it when the gate has decided."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from promptmigrate.decide import Opening, PairedRow, Rules, Verdict
from promptmigrate.evaluate import Evaluation, Measure, Tried
from promptmigrate.lm import Price
from promptmigrate.types import Dataset, Example, Reply, Request, Variant


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """All that goes into a bundle, of one candidate."""

    name: str
    """Of the experiment."""
    run: str
    """Id of the run."""
    config: Mapping[str, Any]
    """The experiment as resolved, complete (``Config.model_dump(mode="json")``); keys of providers are named
    in it, never held."""
    config_digest: str
    dataset: Dataset
    production: Variant
    candidate: Variant
    examples: Sequence[Example]
    """The test rows that the gate opened."""
    baseline: Evaluation
    """Production on them."""
    measured: Evaluation
    """The candidate and ``others`` on them."""
    rerun: bool
    """Whether production was asked again; else its recorded answers were scored."""
    measures: Sequence[Measure]
    rows: Sequence[PairedRow]
    """What the gate decided on."""
    tried: Mapping[str, Sequence[Tried]]
    """Of each row, what the scorers say of production's answer broken on purpose."""
    rules: Rules
    verdict: Verdict
    others: Sequence[tuple[Variant, Sequence[PairedRow], Verdict]] = ()
    """The other candidates that were decided together with this one, in their order."""
    place: int = 0
    """How many of ``others`` came before this candidate."""
    openings: Sequence[Opening]
    """All openings of these test rows so far."""
    recall: Callable[[Request], Reply | None]
    """The reply to a request that was answered before (``Door.recall``); it must not ask anybody."""
    costs: Mapping[str, Any]
    """What the run spent, as in ``verdict.json``: ``calls``, ``usd`` and ``usd_by_purpose``."""
    prices: Mapping[str, Price] = field(default_factory=dict)
    """Model -> its price, where one is known."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Package -> version, of what had a part in it."""
