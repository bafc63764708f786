"""The prompts of a run as ``verdict.json`` and the report have them, one or several."""

from __future__ import annotations

from typing import Any

from promptmigrate.types import Variant


def prompts(original: Variant, candidate: Variant) -> dict[str, Any]:
    """``{"original", "candidate"}``: the template's source.

    Of a program all templates in one text, each under its name, and ``components`` with both sources of each.
    """
    if not candidate.components:
        return {"original": original.prompt.source, "candidate": candidate.prompt.source}
    return {
        "original": _joined(original),
        "candidate": _joined(candidate),
        "components": {
            name: {"original": original.components[name].source, "candidate": prompt.source}
            for name, prompt in candidate.components.items()
        },
    }


def _joined(variant: Variant) -> str:
    return "\n\n".join(f"=== {name} ===\n{prompt}" for name, prompt in variant.components.items())
