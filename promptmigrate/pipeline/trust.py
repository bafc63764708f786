"""What is known of the judges that decide: a judge that nobody compared with people is a guess."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from promptmigrate.config import Config
from promptmigrate.decide import JudgeErrors
from promptmigrate.evaluate import Measure
from promptmigrate.pipeline.gate import Trust
from promptmigrate.pipeline.measures import calibrations


def trust_in(config: Config, chosen: Sequence[Measure], folder: Path) -> Trust:
    """Which judges of ``chosen`` have no calibration card, and the errors of the one that decides alone.

    Raises:
        ConfigError: a card cannot be read, or is another judge's.
    """
    cards = calibrations(config, chosen, folder=folder)
    # Labels of one kind only say nothing about one kind of the judge's mistakes.
    known = {
        name: card
        for name, card in cards.items()
        if card is not None
        and card.true_positive + card.false_negative
        and card.true_negative + card.false_positive
    }
    errors = None
    quality = [measure.scorer.name for measure in chosen if measure.weight]
    if len(quality) == 1 and (card := known.get(quality[0])) is not None:
        errors = JudgeErrors.of(card)
    return Trust(uncalibrated=tuple(name for name in cards if name not in known), errors=errors)
