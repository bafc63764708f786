"""Word problems: a smaller model answers at once, and wrong, unless it is asked to work step by step."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from promptmigrate.simulate._chance import Dice
from promptmigrate.simulate._reading import Demo
from promptmigrate.simulate._signals import Signals, clauses, read_signals
from promptmigrate.simulate._types import SimModel, count_tokens
from promptmigrate.simulate.worlds._base import Guidance, Span, World
from promptmigrate.simulate.worlds._nature import Nature
from promptmigrate.simulate.worlds._people import Cast
from promptmigrate.simulate.worlds._problems import Solved, problem_spans, read_problem, write_problem

_UP = re.compile(
    r"(?<!not )(?<!never )round(?:ed|ing|s)? (?:\w+ )?up|next (?:whole|full|higher|larger|integer)|one "
    r"(?:more|extra)|"
    r"(?:partly|partially|half)[- ](?:filled|full|used)|started (?:one|box|bus|container|unit)|ceiling|"
    r"(?:remainder|rest|left ?overs?)\b[^.]*\b(?:also )?needs?"
)
_DOWN = re.compile(
    r"(?<!not )(?<!never )round(?:ed|ing|s)? (?:\w+ )?down|only (?:the )?(?:full|complete|whole|"
    r"completely)|floor\b|"
    r"(?:ignore|discard|drop|leave out|disregard|not count)\w* (?:\w+ )*(?:remainder|rest|left ?overs?|"
    r"incomplete|partial)"
)
_RESULT = re.compile(
    r"^[\s*_#>`\"']*(?:(?:the )?(?:final )?(?:answer|result|"
    r"total)\b[\s*:=is]*)?[€$]?(-?\d[\d,]*)(?:\.0+)?[\s.*_`\"']*$",
    re.I,
)
_TAILS = (
    "So {result} {unit} it is, starting from {first}.",
    "Therefore the answer is {result} {unit} (we began with {first}).",
    "That makes {result} {unit} after dealing with the {first}.",
)


@dataclass(frozen=True, kw_only=True)
class ArithmeticGuidance(Guidance):
    """What a prompt says about working and answering."""

    signals: Signals
    steps: float
    final: float
    up: float
    down: float
    shown_steps: float
    shown_final: float
    shown_rounding: frozenset[str]


def _mix(**changes: float) -> Mapping[str, float]:
    return changes


class Arithmetic(World):
    """How many are there?"""

    name = "arithmetic"
    variable = "problem"
    about = "Word problems with a number as answer. Smaller models guess unless asked to work in steps."
    prompt = (
        {"role": "system", "content": "You check quantities for the planning team of Northwind."},
        {"role": "user", "content": "{{problem}}\n\nFinish with a line 'Answer: <number>'."},
    )
    source = "sim/arithmetic-large"
    rescuable = ("sim/arithmetic-small",)
    hopeless = ("sim/arithmetic-tiny",)
    harmless = frozenset({"direct", "units"})
    models = (
        SimModel(
            name="sim/arithmetic-large", role="source", world="arithmetic", input_per_mtok=2.5,
            output_per_mtok=10.0,
            base_latency_s=0.8, token_latency_s=0.012, about="what production runs on; works things out "
                "unasked",
        ),
        SimModel(
            name="sim/arithmetic-small", role="target", world="arithmetic", input_per_mtok=0.3,
            output_per_mtok=1.2,
            base_latency_s=0.2, token_latency_s=0.004, context_tokens=32_000,
            about="guesses at once; right when it works step by step, if it may",
        ),
        SimModel(
            name="sim/arithmetic-tiny", role="target", world="arithmetic", input_per_mtok=0.05,
            output_per_mtok=0.2,
            base_latency_s=0.1, token_latency_s=0.002, context_tokens=8_000,
            about="cannot calculate, with or without steps",
        ),
    )  # fmt: skip
    natures: ClassVar[Mapping[str, Nature]] = {
        "sim/arithmetic-large": Nature(
            base=_mix(direct=0.02, guess=0.35, slip=0.012, rounding=0.04, tail=0.05, units=0.02,
            shared=0.008),
            floor=_mix(guess=0.35, slip=0.01, rounding=0.01, tail=0.002, shared=0.008, direct=0.0),
            obeys=0.99, imitates=0.98, attention_tokens=6000,
        ),
        "sim/arithmetic-small": Nature(
            base=_mix(direct=0.95, guess=0.62, slip=0.015, rounding=0.6, tail=0.45, units=0.3, shared=0.008),
            floor=_mix(direct=0.0, guess=0.62, slip=0.008, rounding=0.01, tail=0.002, units=0.01,
            shared=0.008),
            obeys=0.985, imitates=0.94, attention_tokens=700,
        ),
        "sim/arithmetic-tiny": Nature(
            base=_mix(direct=0.98, guess=0.92, slip=0.7, rounding=0.8, tail=0.5, units=0.4, shared=0.008),
            floor=_mix(direct=0.1, guess=0.92, slip=0.65, rounding=0.4, tail=0.05, units=0.1, shared=0.008),
            obeys=0.8, imitates=0.85, attention_tokens=400,
        ),
    }  # fmt: skip

    def write(self, rng: random.Random, cast: Cast) -> tuple[str, str]:
        return write_problem(rng, cast)

    def spans(self, text: str) -> list[Span]:
        return problem_spans(text)

    def parse(self, row: str) -> Solved | None:
        return read_problem(row)

    def truth(self, facts: Solved) -> str:
        return str(facts.result)

    def correct(self, output: str, expected: str) -> bool:
        lines = output.strip().splitlines()
        match = _RESULT.match(lines[-1]) if lines else None
        return bool(match) and match[1].replace(",", "") == expected if match else False

    def inline_answer(self, tail: str) -> str | None:
        match = re.match(r"[\s\"'”’)]*(?:[A-Za-z ]{0,20}[:=>-]+[\s\"'`*]*)(.*)", tail, re.DOTALL)
        if not match or not re.match(r"[^\n]{0,80}\d", match[1]):
            return None
        return match[1].split("\n\n")[0].strip()

    def study(self, text: str, demos: Sequence[Demo]) -> ArithmeticGuidance:
        lines = clauses(text)
        signals = read_signals(text)
        shown = [(read_problem(demo.row), demo) for demo in demos]
        right = [(fact, demo) for fact, demo in shown if fact and self.correct(demo.output, str(fact.result))]
        worked = [demo for _, demo in right if len(re.findall(r"[=×*/+]", demo.output)) >= 2]
        reasoning_field = "[[ ## reasoning ## ]]" in text
        share = 1.0 / len(demos) if demos else 0.0
        weight = min(1.0, 0.6 + 0.2 * len(demos))
        return ArithmeticGuidance(
            tokens=count_tokens(text),
            demos=len(demos),
            signals=signals,
            steps=max(signals.steps, 0.9 if reasoning_field else 0.0, 0.5 * signals.explain),
            final=max(signals.final, 0.8 * signals.bare),
            up=float(any(_UP.search(line) for line in lines)),
            down=float(any(_DOWN.search(line) for line in lines)),
            shown_steps=weight * share * len(worked),
            shown_final=weight * share * len(right),
            shown_rounding=frozenset(
                fact.rounding for fact, demo in right if fact.rounding and demo in worked
            ),
        )

    def ideal(self) -> ArithmeticGuidance:
        return ArithmeticGuidance(
            tokens=300, demos=3, signals=Signals(steps=1, final=1), steps=1, final=1, up=1, down=1,
            shown_steps=1,
            shown_final=1, shown_rounding=frozenset({"up", "down"}),
        )  # fmt: skip

    def pressures(self, guidance: Guidance, facts: Solved) -> Mapping[str, tuple[float, float]]:
        assert isinstance(guidance, ArithmeticGuidance)
        g, s = guidance, guidance.signals
        only_answer = s.bare >= 0.8 and not s.final  # "only the number" and "show your steps" pull apart
        # Told to give the number alone, even a model that works things out unasked answers at once.
        steps = g.steps * (0.45 if only_answer else 1.0) if g.steps or not only_answer else -6.0
        result = {
            "direct": (steps, 0.5 * g.shown_steps if only_answer else g.shown_steps),
            "guess": (0.0, 0.0),
            "slip": (g.steps, g.shown_steps),
            "tail": (g.final, g.shown_final),
            "units": (max(s.bare, 0.6 * s.exact), g.shown_final),
            "shared": (0.0, 0.0),
        }
        if facts.rounding:
            told = g.up if facts.rounding == "up" else g.down
            other = g.down if facts.rounding == "up" else g.up
            result["rounding"] = (
                told or (-0.2 if other else 0.0),
                0.9 if facts.rounding in g.shown_rounding else 0.0,
            )
        return result

    def chance_right(self, hazards: Mapping[str, float]) -> float:
        direct = hazards["direct"]
        others = {name: p for name, p in hazards.items() if name not in ("guess", "slip")}
        wrong = direct * hazards["guess"] + (1.0 - direct) * hazards["slip"]
        return super().chance_right(others) * (1.0 - wrong)

    def render(self, facts: Solved, struck: frozenset[str], guidance: Guidance, dice: Dice) -> str:
        assert isinstance(guidance, ArithmeticGuidance)
        direct = "direct" in struck
        steps = list(facts.steps)
        if "rounding" in struck:
            text, value = steps[-1]
            steps[-1] = (text.split(",", maxsplit=1)[0], value + (-1 if facts.rounding == "up" else 1))
        if ("guess" if direct else "slip") in struck or "shared" in struck:
            text, value = steps[-1]
            steps[-1] = (
                text,
                max(1, value + dice.pick("error", (-20, -12, -10, -6, -4, 3, 7, 10, 12, 20, 50))),
            )
            if steps[-1][1] == value:
                steps[-1] = (text, value + 7)
        result = steps[-1][1]
        answer = f"{result} {facts.unit}" if "units" in struck and "tail" in struck else str(result)
        if direct:
            if "tail" in struck:
                return f"The answer is {answer}."
            return str(result) if guidance.signals.bare >= 0.8 else f"Answer: {answer}"
        if guidance.steps or guidance.shown_steps:
            worked = "\n".join(f"Step {i}: {text} = {value}" for i, (text, value) in enumerate(steps, 1))
        else:
            worked = "; ".join(f"{text} = {value}" for text, value in steps) + "."
        if "tail" in struck:
            tail = dice.pick("tail words", _TAILS)
            return worked + "\n" + tail.format(result=result, unit=facts.unit, first=steps[0][1])
        return f"{worked}\nAnswer: {answer}"
