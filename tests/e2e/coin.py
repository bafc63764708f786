"""A strategy of another package that never comes to the same result twice."""

from __future__ import annotations

import os
from pathlib import Path

CODE = '''\
import secrets
from dataclasses import replace

from promptmigrate.search import SearchResult
from promptmigrate.types import Prompt

ASKED = "Reply with just the answer, no explanation. Use one of GLAD, CROSS, FLAT. Draw "


class Coin:
    """Asks a few rows about a prompt that nobody has asked before."""

    name = "coin"

    def search(self, problem):
        text = f"{ASKED}{secrets.token_hex(8)}. {problem.original.prompt.source}"
        drawn = replace(problem.original, prompt=Prompt.text(text), origin="drawn")
        rows = problem.validation[:10]
        values = [problem.evaluate([drawn], rows).quality(drawn, row) for row in rows]
        scored = [value for value in values if value is not None]
        return SearchResult(
            best=drawn,
            quality=sum(scored) / len(scored) if scored else None,
            baseline=None,
            front=(),
            generations=(),
            stopped="the coin has fallen",
            code="exhausted",
            calls=len(rows),
            rows=len(scored),
        )
'''


def installed(folder: Path) -> dict[str, str]:
    """Install the package into ``folder``; what the environment needs to find it there."""
    info = folder / "coin-1.dist-info"
    info.mkdir(parents=True)
    (folder / "coin_strategy.py").write_text(CODE)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: coin\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[promptmigrate.strategies]\ncoin = coin_strategy:Coin\n")
    return {"PYTHONPATH": os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))}
