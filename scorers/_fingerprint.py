"""What tells one judge from another: a hash of all that decides its verdicts."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Any

from scorers._deliberate import deliberate, models_of
from scorers._errors import ScorerSpecError
from scorers._judge import JudgeBase
from scorers._types import Sample, Scorer

_PROBE = Sample(
    output="the output", expected="what is expected",
    inputs={"input": "the input", "context": "the context", "document": "the document"},
)  # fmt: skip


def fingerprint(scorer: Scorer) -> str:
    """SHA-256 of what decides a judge's verdicts: its models, options (rubric, checks), version and wording.

    Its name and the way to reach the model are no part of it. The wording is that of the question about a
    fixed sample, so a release that asks differently gives another fingerprint.
    """
    told: dict[str, Any] = {"version": scorer.version, "models": models_of(scorer)}
    from scorers._registry import to_spec

    try:
        spec = to_spec(scorer)
        spec.pop("name", None)
        told["spec"] = spec
    except ScorerSpecError:
        told["kind"] = f"{type(scorer).__module__}.{type(scorer).__qualname__}"
    told["asks"] = _wording(scorer)
    text = json.dumps(told, sort_keys=True, ensure_ascii=True, default=str)
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def _wording(scorer: Scorer) -> list[Any]:
    if not (hasattr(scorer, "ask") and hasattr(scorer, "conclude")):
        return []
    asking: Any = replace(scorer, cascade=False) if isinstance(scorer, JudgeBase) else scorer
    steps = deliberate(asking, _PROBE)
    try:
        return [[dict(message) for message in question.messages] for question in next(steps)]
    except StopIteration:
        return []
    finally:
        steps.close()
