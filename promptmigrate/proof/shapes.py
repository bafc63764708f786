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

from typing import Annotated, Any, Literal

from pydantic import Field

from promptmigrate.decide import Opening
from promptmigrate.errors import DataError, TemplateError
from promptmigrate.proof.answers import Answer, Shape, Text, TriedAnswer
from promptmigrate.types import Example, OutcomeKind, Prompt, Split, Variant

SCHEMA = "promptmigrate.bundle/4"
MANIFEST = "manifest.json"
SEALS = "seals.json"
ENTRIES = (
    "calls.jsonl", "config.json", "costs.json", "dataset.jsonl", "openings.json", "others.jsonl",
    "rules.json", "scorers.json", "seals.json", "table.json", "test_rows.jsonl", "variants.json",
    "verdict.json",
)  # fmt: skip


Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]


class Made(Shape):
    """One entry as the manifest knows it."""

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    size: int
    """Bytes."""


class SplitRule(Shape):
    """How rows came into their splits."""

    train: float
    validation: float
    seed: int


class Manifest(Shape):
    """``manifest.json``."""

    schema_: Literal["promptmigrate.bundle/4"] = Field(alias="schema")
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


class Row(Shape):
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


class Side(Shape):
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


class Sides(Shape):
    """``variants.json``."""

    production: Side
    candidate: Side
    others: list[Side]
    """Decided together with the candidate, in their order."""


class TestRow(Shape):
    """One line of ``test_rows.jsonl``."""

    __test__ = False  # not a test class, whatever its name looks like to pytest

    row: dict[str, Any]
    """``PairedRow.to_json()``."""
    production: list[Answer]
    """One per repeat."""
    candidate: list[Answer]
    tried: list[TriedAnswer]
    """Production's first answer broken on purpose; empty where it has none."""


class OtherRow(Shape):
    """One line of ``others.jsonl``: one test row under one other candidate."""

    candidate: Digest
    row: dict[str, Any]
    """``PairedRow.to_json()``."""
    answers: list[Answer]
    """One per repeat."""


class PriceEntry(Shape):
    """What a model costs, in USD per million tokens."""

    input_per_mtok: float
    output_per_mtok: float


class Costs(Shape):
    """``costs.json``."""

    calls: dict[str, int]
    """Purpose -> requests that the run sent."""
    usd: float | None
    usd_by_purpose: dict[str, float]
    prices: dict[str, PriceEntry]
    """Model -> price, of models each of whose answers costs its tokens at it. A model that is not here has
    no known price, or its provider stated the cost of each answer itself."""


class ScorerEntry(Shape):
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


class CallReply(Shape):
    """A reply as the call cache keeps it."""

    kind: OutcomeKind
    text: Text = None
    model: Text = ""
    finish_reason: Text = None
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = None
    latency_s: float = 0.0
    status: int | None = None
    error: Text = None


class Call(Shape):
    """One line of ``calls.jsonl``."""

    key: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    reply: CallReply


class OpeningEntry(Shape):
    """One entry of ``openings.json``."""

    split_digest: str
    run: str
    candidate_digest: str
    at: str
    settings: dict[str, Any] | None
    """What its gate asked for; null where that was not recorded."""
    rows: list[str] | None
    """Keys of the rows that were looked at; null where that was not recorded."""

    def opening(self) -> Opening:
        """As the gate knows it."""
        return Opening(
            **self.model_dump(exclude={"rows"}), rows=None if self.rows is None else tuple(self.rows)
        )
