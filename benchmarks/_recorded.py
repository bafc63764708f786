"""Recorded pairs of real completions: the same questions under two prompts.

BIG-Bench Hard as answered by code-davinci-002 with an answer-only and with a chain-of-thought prompt
(suzgunmirac/BIG-Bench-Hard, MIT), one JSON object a line: ``task, input, target, direct, cot``.
"""

from __future__ import annotations

import gzip
import json
import os
import sys
from pathlib import Path

VARIABLE = "PROMPTMIGRATE_DATA"
FILE = "bbh_recorded.jsonl.gz"
_MARK = "the answer is "


def find(given: str | None) -> Path:
    """The data file: as given, or in (or at) what the variable names; ends the program without one."""
    path = Path(given or os.environ.get(VARIABLE, FILE))
    path = path / FILE if path.is_dir() else path
    if not path.is_file():
        sys.exit(
            f"{path} is missing: give {FILE} with --data FILE or {VARIABLE} (a file or folder); it holds the "
            "code-davinci-002 outputs of github.com/suzgunmirac/BIG-Bench-Hard as JSON lines with task, "
            "input, target, direct and cot"
        )
    return path


def load(path: Path) -> dict[str, list[tuple[float, float]]]:
    """Task -> (score of the direct answer, score of the chain of thought) for each question, 0 or 1."""
    tasks: dict[str, list[tuple[float, float]]] = {}
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            target = _plain(row["target"])
            said = row["cot"][row["cot"].rfind(_MARK) + len(_MARK) :] if _MARK in row["cot"] else row["cot"]
            pair = float(_plain(row["direct"]) == target), float(_plain(said) == target)
            tasks.setdefault(row["task"], []).append(pair)
    return tasks


def _plain(text: str) -> str:
    return text.strip().rstrip(".").strip()
