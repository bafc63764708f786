"""The simulated provider: models that behave like the ones migrations meet, without key, network or clock.

It is a rehearsal stage, and says so. Its models answer by content alone: the same request has the same answer
in every process. What helps them lives in its worlds only; nothing that searches for prompts knows them.
"""

from __future__ import annotations

from promptmigrate.simulate._provider import find_model, models, respond, worlds
from promptmigrate.simulate._types import Row, SimModel, SimReply
from promptmigrate.simulate.worlds import World

__all__ = ["Row", "SimModel", "SimReply", "World", "find_model", "models", "respond", "worlds"]
