"""Measuring a judge on rows that people labelled, through the door."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from promptmigrate.errors import DataError, PromptMigrateError
from promptmigrate.evaluate.judging import ask_judge
from scorers import Answer, Question, Scorer, calibrate_async

if TYPE_CHECKING:
    from collections.abc import Sequence

    from promptmigrate.lm import Door
    from scorers import Calibration


def calibrate(
    door: Door,
    judge: Scorer,
    labelled: Path | Sequence[Mapping[str, Any]],
    *,
    params: Mapping[str, Any],
    columns: Mapping[str, str] | None = None,
    threshold: float | None = None,
) -> Calibration:
    """The calibration card of ``judge``; see :func:`scorers.calibrate`.

    Args:
        door: The way to the judge's model; its budget and cache apply.
        judge: A judge of an experiment.
        labelled: A CSV or JSONL file, or rows.
        params: Parameters of the judge's calls, as in the experiment.
        columns: Which column stands for ``output``, ``label``, ``expected``, ``inputs``, ``group``.
        threshold: From which value on judge and label count as good.

    Raises:
        DataError: the rows cannot be read, none has a label, or not one could be scored.
        BudgetExceeded: a call did not fit; what was answered is kept in the cache.
        EndpointError: the judge cannot be reached at all.
    """
    stopped: list[PromptMigrateError] = []
    failed: list[str] = []

    async def complete(question: Question, /) -> Answer:
        # Calls under way are paid and let finish; no further one is begun.
        if stopped:
            raise stopped[0]
        try:
            answer = await ask_judge(door, question, params)
        except PromptMigrateError as error:
            stopped.append(error)
            raise
        if answer.error is not None:
            failed.append(answer.error)
        return answer

    file = labelled if isinstance(labelled, Path) else None
    try:
        card = door.run(
            calibrate_async(judge, labelled, complete=complete, columns=columns, threshold=threshold)
        )
    except OSError as error:
        raise DataError(f"the labels cannot be read: {error.strerror or error}", file=file) from error
    except ValueError as error:
        raise DataError(f"the labels cannot be used: {error}") from error
    if stopped:
        raise stopped[0]
    if not card.scored:  # such a card says nothing, and would take the place of one that does
        why = ", ".join(f"{count} x {reason}" for reason, count in card.unscored.items())
        told = f"; for instance {failed[0]}" if failed else ""
        raise DataError(f"{judge.name} could score none of {card.rows} labelled rows ({why}{told})")
    return card
