"""The entries of a bundle, as they must look.

==================  ==================================================================================
``manifest.json``   schema, name, run, what made it, seeds, digests, SHA-256 of every other entry
``config.json``     the experiment as resolved; keys of providers by the name of their variable
``dataset.jsonl``   every Example with its split
``variants.json``   production and candidate: prompt, model, parameters, digests
``scorers.json``    name, version, weight and spec of each scorer
``test_rows.jsonl`` each test row of the gate: the paired numbers, every answer with its scores, and the
                    scores of production's answer broken on purpose
``others.jsonl``    the same of each other candidate that was decided together with this one
``calls.jsonl``     every reply behind the answers and scores, by request key, as ``migrate --record`` does
``rules.json``      the rules of the gate
``verdict.json``    what the gate said
``table.json``      what it said of every candidate that was decided together, this one among them
``openings.json``   who has looked at these test rows
``costs.json``      what the run spent, and the prices that the costs of the answers follow from
``seals.json``      SHA-256 of each row, call or value of every other entry, so that a change has a place
==================  ==================================================================================
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, ValidationError

from promptmigrate.errors import DataError, TemplateError
from promptmigrate.evaluate import How, Tried
from promptmigrate.types import Example, OutcomeKind, Prompt, Reply, Split, Variant
from scorers import Score, UnscoredReason

SCHEMA = "promptmigrate.bundle/3"
MANIFEST = "manifest.json"
SEALS = "seals.json"
ENTRIES = (
    "calls.jsonl", "config.json", "costs.json", "dataset.jsonl", "openings.json", "others.jsonl",
    "rules.json", "scorers.json", "seals.json", "table.json", "test_rows.jsonl", "variants.json",
    "verdict.json",
)  # fmt: skip


def _text(value: object) -> str | None:
    # pydantic's own texts refuse lone surrogates, which a model's answer may hold.
    if value is not None and not isinstance(value, str):
        raise ValueError("must be a text or null")
    return value


Text: TypeAlias = Annotated[str | None, PlainValidator(_text)]
Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
_Model = TypeVar("_Model", bound=BaseModel)


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Made(_Shape):
    """One entry as the manifest knows it."""

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    size: int
    """Bytes."""


class SplitRule(_Shape):
    """How rows came into their splits."""

    train: float
    validation: float
    seed: int


class Manifest(_Shape):
    """``manifest.json``."""

    schema_: Literal["promptmigrate.bundle/3"] = Field(alias="schema")
    name: str
    run: str
    rerun: bool
    place: int
    """How many of the candidates that were decided together came before this one."""
    versions: dict[str, str]
    seeds: dict[str, int]
    split: SplitRule
    digests: dict[str, Digest]
    """Of the experiment (``config``), all rows (``dataset``) and the rows of each split."""
    entries: dict[str, Made]


class Row(_Shape):
    """One line of ``dataset.jsonl``."""

    id: str
    split: Split
    group: str
    weight: float
    inputs: dict[str, Any]
    reference: Text
    expectations: dict[str, Any]
    metadata: dict[str, Any]
    """What slices were cut by, of test rows; nothing else."""

    @property
    def example(self) -> Example:
        """The Example."""
        return Example(**self.model_dump(exclude={"split"}))


class Side(_Shape):
    """Production or candidate."""

    model: str
    params: dict[str, Any]
    prompt: str | list[dict[str, str]]
    components: dict[str, str | list[dict[str, str]]]
    """The prompts of a program with several, by name; empty where there is one prompt only."""
    component: str
    """Which of them ``prompt`` is."""
    prompt_digest: Digest
    digest: Digest

    @property
    def variant(self) -> Variant:
        """The Variant.

        Raises:
            DataError: its prompt is none.
        """
        try:
            return Variant(
                prompt=Prompt.of(self.prompt),
                model=self.model,
                params=self.params,
                components={name: Prompt.of(source) for name, source in self.components.items()},
                component=self.component,
            )
        except (TemplateError, ValueError) as error:
            raise DataError(str(error), file="variants.json") from error


class Sides(_Shape):
    """``variants.json``."""

    production: Side
    candidate: Side
    others: list[Side]
    """Decided together with the candidate, in their order."""


class Scored(_Shape):
    """One score of one answer."""

    name: str
    version: str
    value: float | None
    unscored: UnscoredReason | None
    rationale: Text

    @classmethod
    def of(cls, score: Score) -> Scored:
        """``score`` as it is kept."""
        return cls(
            name=score.name,
            version=score.version,
            value=score.value,
            unscored=score.unscored,
            rationale=score.rationale,
        )

    @property
    def problem(self) -> str:
        """Why it is no score; empty where it is one."""
        if (self.value is None) == (self.unscored is None):
            return "needs either a value or a reason why it has none"
        if self.value is not None and not 0.0 <= self.value <= 1.0:
            return f"has the value {self.value!r}, outside [0, 1]"
        return ""

    @property
    def score(self) -> Score:
        """The score.

        Raises:
            ValueError: it is none, such as one with neither a value nor a reason.
        """
        return Score(**self.model_dump())


class Answer(_Shape):
    """One answer of one variant."""

    repeat: int
    kind: OutcomeKind
    output: Text
    error: Text
    input_tokens: int
    output_tokens: int
    cost_usd: float | None
    latency_s: float
    scores: list[Scored]

    @property
    def reply(self) -> Reply:
        """What came back, as far as it was kept."""
        return Reply(text=self.output, **self.model_dump(exclude={"repeat", "output", "scores"}))


class TriedAnswer(_Shape):
    """Production's answer, altered. The text is not kept: it follows from production's answers."""

    how: How
    of: str | None
    """The row whose answer it is; null: nobody's."""
    scores: list[Scored]
    """Of the scorers that need no model."""

    @classmethod
    def kept(cls, tried: Tried) -> TriedAnswer:
        """``tried`` as it is kept."""
        return cls(how=tried.how, of=tried.of, scores=[Scored.of(score) for score in tried.scores])

    @property
    def tried(self) -> Tried:
        """What the scorers said.

        Raises:
            ValueError: a score that is none.
        """
        return Tried(how=self.how, of=self.of, scores=tuple(score.score for score in self.scores))


