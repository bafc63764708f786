"""The end of a run: write the results, publish a promoted candidate, build the report, log the MLflow run."""

from __future__ import annotations

from typing import Any

from promptmigrate.files import atomic_write, dump_yaml
from promptmigrate.pipeline import record
from promptmigrate.pipeline.events import Listener
from promptmigrate.pipeline.gate import write_rows
from promptmigrate.pipeline.publishing import log_run, publish
from promptmigrate.pipeline.rundir import write_json
from promptmigrate.report import write as write_report


def finish(work: record.Work, listener: Listener) -> dict[str, Any]:
    """Write the results, publish a promoted candidate, and return what ``verdict.json`` holds."""
    run, gate = work.run, work.gate
    promoted = gate.verdict.verdict == "PROMOTE"
    atomic_write(run.path / "best.yaml", dump_yaml(record.best(gate.candidate, promoted=promoted)))
    write_rows(run.path / "test_rows.jsonl", gate)
    summary = record.summarise(work)
    write_json(run.verdict, summary)
    summary = publish(work, summary, listener)
    write_json(run.verdict, summary)
    write_report(run.path)
    log_run(work, summary)
    run.write_state(state="finished", finished=summary["provenance"]["finished"])
    return summary
