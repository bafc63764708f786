"""What the bridges to other tools share: any kind of scorer as a scorer, its identity, and recorded values.

Everything here works on plain values and needs the standard library only.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from scorers._errors import ScorerSpecError
from scorers._types import Sample, Score, Scorer

_NOT_THE_ANSWER = ("reasoning", "rationale")
"""Fields of a DSPy prediction that are thinking."""


def as_scorer(given: Any) -> Scorer:
    """A scorer from what a user gives: a scorer, its name, its spec, or a plain scoring function.

    Raises:
        ScorerSpecError: it is none of these.
    """
    if isinstance(given, str | Mapping):
        from scorers._registry import from_spec

        return from_spec(given)
    from scorers._function import FunctionScorer, is_scoring_function

    if is_scoring_function(given):
        address = f"{given.__module__}:{given.__qualname__}"
        return FunctionScorer(function=given, use=address, name=given.__name__)
    if isinstance(given, type) or not isinstance(given, Scorer):
        raise ScorerSpecError(
            f"{given!r:.80} is no scorer: give one, its name, its spec ({{'use': ...}}) "
            "or a function that takes 'output'"
        )
    return given


def as_scorers(given: Any) -> tuple[Scorer, ...]:
    """One or several scorers, with names that differ.

    Raises:
        ScorerSpecError: none is given, one is no scorer, or two have the same name.
    """
    several = isinstance(given, Sequence) and not isinstance(given, str)
    found = tuple(as_scorer(item) for item in (given if several else (given,)))
    if not found:
        raise ScorerSpecError("no scorer is given")
    names = [scorer.name for scorer in found]
    for name in names:
        if names.count(name) > 1:
            raise ScorerSpecError(f"two scorers are called {name!r}; give one another 'name'", key="name")
    return found


def is_judge(scorer: Any) -> bool:
    """Whether the scorer asks a model."""
    return hasattr(scorer, "ask") and hasattr(scorer, "conclude")


def spec_of(scorer: Scorer) -> dict[str, Any] | None:
    """The spec of ``scorer``, or None for one that cannot be described."""
    from scorers._registry import to_spec

    try:
        return to_spec(scorer)
    except ScorerSpecError:
        return None


def spec_hash(scorer: Scorer) -> str:
    """``sha256:`` and 16 hex digits that change with any option or the version of ``scorer``.

    A scorer without a spec is told by its class and name: its options cannot be seen.
    """
    spec = spec_of(scorer)
    kind = type(scorer)
    what = spec if spec is not None else {"class": f"{kind.__module__}:{kind.__qualname__}"}
    text = json.dumps([what, scorer.name, scorer.version], sort_keys=True, default=str)
    return "sha256:" + hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]


def score_one(scorer: Scorer, sample: Sample) -> Score:
    """The score of one sample; a scorer that breaks leaves it unscored.

    Raises:
        NoCompleteError: a judge has no way to reach a model.
    """
    from scorers._errors import NoCompleteError

    try:
        return scorer(
            output=sample.output, expected=sample.expected, inputs=sample.inputs, trace=sample.trace
        )
    except NoCompleteError:
        raise
    except Exception as error:  # noqa: BLE001 - a plug-in; what it raised is told in the score
        return broken(scorer, error)


def broken(scorer: Scorer, error: BaseException, told: str | None = None) -> Score:
    """The unscored Score that stands for what a scorer raised.

    ``told`` is said of ``error`` where its own message must not be shown as it is.
    """
    if told is None:
        told = f"{type(error).__name__}: {str(error)[:200]}"
    return Score(
        name=scorer.name,
        version=scorer.version,
        unscored="error",
        rationale=f"the scorer broke: {told}",
        evidence={"kind": "error"},
    )


# --- recorded values ---------------------------------------------------------------------------------------


def expected_of(expectations: Any, scorer: Any = None) -> Any:
    """What an output is compared with, out of a mapping of expectations.

    ``expected_response`` wins, a single expectation of another name stands for itself, several are given as
    they are; so is everything, if the scorer picks its own with ``expected_key``.
    """
    if not isinstance(expectations, Mapping):
        return expectations
    present = {str(name): value for name, value in expectations.items() if value is not None}
    if not present:
        return None
    if getattr(scorer, "expected_key", None) is not None:
        return present
    if "expected_response" in present:
        return present["expected_response"]
    return next(iter(present.values())) if len(present) == 1 else present


def answer_of(outputs: Any) -> Any:
    """The answer in recorded outputs: the text of a chat completion, message or response, else the outputs.

    A message without text (a tool call) and all other values are given as they are.
    """
    if isinstance(outputs, str):
        recorded = _parsed(outputs)
        return outputs if recorded is outputs or not _is_recorded(recorded) else answer_of(recorded)
    if isinstance(outputs, list):
        if len(outputs) == 1 and isinstance(outputs[0], str):
            return outputs[0]
        return answer_of(outputs[-1]) if _is_recorded(outputs) else outputs
    if not isinstance(outputs, Mapping):
        return outputs
    choices = outputs.get("choices")
    if isinstance(choices, list) and choices and isinstance(choices[0], Mapping):
        choice = choices[0]
        message = choice.get("message")
        return answer_of(message) if isinstance(message, Mapping) else choice.get("text", outputs)
    if _is_response(outputs):
        texts = [
            text
            for item in outputs["output"]
            if isinstance(item, Mapping) and item.get("type", "message") == "message"
            if (text := _text(item.get("content"))) is not None
        ]
        return "".join(texts) if texts else outputs
    if "role" in outputs:
        text = _text(outputs.get("content", outputs.get("parts")))
        return outputs if text is None or outputs.get("tool_calls") else text
    return outputs


def inputs_of(inputs: Any) -> dict[str, Any] | None:
    """Recorded inputs as a mapping: the variables of a gateway call, ``input`` for a text or conversation."""
    inputs = _parsed(inputs)
    if inputs is None:
        return None
    if isinstance(inputs, Mapping):
        if isinstance(inputs.get("variables"), Mapping) and "messages" in inputs:
            return dict(inputs["variables"])
        for key in ("messages", "input"):
            told = _conversation(inputs.get(key))
            if told is not None:
                return {"input": told}
        return {str(key): value for key, value in inputs.items()}
    told = _conversation(inputs)
    return {"input": inputs if told is None else told}


def fields_of(values: Any) -> Any:
    """The value of the only answer field of a DSPy prediction, or all of them without the reasoning."""
    if not isinstance(values, Mapping):
        return values
    fields = {key: value for key, value in values.items() if key not in _NOT_THE_ANSWER}
    return next(iter(fields.values())) if len(fields) == 1 else fields


def plain_json(value: Any, *, limit: int = 20_000, depth: int = 40) -> Any:
    """``value`` as JSON data for a file: what is no JSON becomes text, long texts and deep values are cut."""
    if isinstance(value, bool | int) or value is None:
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, str):
        text = value.encode("utf-8", "replace").decode("utf-8")
        return text if len(text) <= limit else text[:limit] + " […cut]"
    if depth == 0:
        return "[…cut]"
    if isinstance(value, Mapping):
        return {
            plain_json(str(key)): plain_json(item, limit=limit, depth=depth - 1)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [plain_json(item, limit=limit, depth=depth - 1) for item in value]
    try:
        return plain_json(str(value), limit=limit)
    except Exception as error:  # noqa: BLE001 - an object that cannot even be shown
        return f"<{type(value).__name__}: {type(error).__name__}>"


def _conversation(messages: Any) -> str | None:
    """Messages as one text; None if it is no list of messages. A single user message is its text."""
    if not isinstance(messages, list) or not messages:
        return None
    told = []
    for message in messages:
        if not isinstance(message, Mapping) or "role" not in message:
            return None
        text = _text(message.get("content", message.get("parts")))
        told.append((str(message["role"]), text if text is not None else json.dumps(message, default=str)))
    if len(told) == 1 and told[0][0] == "user":
        return told[0][1]
    return "\n\n".join(f"[{role}]\n{text}" for role, text in told)


def _text(content: Any) -> str | None:
    if isinstance(content, str):
        return content
    if not isinstance(content, list) or not content:
        return None
    texts = []
    for part in content:
        text = part if isinstance(part, str) else part.get("text") if isinstance(part, Mapping) else None
        if isinstance(text, str):
            texts.append(text)
        elif not (isinstance(part, Mapping) and part.get("type") in ("reasoning", "thinking")):
            return None
    return "".join(texts) if texts else None


def _is_response(value: Mapping[str, Any]) -> bool:
    items = value.get("output")
    return isinstance(items, list) and any(isinstance(i, Mapping) and "type" in i for i in items)


def _is_recorded(value: Any) -> bool:
    last = value[-1] if isinstance(value, list) and value else value
    if not isinstance(last, Mapping):
        return False
    has_content = "content" in last or "parts" in last
    return "choices" in last or ("role" in last and has_content) or _is_response(last)


def _parsed(value: Any) -> Any:
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value
