"""What the package promises about imports."""

from __future__ import annotations

import subprocess
import sys


def test_nothing_heavy_is_loaded_before_it_is_needed() -> None:
    code = (
        "import promptmigrate.traces, promptmigrate.cli.traces, sys\n"
        "print([m for m in ('mlflow', 'pydantic', 'litellm', 'aiohttp', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
