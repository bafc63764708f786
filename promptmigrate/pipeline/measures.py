"""Scorers of an experiment: from its configuration, or chosen from what production's answers look like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from promptmigrate.config import Config, ScorerConfig
from promptmigrate.errors import ConfigError
from promptmigrate.evaluate import Measure
from promptmigrate.pipeline.strategies import asked_models
from promptmigrate.types import Example

if TYPE_CHECKING:
    from scorers import Calibration, Scorer


def measures(config: Config, examples: Sequence[Example], *, folder: Path = Path()) -> tuple[Measure, ...]:
    """The Measures of ``config`` for ``examples`` (those that search may see).

    Args:
        config: The experiment.
        examples: What ``auto`` and a ``format_contract`` without settings are made from.
        folder: Where calibration cards are looked for first; then in the working folder.

    Raises:
        ConfigError: a scorer or an option of one does not exist, a judge lacks its model, or a calibration
            card cannot be read or is another judge's.
    """
    import scorers
    from scorers import Judge

    found = []
    for index, item in enumerate(config.scorers):
        try:
            scorer = scorers.from_spec(_spec(item, examples))
        except ValueError as error:
            raise ConfigError(f"scorers.{index}: {error}", key=f"scorers.{index}") from error
        if isinstance(scorer, Judge) and not scorer.model:
            raise ConfigError(
                f"scorers.{index}: {item.use} asks a model; name it, as in "
                f"{{use: {item.use}, judge: openai/gpt-4.1-mini}}",
                key=f"scorers.{index}.judge",
            )
        # What has a limit of its own is no part of the mean: there it would thin out every difference.
        weight = 0.0 if scorer.name in config.gate.guardrails.scores else item.weight
        found.append(Measure(scorer=scorer, weight=weight, params=item.params))
    names = [measure.scorer.name for measure in found]
    if len(set(names)) != len(names):
        raise ConfigError("scorers: two of them have the same name; give one another 'name'", key="scorers")
    if not any(measure.weight for measure in found):
        raise ConfigError(
            "gate.guardrails.scores names every scorer, and none is left for the quality; the margin of the "
            "quality is gate.margin",
            key="gate.guardrails.scores",
        )
    calibrations(config, found, folder=folder)
    return tuple(found)


def calibrations(
    config: Config, chosen: Sequence[Measure], *, folder: Path = Path()
) -> Mapping[str, Calibration | None]:
    """The calibration card of each judge among ``chosen`` by its name; None for a judge without one.

    A measure has a card only if the experiment names one.

    Args:
        config: The experiment that ``chosen`` was made of.
        chosen: What :func:`measures` gave for it.
        folder: Where cards are looked for first; then in the working folder.

    Raises:
        ConfigError: a card cannot be read, or is about another judge, model or wording.
    """
    cards: dict[str, Calibration | None] = {}
    for index, (item, measure) in enumerate(zip(config.scorers, chosen, strict=True)):
        if item.calibration is not None:
            cards[measure.scorer.name] = _card(item.calibration, measure.scorer, f"scorers.{index}", folder)
        elif is_judge(measure.scorer):
            cards[measure.scorer.name] = None
    return cards


def is_judge(scorer: Scorer) -> bool:
    """Whether its scores are a model's opinion: one of our judges, or a bridged one of MLflow."""
    from scorers import Judge

    return isinstance(scorer, Judge) or bool(getattr(scorer, "asks_model", False))


def _card(name: str, scorer: Scorer, where: str, folder: Path) -> Calibration:
    from scorers import load_card, models_of

    key = f"{where}.calibration"
    path = folder / name if (folder / name).exists() else Path(name)
    try:
        card = load_card(path)
    except OSError as error:
        raise ConfigError(
            f"{key}: the card {name} cannot be read: {error.strerror}; 'promptmigrate calibrate' writes one",
            key=key,
        ) from error
    except ValueError as error:
        raise ConfigError(f"{key}: {error}", key=key) from error
    if card.valid_for(scorer):
        return card
    now = models_of(scorer)
    if card.models != now:
        about = f"{', '.join(card.models) or 'no model'}, and this judge asks {', '.join(now) or 'none'}"
    elif card.judge != scorer.name:
        about = f"the judge {card.judge!r}, and this one is {scorer.name!r}"
    else:
        about = "other options, another rubric or another wording of it"
    raise ConfigError(
        f"{key}: the card {name} is about {about}; calibrate this judge (promptmigrate calibrate)", key=key
    )


def _spec(item: ScorerConfig, examples: Sequence[Example]) -> dict[str, Any]:
    """The spec that is meant, with what the user left to the data."""
    if item.use == "auto":
        return choose(examples, judge=item.judge)
    if item.use == "format_contract" and "contract" not in item.spec:
        import scorers

        answers = [e.expected if e.reference is None else e.reference for e in examples]
        contract = scorers.mine_contract(answers)
        if not contract:
            raise ValueError("format_contract: there is no answer to mine a contract from; give 'contract'")
        return {**item.spec, "contract": contract}
    return item.spec


def models(config: Config, chosen: Sequence[Measure]) -> tuple[str, ...]:
    """Every model that a run may ask, each once: those of the experiment and those of its judges."""
    import scorers

    asked = [model for measure in chosen for model in scorers.models_of(measure.scorer)]
    return tuple(dict.fromkeys([*asked_models(config), *asked]))


def choose(examples: Sequence[Example], *, judge: str | None = None) -> dict[str, Any]:
    """The scorer that fits what is expected: labels, JSON, numbers, else the text itself.

    A free text is compared by a judge where one is named, else literally.
    """
    import scorers

    contract = scorers.mine_contract(example.expected for example in examples)
    kind = contract.get("kind")
    if kind == "json":
        return {"use": "json_match"}
    if kind == "number" or (kind == "label" and _are_numbers(contract["labels"])):
        return {"use": "numeric_match"}
    if kind == "label":
        return {"use": "label_match"}
    return {"use": "equivalence", "model": judge} if judge else {"use": "exact_match"}


def _are_numbers(labels: Sequence[str]) -> bool:
    import scorers

    whole = scorers.numeric_match(strict=True)
    return all(whole(output=label, expected=label).value == 1.0 for label in labels)


def describe(items: Sequence[ScorerConfig], chosen: Sequence[Measure]) -> str:
    """One line that names the scorers, and says where one was chosen for the user."""
    parts = []
    for item, measure in zip(items, chosen, strict=True):
        name = measure.scorer.name
        parts.append(f"{name} (chosen from the answers)" if item.use == "auto" else name)
    return ", ".join(parts)
