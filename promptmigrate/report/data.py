"""What the report reads from a run folder: ``verdict.json`` and ``test_rows.jsonl``.

``verdict.json`` is one object. The gate's part is :meth:`promptmigrate.decide.Verdict.to_json` as it is; the
pipeline adds the rest. ``?`` marks what may be absent or null; keys not listed are ignored::

    name            experiment name
    simulated       whether any model was simulated
    verdict         "PROMOTE" | "REJECT" | "INCONCLUSIVE"          reasons, warnings?   [sentence, ...]
    primary?        what "quality" is, e.g. "label_match" or "label_match, equivalence (weighted mean)"
    superiority?    bool                                           margin, confidence
    delta?, interval?        mean quality difference and [low, high]
    corrected?      {delta, interval}        the same with a judge's mistakes taken out: what decided
    baseline        {model, prompt_digest?, score?, interval?, cost_per_call_usd?, p95_latency_s?}
    candidate       the same
    before?         the same: the original prompt on the target model
    before_split?   "validation" | "test": where "before" was measured
    rows            {train?, validation?, test, used?, groups?, unscored?,
                     unscored_baseline?, unscored_candidate?}
    rows_needed?    int                      fixed?, broken?   int
    p_values?       {name: number or null}   test_openings?    int
    guardrails?     [{name, limit, value?, interval?, status, detail}]
    guardrail_scores?  [{name, margin, delta?, interval?, rows?, status, detail}]
    slices?         [{name, value, rows, delta, interval?, fixed?, broken?, status}]
    self_test?      {identical, draws?, promoted?, allowed?, passed, problems?: [sentence, ...],
                     breakages?: [{how, loss?, unscored?, noticed?, decision?, broken_by?, broken_rows?}],
                     unasked?: [scorer, ...]}
    noise?          {delta, interval?, rows, changed?}
    broken_clusters?   [{rule, rows, total?, others?, unbroken?, examples?: [id, ...], file?,
                     conditions?: [{text, here, others}]}]       what write_regressions returns
    targets?        [{model, verdict, candidate: {score?, interval?, cost_per_call_usd?, p95_latency_s?},
                     delta?, interval?, joint_interval?, cost_ratio?, p95_latency_ratio?: {value?, interval?},
                     switch_if?, chosen?}]
    joint?          {confidence}             of each interval that holds for all targets at once
    cost_ratio?, p95_latency_ratio?          {value?, interval?}
    spend           {calls: {task, judge, reflection}, cached?, usd?, usd_by_purpose?, usd_unknown_calls?,
                     seconds?}
                    usd null: the price of at least one model is not known
    forecast?       {calls?: [low, high], usd?: [low, high], expected?: {calls?, usd?}, basis?}
    break_even?     {sentence, ...}          or the sentence alone
    scorers?        [{name, baseline?, candidate?}]      mean score of each scorer on the test rows
    search?         {strategy, stopped?, calls?, facts?: [sentence, ...],
                     generations?: [{name, candidates?, best_quality?}],
                     removed?: [text or {text, reason?}, ...],   what the minimiser took out
                     front?: [{label, quality?, cost_per_call_usd?, latency_s?, rows?, chosen?}]}
    provenance?     {dataset_digest?, test_digest?, config_digest?, started?, finished?, version?, commit?,
                     packages?: {name: version}}         times in ISO 8601
    prompts         {original, candidate}    each a text or [{role, content}, ...]
    bundle?         {path?, digest?}
    prompt_version?, route?, mlflow_run_id?  where the candidate went

``test_rows.jsonl`` has one object per test row::

    {"example", "cluster"?, "inputs": {...}, "expected"?, "rationale"?,
     "baseline":  {"output"?, "score"?, "scores"?: {scorer: value or null}, "error"?},
     "candidate": {"output"?, "score"?, "scores"?, "error"?}}

``score`` null means not measured, ``error`` says why. Scores and shares are in [0, 1], money in USD, times in
seconds.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from promptmigrate.errors import DataError
from promptmigrate.report.shapes import RunData, TestRow, VerdictFile
from promptmigrate.shape import shaped

VERDICT = "verdict.json"
TEST_ROWS = "test_rows.jsonl"


def load(run_dir: Path) -> RunData:
    """Read and check both files.

    Raises:
        DataError: naming the file, the row and the field.
    """
    path = run_dir / VERDICT
    verdict = shaped(VerdictFile, _parse(_read(path), path, None), file=path)
    return RunData(verdict=verdict, test_rows=load_rows(run_dir))


def load_rows(run_dir: Path) -> tuple[TestRow, ...]:
    """Read and check ``test_rows.jsonl``.

    Raises:
        DataError: naming the file, the row and the field.
    """
    path = run_dir / TEST_ROWS
    return tuple(
        shaped(TestRow, _parse(line, path, number), file=path, row=number)
        for number, line in enumerate(_read(path).split("\n"), 1)
        if line.strip()
    )


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise DataError("not there, so this is not the folder of a finished run", file=path) from None
    except UnicodeDecodeError as error:
        raise DataError(f"not UTF-8 text (byte {error.start})", file=path) from error
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror or error}", file=path) from error


def _parse(text: str, path: Path, row: int | None) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"not valid JSON ({error}); run the migration again", file=path, row=row) from error
