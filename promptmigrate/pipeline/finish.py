"""The end of a run: write the results, publish a promoted candidate, build the report, log the MLflow run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import scorers
from promptmigrate.decide import Opening, read_openings, related, row_keys
from promptmigrate.lm import Price
from promptmigrate.pipeline import record
from promptmigrate.pipeline.events import Listener
from promptmigrate.pipeline.pairs import write_rows
from promptmigrate.pipeline.publishing import log_run, publish
from promptmigrate.pipeline.rundir import write_json
from promptmigrate.proof import Evidence, write_bundle
from promptmigrate.report import write as write_report
from promptmigrate.report import write_regressions


def finish(
    work: record.Work, listener: Listener, *, before_publishing: Callable[[], None] | None = None
) -> dict[str, Any]:
    """Write the results, publish a promoted candidate, and return what ``verdict.json`` holds.

    ``before_publishing`` may raise where another process has come to do it.
    """
    run, gate = work.run, work.gate
    judged = gate.chosen
    promoted = judged.verdict.verdict == "PROMOTE"
    others = [one.candidate for one in gate.judged if one is not judged]
    record.keep(run, [judged.candidate, *others], promoted=judged.candidate if promoted else None)
    write_rows(
        run.path / "test_rows.jsonl",
        gate.rows,
        gate.production,
        gate.baseline,
        judged.candidate,
        judged.measured,
    )
    summary = record.summarise(work)
    # The bundle goes before the route, which seals its digest.
    summary["bundle"] = seal(work, summary)
    summary["broken_clusters"] = write_regressions(
        run.path,
        name=work.config.name,
        specs=list(_specs(work, listener)),
    )
    write_json(run.verdict, summary)
    if before_publishing is not None:
        before_publishing()
    summary = publish(work, summary, listener)
    write_json(run.verdict, summary)
    write_report(run.path)
    log_run(work, summary)
    run.write_state(state="finished", finished=summary["provenance"]["finished"])
    return summary


def _specs(work: record.Work, listener: Listener) -> Iterator[dict[str, Any]]:
    """The scorers that a test can build again; rows that only others can tell get no test."""
    for measure in work.evaluator.measures:
        try:
            yield scorers.to_spec(measure.scorer)
        except scorers.ScorerSpecError as error:
            listener.note(f"{measure.scorer.name} has no part in the regression tests: {error}")


def seal(work: record.Work, summary: Mapping[str, Any]) -> dict[str, str]:
    """Write bundle.zip: all that the verdict rests on, to be verified by anybody."""
    gate, judged = work.gate, work.gate.chosen
    path = work.run.path / "bundle.zip"
    digest = write_bundle(
        path,
        Evidence(
            name=work.config.name,
            run=work.run.id,
            config=work.config.model_dump(mode="json"),
            config_digest=work.config.digest,
            dataset=work.dataset,
            production=gate.production,
            candidate=judged.candidate,
            examples=gate.rows,
            baseline=gate.baseline,
            measured=judged.measured,
            rerun=gate.rerun,
            measures=work.evaluator.measures,
            rows=judged.pairs,
            tried=gate.tried,
            rules=judged.rules,
            verdict=judged.verdict,
            others=[(one.candidate, one.pairs, one.verdict) for one in gate.judged if one is not judged],
            place=gate.judged.index(judged),
            openings=_openings(work),
            recall=work.door.recall,
            # What differs when the same run is repeated from the cache is no part of the evidence.
            costs={key: summary["spend"][key] for key in ("calls", "usd", "usd_by_purpose")},
            prices=_prices(work),
            versions=summary["provenance"]["packages"],
        ),
    )
    return {"path": str(path), "digest": digest}


def _prices(work: record.Work) -> dict[str, Price]:
    variants = (work.gate.production, *(one.candidate for one in work.gate.judged))
    asked = {variant.model for variant in (variants if work.gate.rerun else variants[1:])}
    found = {model: work.door.price(model) for model in sorted(asked)}
    return {model: price for model, price in found.items() if price is not None}


def _openings(work: record.Work) -> tuple[Opening, ...]:
    """The openings of these test rows up to that of this run; what comes later is not its evidence."""
    found = related(
        read_openings(work.gate.registry),
        split_digest=work.dataset.split_digest("test"),
        rows=row_keys(work.gate.rows),
    )
    own = max((place for place, one in enumerate(found) if one.run == work.run.id), default=len(found) - 1)
    return tuple(found[: own + 1])
