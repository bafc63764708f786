"""What the report reads from a run folder: ``verdict.json`` and ``test_rows.jsonl``.

``verdict.json`` is one object. The gate's part is :meth:`promptmigrate.decide.Verdict.to_json` as it is; the
pipeline adds the rest. ``?`` marks what may be absent or null; keys not listed are ignored::

    name            experiment name
    simulated       whether any model was simulated
    verdict         "PROMOTE" | "REJECT" | "INCONCLUSIVE"          reasons, warnings?   [sentence, ...]
    primary?        what "quality" is, e.g. "label_match" or "label_match, equivalence (weighted mean)"
    superiority?    bool                                           margin, confidence
    delta?, interval?        mean quality difference and [low, high]
    baseline        {model, prompt_digest?, score?, interval?, cost_per_call_usd?, p95_latency_s?}
    candidate       the same
    before?         the same: the original prompt on the target model
    before_split?   "validation" | "test": where "before" was measured
    rows            {train?, validation?, test, used?, groups?, unscored?,
                     unscored_baseline?, unscored_candidate?}
    rows_needed?    int                      fixed?, broken?   int
    p_values?       {name: number or null}   test_openings?    int
    guardrails?     [{name, limit, value?, interval?, status, detail}]
    cost_ratio?, p95_latency_ratio?          {value?, interval?}
    spend           {calls: {task, judge, reflection}, cached?, usd?, usd_unknown_calls?, seconds?}
                    usd null: the price of at least one model is not known
    scorers?        [{name, baseline?, candidate?}]      mean score of each scorer on the test rows
    search?         {strategy, stopped?, calls?, facts?: [sentence, ...],
                     generations?: [{name, candidates?, best_quality?}],
                     front?: [{label, quality?, cost_per_call_usd?, latency_s?, rows?, chosen?}]}
    provenance?     {dataset_digest?, test_digest?, config_digest?, started?, finished?, version?, commit?,
                     packages?: {name: version}}         times in ISO 8601
    prompts         {original, candidate}    each a text or [{role, content}, ...]
    prompt_version?, route?, mlflow_run_id?  where the candidate went

``test_rows.jsonl`` has one object per test row::

    {"example", "cluster"?, "inputs": {...}, "expected"?, "rationale"?,
     "baseline":  {"output"?, "score"?, "error"?},
     "candidate": {"output"?, "score"?, "error"?}}

``score`` null means not measured, ``error`` says why. Scores and shares are in [0, 1], money in USD, times in
seconds.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from promptmigrate.errors import DataError

VERDICT = "verdict.json"
TEST_ROWS = "test_rows.jsonl"
_Model = TypeVar("_Model", bound=BaseModel)
PromptSource: TypeAlias = "str | list[Turn]"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Turn(_Part):
    """One message of a chat prompt."""

    role: str
    content: str


class VariantFigures(_Part):
    """One row of the before/after table."""

    model: str
    prompt_digest: str | None = None
    score: FiniteFloat | None = None
    interval: tuple[FiniteFloat, FiniteFloat] | None = None
    cost_per_call_usd: FiniteFloat | None = None
    p95_latency_s: FiniteFloat | None = None


class Rows(_Part):
    """How many rows there were."""

    train: int | None = None
    validation: int | None = None
    test: int
    used: int | None = None
    groups: int | None = None
    unscored: int | None = None
    unscored_baseline: int | None = None
    unscored_candidate: int | None = None


class GuardrailFigures(_Part):
    """One limit besides quality, and how it fared."""

    name: str
    limit: FiniteFloat
    value: FiniteFloat | None = None
    interval: tuple[FiniteFloat, FiniteFloat] | None = None
    status: Literal["pass", "fail", "unclear", "unmeasurable"]
    detail: str = ""


class RatioFigures(_Part):
    """Candidate over production."""

    value: FiniteFloat | None = None
    interval: tuple[FiniteFloat, FiniteFloat] | None = None


class Calls(_Part):
    """Requests that were really sent."""

    task: int = 0
    judge: int = 0
    reflection: int = 0


class SpendFigures(_Part):
    """What the run cost."""

    calls: Calls
    cached: int = 0
    usd: FiniteFloat | None = None
    usd_unknown_calls: int = 0
    seconds: FiniteFloat | None = None


class ScorerFigures(_Part):
    """Mean score of one scorer on the test rows."""

    name: str
    baseline: FiniteFloat | None = None
    candidate: FiniteFloat | None = None


class Generation(_Part):
    """One step of the search."""

    name: str
    candidates: int | None = None
    best_quality: FiniteFloat | None = None


class FrontFigures(_Part):
    """One variant of the search's quality/cost front."""

    label: str
    quality: FiniteFloat | None = None
    cost_per_call_usd: FiniteFloat | None = None
    latency_s: FiniteFloat | None = None
    rows: int | None = None
    chosen: bool = False


