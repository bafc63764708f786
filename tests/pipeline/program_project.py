"""A two-step program on a provider of its own: one prompt copies the feeling, the next names the mood."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from tests.e2e import foreign
from tests.e2e.foreign import MOODS, Foreign, note
from tests.e2e.harness import Project

PROGRAM = '''\
"""The user's program."""


def answer(ask, note):
    feeling = ask("extract", note=note)
    return ask("label", feeling=feeling)
'''
PROMPTS = {
    "extract": {"text": "What does this customer say about their feelings?\n\n{{note}}"},
    "label": {"text": "Which mood does a customer have who says this: GLAD, CROSS or FLAT?\n\n{{feeling}}"},
}


def two_steps(model: str, messages: list[dict[str, str]]) -> str:
    """What the models of this task say; stands in for :func:`tests.e2e.foreign.answer`."""
    everything = "\n".join(turn["content"] for turn in messages)
    if model == "writer":
        written = foreign._write(everything)
        return written.replace("\n```", "\nStay with the words that the customer used.\n```")
    asked = next(turn["content"] for turn in reversed(messages) if turn["role"] == "user")
    word = next((word for word in MOODS if word in asked), None)
    if "Note " in asked:
        faithful = model == "grand" or re.search(r"words (that )?the customer|own words|verbatim", everything)
        return f"I am {word} about it." if faithful else "The customer tells that something has come."
    mood = "FLAT" if word is None else MOODS[word]
    shown = sum(turn["role"] == "assistant" for turn in messages)
    if model == "grand" or shown >= 2 or re.search(r"\b(only|just|nothing else)\b", everything):
        return mood
    return f"I would say **{mood}**."


def project(folder: Path, server: Foreign, *, rows: int = 300, calls: int = 1600) -> Project:
    """The user's folder: program, experiment, and what production answered."""
    lines = []
    for index in range(rows):
        text, truth = note(index)
        row = {"inputs": {"note": text}, "reference": truth, "group": f"s{index // 2}"}
        lines.append(json.dumps({**row, "expectations": {"expected_response": truth}}))
    (folder / "calls.jsonl").write_text("\n".join(lines) + "\n")
    (folder / f"{module(folder)}.py").write_text(PROGRAM)
    config: dict[str, Any] = {
        "name": "moods",
        "program": f"{module(folder)}:answer",
        "prompts": PROMPTS,
        "source": {"model": "acme/grand"},
        "targets": [{"model": "acme/petite", "params": {"temperature": 0}}],
        "endpoints": {"acme": {"base_url": server.base_url, "api_key_env": "FOREIGN_KEY"}},
        "data": {"traces": {"file": "calls.jsonl"}},
        "scorers": [{"use": "label_match"}],
        "search": {"reflection_model": "acme/writer"},
        "budget": {"calls": calls},
        "gate": {"margin": 0.1},
    }
    return Project(folder=folder, server=server, config=config)


def module(folder: Path) -> str:
    """A module name of its own for each folder: modules stay imported in a process."""
    return "flow_" + re.sub(r"\W", "_", folder.name)
