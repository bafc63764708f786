"""Writes calls.jsonl: what production answered so far, from the simulated world of support tickets."""

from __future__ import annotations

import json
from pathlib import Path

from promptmigrate.simulate import worlds

ROWS = 1200


def main(folder: Path) -> None:
    """Write ``calls.jsonl`` into ``folder``."""
    lines = [
        json.dumps(
            {
                "inputs": dict(row.inputs),
                "reference": row.expected,
                "expectations": {"expected_response": row.expected},
                "group": row.session,
            }
        )
        for row in worlds()["triage"].rows(ROWS, seed=5)
    ]
    (folder / "calls.jsonl").write_text("\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    main(Path(__file__).parent)
