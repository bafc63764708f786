"""Scorers of an experiment: from its configuration, or chosen from what production's answers look like."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from promptmigrate.config import Config, ScorerConfig
from promptmigrate.errors import ConfigError
from promptmigrate.evaluate import Measure
from promptmigrate.types import Example

_MOST_LABELS = 40
_LABEL_CHARS = 60


def measures(config: Config, examples: Sequence[Example]) -> tuple[Measure, ...]:
    """The Measures of ``config`` for ``examples`` (those that search may see).

    Raises:
        ConfigError: a scorer or an option of one does not exist, or a judge lacks its model.
    """
    import scorers
    from scorers import Judge

    found = []
    for index, item in enumerate(config.scorers):
        spec = choose(examples, judge=item.judge) if item.use == "auto" else item.spec
        try:
            scorer = scorers.from_spec(spec)
        except ValueError as error:
            raise ConfigError(f"scorers.{index}: {error}", key=f"scorers.{index}") from error
        if isinstance(scorer, Judge) and not scorer.model:
            raise ConfigError(
                f"scorers.{index}: {item.use} asks a model; name it, as in "
                f"{{use: {item.use}, judge: openai/gpt-4.1-mini}}",
                key=f"scorers.{index}.judge",
            )
        found.append(Measure(scorer=scorer, weight=item.weight, params=item.params))
    names = [measure.scorer.name for measure in found]
    if len(set(names)) != len(names):
        raise ConfigError("scorers: two of them have the same name; give one another 'name'", key="scorers")
    return tuple(found)


def models(config: Config, chosen: Sequence[Measure]) -> tuple[str, ...]:
    """Every model that a run may ask, each once: those of the experiment and those of its judges."""
    import scorers

    asked = [model for measure in chosen for model in scorers.models_of(measure.scorer)]
    return tuple(dict.fromkeys([*config.models, *asked]))


def choose(examples: Sequence[Example], *, judge: str | None = None) -> dict[str, Any]:
    """The scorer that fits what is expected: labels, JSON, numbers, else the text itself.

    A free text is compared by a judge where one is named, else literally.
    """
    expected = [e.expected for e in examples if e.expected is not None]
    texts = [value for value in expected if isinstance(value, str)]
    if not expected:
        return {"use": "exact_match"}
    if all(_is_json(value) for value in expected):
        return {"use": "json_match"}
    if len(texts) == len(expected) and all(len(text) <= _LABEL_CHARS for text in texts):
        distinct = {text.strip().casefold() for text in texts}
        if all(_is_number(text) for text in texts):
            return {"use": "numeric_match"}
        if len(distinct) <= min(_MOST_LABELS, max(2, len(texts) // 3)):
            return {"use": "label_match"}
    elif all(isinstance(value, int | float) and not isinstance(value, bool) for value in expected):
        return {"use": "numeric_match"}
    return {"use": "equivalence", "model": judge} if judge else {"use": "exact_match"}


def _is_json(value: object) -> bool:
    if isinstance(value, dict | list):
        return True
    if not isinstance(value, str) or not value.lstrip().startswith(("{", "[")):
        return False
    try:
        json.loads(value)
    except ValueError:
        return False
    return True


def _is_number(text: str) -> bool:
    try:
        float(text.strip().strip("$€£%").replace(",", ""))
    except ValueError:
        return False
    return True


def describe(items: Sequence[ScorerConfig], chosen: Sequence[Measure]) -> str:
    """One line that names the scorers, and says where one was chosen for the user."""
    parts = []
    for item, measure in zip(items, chosen, strict=True):
        name = measure.scorer.name
        parts.append(f"{name} (chosen from the answers)" if item.use == "auto" else name)
    return ", ".join(parts)
