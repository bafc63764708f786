"""How many tokens a call takes, before any is made: from recorded counts, rendered requests and answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from promptmigrate.evaluate import counted_tokens
from promptmigrate.tokens import tokens_in
from promptmigrate.types import Dataset, Prompt

if TYPE_CHECKING:
    from promptmigrate.lm import Price

TURN_TOKENS = 4.0
"""What a turn costs beside its text."""
_ROWS = 400
"""Rendered for an estimate."""
_ANSWER_TOKENS = 100.0
"""Where nothing says how long answers are."""
_JUDGE_FRAME, _VERDICT = 400.0, 40.0
"""Tokens of a judge's instructions, and of its answer."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """Tokens of one call, on average."""

    input: float
    output: float

    @property
    def tokens(self) -> float:
        """Of both."""
        return self.input + self.output

    def usd(self, price: Price) -> float:
        """Its cost."""
        return (self.input * price.input_per_mtok + self.output * price.output_per_mtok) / 1e6

    def __mul__(self, factor: float) -> Call:
        return Call(input=self.input * factor, output=self.output * factor)


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What is known of calls beforehand."""

    call: Call
    """Of production, on an average row."""
    row: float
    """Input tokens that are the row's, not the prompt's."""
    counted: bool
    """Whether the traces counted the tokens."""
    basis: str
    """Where the numbers come from, for people."""

    @property
    def question(self) -> Call:
        """One question to a judge, about one answer."""
        return Call(input=_JUDGE_FRAME + self.row + 2 * self.call.output, output=_VERDICT)


def expected(dataset: Dataset, prompt: Prompt) -> Expected:
    """Tokens of a call of production: those that traces counted, else by the length of requests and answers.

    Args:
        dataset: The rows.
        prompt: What production asks.
    """
    rows = dataset.examples[:_ROWS]
    rendered = _mean([asked_in(prompt, row.inputs) for row in rows])
    frame = asked_in(prompt, dict.fromkeys(prompt.variables, ""))
    own = max(0.0, rendered - frame)
    counted = [tokens for row in dataset if (tokens := counted_tokens(row)) is not None]
    if counted:
        asked = _mean([tokens for tokens, _ in counted])
        answered = _mean([tokens for _, tokens in counted])
        # The traces also say how far the rule is off on these texts.
        own *= asked / rendered if rendered else 1.0
        basis = f"from the token counts of {len(counted)} traces"
        return Expected(call=Call(input=asked, output=answered), row=own, counted=True, basis=basis)
    answers = [tokens_in(row.reference) for row in rows if row.reference]
    output = max(1.0, _mean(answers)) if answers else _ANSWER_TOKENS
    basis = "estimated from the text of requests and recorded answers"
    return Expected(call=Call(input=rendered, output=output), row=own, counted=False, basis=basis)


def asked_in(prompt: Prompt, inputs: Mapping[str, Any]) -> float:
    """About how many input tokens ``prompt`` has with ``inputs``."""
    return sum(tokens_in(turn["content"]) + TURN_TOKENS for turn in prompt.render(inputs))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