class Search(_Part):
    """How the candidate was found."""

    strategy: str
    stopped: str = ""
    calls: int | None = None
    facts: tuple[str, ...] = ()
    generations: tuple[Generation, ...] = ()
    front: tuple[FrontFigures, ...] = ()


class Provenance(_Part):
    """What the numbers rest on."""

    dataset_digest: str | None = None
    test_digest: str | None = None
    config_digest: str | None = None
    started: str | None = None
    finished: str | None = None
    version: str | None = None
    commit: str | None = None
    packages: dict[str, str] = Field(default_factory=dict)


class Prompts(_Part):
    """The prompt as it was and as it is proposed."""

    original: PromptSource
    candidate: PromptSource


class VerdictFile(_Part):
    """All of ``verdict.json`` that the report shows."""

    name: str
    simulated: bool
    verdict: Literal["PROMOTE", "REJECT", "INCONCLUSIVE"]
    reasons: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    primary: str | None = None
    superiority: bool = False
    margin: FiniteFloat
    confidence: FiniteFloat
    delta: FiniteFloat | None = None
    interval: tuple[FiniteFloat, FiniteFloat] | None = None
    baseline: VariantFigures
    candidate: VariantFigures
    before: VariantFigures | None = None
    before_split: str | None = None
    rows: Rows
    rows_needed: int | None = None
    fixed: int | None = None
    broken: int | None = None
    p_values: dict[str, FiniteFloat | None] = Field(default_factory=dict)
    guardrails: tuple[GuardrailFigures, ...] = ()
    cost_ratio: RatioFigures = RatioFigures()
    p95_latency_ratio: RatioFigures = RatioFigures()
    test_openings: int = 1
    spend: SpendFigures
    scorers: tuple[ScorerFigures, ...] = ()
    search: Search | None = None
    provenance: Provenance = Provenance()
    prompts: Prompts
    prompt_version: str | None = None
    route: str | None = None
    mlflow_run_id: str | None = None


class Answer(_Part):
    """What one variant answered on a test row."""

    output: Any = None
    score: FiniteFloat | None = None
    error: str | None = None


class TestRow(_Part):
    """One test row, both answers side by side."""

    __test__ = False  # not a test class, whatever its name looks like to pytest

    example: str
    cluster: str | None = None
    inputs: dict[str, Any]
    expected: Any = None
    rationale: str | None = None
    baseline: Answer
    candidate: Answer


class RunData(_Part):
    """Everything one report is made of."""

    verdict: VerdictFile
    test_rows: tuple[TestRow, ...]


def load(run_dir: Path) -> RunData:
    """Read and check both files.

    Raises:
        DataError: naming the file, the row and the field.
    """
    verdict_path, rows_path = run_dir / VERDICT, run_dir / TEST_ROWS
    verdict = _check(VerdictFile, _parse(_read(verdict_path), verdict_path, None), verdict_path, None)
    rows = tuple(
        _check(TestRow, _parse(line, rows_path, number), rows_path, number)
        for number, line in enumerate(_read(rows_path).split("\n"), 1)
        if line.strip()
    )
    return RunData(verdict=verdict, test_rows=rows)


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


def _check(model: type[_Model], value: Any, path: Path, row: int | None) -> _Model:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the document"
        raise DataError(
            f"{where}: {first['msg'][:1].lower()}{first['msg'][1:]}", file=path, row=row
        ) from error
