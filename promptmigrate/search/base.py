"""What a search is given and what it gives back: Problem, Strategy, SearchResult."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

from promptmigrate.errors import UsageError
from promptmigrate.types import Example, Outcome, Prompt, Purpose, Reply, Request, Variant

StopCode: TypeAlias = Literal[
    "perfect", "budget", "no_improvement", "unreachable", "unmeasurable", "exhausted"
]
"""Why a search ended: every validation row is right; the calls are used up; generations brought nothing; they
brought nothing and the best is far below the goal; rows could not be evaluated; nothing is left to try."""

Phase: TypeAlias = Literal["seeds", "proposals", "combinations", "knobs", "final", "minimise"]

CHANGEABLE = frozenset({"instructions", "demos", "format", "temperature"})
"""What ``Problem.may_change`` may name."""


class Measured(Protocol):
    """What a search reads of a :class:`promptmigrate.evaluate.Evaluation`."""

    def outcome(self, variant: Variant, example: Example, repeat: int = 0) -> Outcome | None:
        """What the variant answered, with its scores; None if that pair was not evaluated."""
        ...

    def quality(self, variant: Variant, example: Example) -> float | None:
        """Quality in [0, 1]; None where it is missing (failed call, unscored)."""
        ...


class Evaluate(Protocol):
    """Evaluates every Variant on every Example; may raise BudgetExceeded."""

    def __call__(self, variants: Sequence[Variant], examples: Sequence[Example], /) -> Measured: ...  # noqa: D102


def _silent(_message: str) -> None:
    return None


def _no_price(_model: str) -> None:
    return None


@dataclass(frozen=True, kw_only=True)
class Problem:
    """All that a strategy may know: it sees no provider, no money and no test row."""

    original: Variant
    """The original prompt on the target model, with its parameters."""
    train: tuple[Example, ...]
    """Rows that reflection may read and demos may quote."""
    validation: tuple[Example, ...]
    """Rows that decide between candidates; their texts are never shown to a reflection model."""
    evaluate: Evaluate
    reflect: Callable[[Request], Reply]
    """Asks the reflection model through the door."""
    reflection_model: str
    dspy_lm: Callable[[str, Purpose], Any] | None = None
    """Gives a ``dspy.LM`` on the door; None: one is built on :attr:`reflect`."""
    calls_per_row: int = 1
    """Task and judge calls that one (variant, row) costs at most, repeats included."""
    calls: int
    """Logical calls (task, judge and reflection; answers from the cache count too) the search may use."""
    may_change: frozenset[str] = CHANGEABLE
    max_prompt_tokens: int = 4000
    """Cap for instructions, frame and demos together, estimated by :func:`promptmigrate.tokens.tokens_in`."""
    seed: int = 0
    prompts: tuple[Prompt, ...] = ()
    """Further prompts handed in by the user, tried as seeds."""
    minimise: bool = True
    """Whether what buys nothing is dropped from the best prompt in the end."""
    study: str | None = None
    """Storage URL (sqlite:/// or postgresql://) for the trials of bounded knobs; None: in memory."""
    known: Measured | None = None
    """Pairs that were evaluated before and are paid for: they cost the search nothing."""
    goal: float | None = None
    """Quality that production itself reaches; None: 1.0."""
    max_cost_usd: float | None = None
    """Mean cost per call above which the gate would refuse a variant; None: no limit."""
    max_latency_s: float | None = None
    """Mean latency above which the gate may refuse a variant, in seconds; None: no limit."""
    max_p95_latency_s: float | None = None
    """95th percentile of the latency above which the gate would refuse a variant, in seconds."""
    price_of: Callable[[str], Any] = _no_price
    log: Callable[[str], None] = _silent

    def __post_init__(self) -> None:
        unknown = self.may_change - CHANGEABLE
        if unknown:
            raise UsageError(
                f"search.may_change has {', '.join(sorted(unknown))}; "
                f"known are {', '.join(sorted(CHANGEABLE))}"
            )
        if not self.validation:
            raise UsageError("the search has no validation rows; give data.split.validation a share")
        if self.calls_per_row < 1:
            raise UsageError(f"calls_per_row is {self.calls_per_row}; it must be at least 1")


@dataclass(frozen=True, kw_only=True)
class FrontPoint:
    """One non-dominated choice: nothing measured is at least as good in all and better in one."""

    variant: Variant
    quality: float
    """Mean over its validation rows. The best of many looks better than it is: only test rows decide."""
    cost_usd: float | None
    """Mean cost of one task call; None: unknown price."""
    latency_s: float | None
    rows: int


@dataclass(frozen=True, kw_only=True)
class CandidateRecord:
    """What became of one candidate."""

    variant: Variant | None
    """None: refused before it was a prompt."""
    origin: str
    parent: str = ""
    """Digest of the Variant it was made from."""
    quality: float | None = None
    """Mean over its validation rows so far (over train rows where it never reached validation)."""
    rows: int = 0
    fate: str = ""
    """"incumbent", "kept", "eliminated", "refused: <reason>"."""
    note: str = ""
    """The reflection model's diagnosis, shortened."""


@dataclass(frozen=True, kw_only=True)
class Generation:
    """One round: seeds (index 0), proposals, knobs, combinations, the last comparison, or the minimiser."""

    index: int
    phase: Phase
    candidates: tuple[CandidateRecord, ...]
    best: Variant
    quality: float | None
    """Mean validation quality of ``best`` at the end of the round."""
    calls: int
    """Logical calls used since the start of the search."""


@dataclass(frozen=True, kw_only=True)
class SearchResult:
    """The best Variant found, and how it was found."""

    best: Variant
    quality: float | None
    """Mean validation quality of ``best``; None if no row could be evaluated."""
    baseline: float | None
    """Mean validation quality of the original, over the rows on which it was measured."""
    front: tuple[FrontPoint, ...]
    """What no other one dominates, ``best`` among them; empty where nothing was measured or is told."""
    generations: tuple[Generation, ...]
    stopped: str
    """One sentence: why the search ended."""
    code: StopCode
    calls: int
    """Logical calls used; at most ``Problem.calls``."""
    rows: int = 0
    """Validation rows behind ``quality``."""
    facts: tuple[str, ...] = field(default=())
    """What was mined from production's answers, in plain words."""
    removed: tuple[str, ...] = ()
    """Sentences and demos that the minimiser dropped from the winner: they bought nothing."""
    tokens: tuple[int, int] | None = None
    """Estimated tokens of the winner's template before and after the minimiser; None: not reached."""


@runtime_checkable
class Strategy(Protocol):
    """Finds a better Variant for a Problem.

    A strategy never plans more logical calls than ``Problem.calls``, draws every choice from
    ``Problem.seed`` and what was measured (no clock, no thread order), returns the best so far when a
    callable raises BudgetExceeded, and asks for and returns only Variants of the original's model whose
    prompts keep its roles, fixed parts and placeholders and the token cap and change only what
    ``Problem.may_change`` names: others are refused, with what strategy asked for them
    (:func:`promptmigrate.search.run_strategy`).

    A class may say with an attribute ``deterministic`` (bool; without it, False is taken) whether the same
    problem and outcomes always give the same result. A search that is resumed, or shared by several
    workers, can take over completed calls only where it does.

    With ``reflects`` (bool; without it, True is taken) it says whether it asks the reflection model. Where it
    does not, none has to be there: no key, no price, no call; ``Problem.reflect`` then raises.

    With ``changes`` (some of :data:`CHANGEABLE`; without it, all are taken) it says what it needs leave to
    change one of. Where ``may_change`` names none of them, an experiment is refused before anything is spent.
    """

    name: str

    def search(self, problem: Problem) -> SearchResult:
        """The best Variant found within ``problem.calls``."""
        ...
