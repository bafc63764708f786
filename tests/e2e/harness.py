"""Running the command line as a user does: in a folder of its own, as another process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from promptmigrate.files import dump_yaml
from tests.e2e.foreign import KEY, Foreign, note, shipment

MOOD_PROMPT = "Which mood is this customer in: GLAD, CROSS or FLAT?\n\n{{note}}"
SHIPPING_PROMPT = "Turn this shipping line into a JSON record of goods, amount and destination.\n\n{{note}}"


@dataclass(kw_only=True)
class Project:
    """A user's folder with an experiment in it."""

    folder: Path
    server: Foreign
    config: dict[str, Any] = field(default_factory=dict)

    def write(self, **changes: Any) -> Path:
        """Write the experiment file, with ``changes`` to its top level."""
        path = self.folder / "experiment.yaml"
        path.write_text(dump_yaml({**self.config, **changes}))
        return path

    def environment(self, **more: str) -> dict[str, str]:
        """The environment of the user's shell."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "OPENAI_"))}
        return {**kept, "FOREIGN_KEY": KEY, "MLFLOW_DISABLE_TELEMETRY": "true", **more}

    def command(self, *arguments: str) -> list[str]:
        """How the command line is started."""
        return [sys.executable, "-m", "promptmigrate", *arguments]

    def run(self, *arguments: str, environment: Mapping[str, str] | None = None) -> Result:
        """Run a command to its end."""
        done = subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            env=dict(environment or self.environment()),
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )
        return Result(code=done.returncode, out=done.stdout, err=done.stderr)


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The object on stdout."""
        found: dict[str, Any] = json.loads(self.out)
        return found


def project(
    folder: Path,
    server: Foreign,
    *,
    target: str = "petite",
    rows: int = 420,
    task: Callable[[int], tuple[str, str]] = note,
    prompt: str = MOOD_PROMPT,
    scorer: str = "label_match",
    calls: int = 700,
    margin: float = 0.06,
) -> Project:
    """A project whose production calls are in a file, each of a session of its own."""
    lines = []
    for index in range(rows):
        text, truth = task(index)
        row = {
            "inputs": {"note": text},
            "reference": truth,
            "expectations": {"expected_response": truth},
            "group": f"s{index}",
        }
        lines.append(json.dumps(row))
    (folder / "calls.jsonl").write_text("\n".join(lines) + "\n")
    config = {
        "name": "moods",
        "prompt": {"text": prompt},
        "source": {"model": "acme/grand"},
        "targets": [{"model": f"acme/{target}", "params": {"temperature": 0}}],
        "endpoints": {"acme": {"base_url": server.base_url, "api_key_env": "FOREIGN_KEY"}},
        "data": {"traces": {"file": "calls.jsonl"}},
        "scorers": [{"use": scorer}],
        "search": {"reflection_model": "acme/writer"},
        "budget": {"calls": calls},
        "gate": {"margin": margin},
    }
    return Project(folder=folder, server=server, config=config)


def shipping(folder: Path, server: Foreign, **options: Any) -> Project:
    """The JSON task."""
    return project(folder, server, task=shipment, prompt=SHIPPING_PROMPT, scorer="json_match", **options)
