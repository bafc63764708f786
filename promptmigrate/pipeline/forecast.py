"""What a run will spend, said before it starts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from promptmigrate.config import Config
from promptmigrate.lm import Door, Price
from promptmigrate.pipeline.plan import CHARS_PER_TOKEN, Plan
from promptmigrate.types import Dataset, Prompt

_FEWEST_ROWS = 30
"""Rows of a search that stops as soon as it can: the seeds on a block or two."""
_GROWTH = 4.0
"""A candidate's prompt over the original, at most, in the upper end of the estimate."""
_ANSWER_TOKENS = (20, 300)
"""Where no trace says how long answers are."""
_JUDGE_TOKENS = (5, 300)
_REFLECTION_TOKENS = (3000, 1000)
"""Input and output of one request for a proposal, at most."""
_REFLECTION_SHARE = 0.1


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """Calls and money of a run: what it takes at least, and at most."""

    calls: tuple[int, int]
    usd: tuple[float, float] | None
    """None: no price is known."""
    unpriced: tuple[str, ...]
    """Models whose price is not known; they are not in ``usd``."""
    basis: str
    """Where the token counts come from."""

    def line(self) -> str:
        """For people."""
        low, high = self.calls
        money = "" if self.usd is None else f", ${self.usd[0]:.4f} to ${self.usd[1]:.4f}"
        without = f" (without {', '.join(self.unpriced)}: price unknown)" if self.unpriced else ""
        return f"forecast: {low} to {high} calls{money}{without}; {self.basis}"

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "calls": list(self.calls),
            "usd": None if self.usd is None else list(self.usd),
            "unpriced": list(self.unpriced),
            "basis": self.basis,
        }


@dataclass(frozen=True, kw_only=True)
class _Call:
    """Tokens of one call of production: at least, and at most."""

    input: tuple[float, float]
    output: tuple[float, float]

    def usd(self, price: Price) -> tuple[float, float]:
        return (
            (self.input[0] * price.input_per_mtok + self.output[0] * price.output_per_mtok) / 1e6,
            (self.input[1] * price.input_per_mtok + self.output[1] * price.output_per_mtok) / 1e6,
        )


def forecast(config: Config, dataset: Dataset, prompt: Prompt, plan: Plan, door: Door) -> Forecast:
    """What the run of ``plan`` will spend, from the token counts of the traces where they have them.

    The lower end is a search that finds at once what it looks for; the upper end uses up all that is
    planned, with prompts grown to four times the original. Answers from the cache cost nothing and are not
    known beforehand: a run that goes on spends less.
    """
    call, basis = _production_call(dataset, prompt)
    fewest = min(plan.search_calls, _FEWEST_ROWS * plan.calls_per_row)
    calls = (
        plan.gate_calls + fewest * plan.targets,
        plan.gate_calls + plan.search_calls * plan.targets + plan.spare_calls,
    )
    calls = (min(calls), calls[1])
    total, unpriced = [0.0, 0.0], []

    def add(model: str, tokens: _Call, low: float, high: float) -> None:
        price = door.price(model)
        if price is None:
            unpriced.append(model)
            return
        cheap, dear = tokens.usd(price)
        total[0] += cheap * low
        total[1] += dear * high

    # Task and judge calls alternate; a row costs one of the first and calls_per_row - 1 of the second.
    rows = plan.gate_rows * plan.repeats
    judged = plan.calls_per_row - 1
    grown = _Call(input=(call.input[0], call.input[1] * _GROWTH), output=call.output)
    if config.source and plan.rerun:
        add(config.source.model, call, rows, rows)
    spare = plan.spare_calls / plan.targets
    for target in config.targets:
        searched = plan.search_calls / plan.calls_per_row
        add(target.model, grown, rows + fewest / plan.calls_per_row, rows + searched + spare)
    judges = [scorer.judge for scorer in config.scorers if scorer.judge]
    for judge in dict.fromkeys(judges):
        asked = judged / len(set(judges))
        question = _Call(
            input=(call.output[0] * 2, call.input[1] + call.output[1] * 2 + 400), output=_JUDGE_TOKENS
        )
        sides = plan.targets + 1
        most = (plan.search_calls * plan.targets / plan.calls_per_row + rows * sides) * asked
        add(judge, question, 0, most)
    reflections = plan.search_calls * plan.targets * _REFLECTION_SHARE
    add(
        config.reflection_model,
        _Call(input=(0, _REFLECTION_TOKENS[0]), output=(0, _REFLECTION_TOKENS[1])),
        0,
        reflections,
    )
    priced = len(set(unpriced)) < len(set(config.models))
    usd = (total[0], total[1])
    if config.budget.usd is not None:
        usd = (min(usd[0], config.budget.usd), min(usd[1], config.budget.usd))
    return Forecast(
        calls=calls,
        usd=usd if priced else None,
        unpriced=tuple(dict.fromkeys(unpriced)),
        basis=basis,
    )


def _production_call(dataset: Dataset, prompt: Prompt) -> tuple[_Call, str]:
    counted = [
        (float(e.metadata["input_tokens"]), float(e.metadata["output_tokens"]))
        for e in dataset
        if _positive(e.metadata.get("input_tokens")) and _positive(e.metadata.get("output_tokens"))
    ]
    if counted:
        count = len(counted)
        asked = sum(tokens for tokens, _ in counted) / count
        answered = sum(tokens for _, tokens in counted) / count
        call = _Call(input=(asked * 0.8, asked * 1.25), output=(answered * 0.5, answered * 3))
        return call, f"from the token counts of {count} traces"
    rows = dataset.examples[:200]
    chars = sum(len(m["content"]) for e in rows for m in prompt.render(e.inputs)) / max(1, len(rows))
    answers = [len(e.reference) / CHARS_PER_TOKEN for e in rows if e.reference]
    output = (_ANSWER_TOKENS[0], float(_ANSWER_TOKENS[1]))
    if answers:
        mean = sum(answers) / len(answers)
        output = (max(1, int(mean * 0.5)), max(mean * 3, 20.0))
    tokens = chars / CHARS_PER_TOKEN
    return _Call(input=(tokens * 0.7, tokens * 1.5), output=output), "estimated from the length of texts"


def _positive(value: object) -> bool:
    return isinstance(value, int | float) and value > 0