class TestRow(_Shape):
    """One line of ``test_rows.jsonl``."""

    __test__ = False  # not a test class, whatever its name looks like to pytest

    row: dict[str, Any]
    """``PairedRow.to_json()``."""
    production: list[Answer]
    """One per repeat."""
    candidate: list[Answer]
    tried: list[TriedAnswer]
    """Production's first answer broken on purpose; empty where it has none."""


class OtherRow(_Shape):
    """One line of ``others.jsonl``: one test row under one other candidate."""

    candidate: Digest
    row: dict[str, Any]
    """``PairedRow.to_json()``."""
    answers: list[Answer]
    """One per repeat."""


class PriceEntry(_Shape):
    """What a model costs, in USD per million tokens."""

    input_per_mtok: float
    output_per_mtok: float


class Costs(_Shape):
    """``costs.json``."""

    calls: dict[str, int]
    """Purpose -> requests that the run sent."""
    usd: float | None
    usd_by_purpose: dict[str, float]
    prices: dict[str, PriceEntry]
    """Model -> price, of models each of whose answers costs its tokens at it. A model that is not here has
    no known price, or its provider stated the cost of each answer itself."""


class ScorerEntry(_Shape):
    """One entry of ``scorers.json``."""

    name: str
    version: str
    weight: float
    asks: bool
    """Whether it asks a model: a judge, or one that compares embeddings."""
    alone: bool
    """Whether it needs no model at all: then it scored production's answers broken on purpose."""
    params: dict[str, Any]
    spec: dict[str, Any] | None
    """None: it cannot be built from a spec."""


class Call(_Shape):
    """One line of ``calls.jsonl``."""

    key: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    reply: dict[str, Any]


class OpeningEntry(_Shape):
    """One entry of ``openings.json``."""

    split_digest: str
    run: str
    candidate_digest: str
    at: str
    settings: dict[str, Any] | None
    """What its gate asked for; null where that was not recorded."""


def check(model: type[_Model], value: Any, *, entry: str, row: int | None = None) -> _Model:
    """``value`` as ``model``.

    Raises:
        DataError: naming the entry, the row and the field.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise DataError(
            f"{where}: {first['msg'][:1].lower()}{first['msg'][1:]}", file=entry, row=row
        ) from error
