"""What each strategy does with its calls, as measured in runs on simulated models: for plan and forecast."""

from __future__ import annotations

from typing import NamedTuple

from promptmigrate.config import Config
from promptmigrate.pipeline.strategies import reflection_model
from promptmigrate.pipeline.tokens import TURN_TOKENS, Call, Expected
from promptmigrate.search.failures import KNOWN


class Habit(NamedTuple):
    """What one strategy does, as measured."""

    demos: float
    """Demos of a prompt, on average over the calls of a search."""
    rules: float
    """Tokens that rewriting adds to the instructions, on the same average."""
    reflections: float
    """Requests for proposals for each call of the search."""
    least: float = 550.0
    """Calls that it makes before it may find that nothing improves any more."""
    persists: float = 0.9
    """How near it comes to all calls that it has, on average: 0 stops with ``least``."""
    doubt: float = 0.5
    """Relative standard deviation of what one call costs."""
    shown: int = 0
    """Rows that a request for a proposal shows with their answers, beside failures."""


_CHOSEN = 1.4
"""Times the growth of the average candidate."""
_HABITS = {
    "reflective": Habit(5.5, 180.0, 0.03, persists=0.7, shown=KNOWN),
    "gepa": Habit(0.0, 170.0, 0.08, doubt=0.5),
    "copro": Habit(0.0, 350.0, 0.07, least=50.0, persists=0.35, doubt=0.9),
    "metaprompt": Habit(0.0, 20.0, 0.02, least=90.0, persists=0.1, doubt=0.6),
    "mipro": Habit(5.5, 120.0, 0.025),
    "simba": Habit(1.0, 80.0, 0.012),
    "random": Habit(4.0, 0.0, 0.0),
    "fewshot": Habit(6.5, 0.0, 0.0),
    "fewshot-optuna": Habit(2.0, 0.0, 0.0, doubt=0.8),
}


def habit(config: Config) -> Habit:
    """Of the strategy of ``config``, within what it may change; a plug-in is taken to do as the default."""
    found = _HABITS.get(config.search.strategy, _HABITS["reflective"])
    if "demos" not in config.search.may_change:
        found = found._replace(demos=0.0)
    if reflection_model(config) is None:
        found = found._replace(reflections=0.0)
    if "instructions" not in config.search.may_change:
        found = found._replace(rules=0.0, reflections=0.0)
    return found


def grown(config: Config, expected: Expected, *, chosen: bool = False) -> Call:
    """One call of a candidate, on average over a search: rules and demos make prompts longer.

    Args:
        config: Says what may change, and how long a prompt may become.
        expected: What is known of production's calls.
        chosen: The candidate is the one that the search ends with; these are longer than the average.
    """
    does, call = habit(config), expected.call
    growth = does.rules + does.demos * (expected.row + call.output + 2 * TURN_TOKENS)
    growth *= _CHOSEN if chosen else 1.0
    room = max(0.0, config.search.max_prompt_tokens - (call.input - expected.row))
    return Call(input=call.input + min(growth, room), output=call.output)
