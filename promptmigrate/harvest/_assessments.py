"""What people and judges said of a trace, kept with its call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from promptmigrate.harvest import reasons
from promptmigrate.harvest._call import Call, plain

_CORRECTNESS = frozenset({"correct", "correctness", "is_correct"})


def with_assessments(calls: list[Call], assessments: Sequence[Any]) -> list[Call] | str:
    """The calls with what people and judges said about the trace, if it is about one call.

    Or the reason why they are of no use: a person marked the answer as wrong and gave no right one.
    """
    if len(calls) != 1:
        return calls
    call = calls[0]
    expectations: dict[str, Any] = {}
    feedback: dict[str, Any] = {}
    correct: bool | None = None
    for item in sorted(assessments, key=lambda item: item.last_update_time_ms or 0):
        if item.valid is False:
            continue
        kind = type(item).__name__
        if kind == "Expectation":
            expectations[item.name] = plain(item.value)
        elif kind == "Feedback" and item.error is None and item.value is not None:
            human = str(getattr(item.source, "source_type", "")) == "HUMAN"
            if human and item.name.lower() in _CORRECTNESS and isinstance(item.value, bool):
                correct = item.value
            feedback[item.name] = plain(item.value)
    if correct is False and not expectations:
        return reasons.MARKED_WRONG
    if correct and not expectations:
        expectations["expected_response"] = call.reference
    metadata = {**call.metadata, **({"feedback": feedback} if feedback else {})}
    return [
        Call(
            inputs=call.inputs,
            reference=call.reference,
            expectations=expectations,
            group=call.group,
            trace_ids=call.trace_ids,
            metadata=metadata,
        )
    ]
