"""Which recorded calls a trace holds, for one prompt, or the reason why it holds none."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from promptmigrate.files import canonical_json
from promptmigrate.harvest import chat, markers, match, reasons
from promptmigrate.harvest._assessments import with_assessments
from promptmigrate.harvest._call import Call, NotPlainError, plain
from promptmigrate.harvest._spans import Node, iso, nodes
from promptmigrate.types import Prompt

_SNAPSHOT = re.compile(r"[-@:](\d{4}-\d{2}-\d{2}|\d{4,8}|v?\d+(\.\d+)*|latest)")

GroupBy = Literal["session", "user", "none"]


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Whose calls are looked for."""

    prompt: Prompt
    name: str | None = None
    """Registry name; None for a prompt that is in no registry."""
    version: str | None = None
    """Only this version's calls; None: any version's, since the inputs are what counts."""
    linked_only: bool = False
    """Leave out calls that neither are linked to the prompt nor show its text."""
    model: str | None = None
    """Leave out calls that another model is known to have answered."""
    group_by: GroupBy = "session"


def reject(info: Any, wanted: Wanted) -> str | None:
    """Why a trace is of no use, as far as can be told without its spans."""
    state = str(getattr(info.state, "value", info.state))
    if state == "ERROR":
        return reasons.FAILED
    if state == "IN_PROGRESS":
        return reasons.UNFINISHED
    if any(tag in info.tags for tag in markers.EVALUATION_TAGS):
        return reasons.NOT_PRODUCTION
    links = _links(info.tags)
    if wanted.name and links and not _is_linked(links, wanted):
        return reasons.OTHER_PROMPT
    return None


def recognise(trace: Any, wanted: Wanted) -> list[Call] | str:
    """The calls of the wanted prompt in one MLflow trace, or why there is none."""
    spans = nodes(trace.data.spans)
    if not spans:
        return reasons.LOST
    try:
        found = _gateway_call(trace.info, spans, wanted)
        if found is None:
            found = _calls(trace.info, spans, wanted)
    except NotPlainError:
        return reasons.NOT_PLAIN
    if isinstance(found, str):
        return found
    return with_assessments(found, trace.info.assessments or ())


def same_model(wanted: str, seen: str) -> bool:
    """Whether two names mean one model: provider prefixes and dated snapshots do not count."""
    first, second = sorted((wanted.lower().split("/")[-1], seen.lower().split("/")[-1]), key=len)
    return first == second or (
        second.startswith(first) and _SNAPSHOT.fullmatch(second[len(first) :]) is not None
    )


def _gateway_call(info: Any, spans: Sequence[Node], wanted: Wanted) -> list[Call] | str | None:
    """The call of a trace that our gateway wrote; None if it did not write this one."""
    root = spans[0]

    def marker(name: str) -> Any:
        return root.attributes.get(name, info.tags.get(name))

    if marker(markers.ROUTE) is None:
        return None
    if str(marker(markers.SHADOW) or "").lower() not in ("", "false", "0"):
        return reasons.SHADOW
    digest = marker(markers.PROMPT_DIGEST)
    if digest is not None and digest != wanted.prompt.digest:
        return reasons.OTHER_PROMPT
    if not root.ok:
        return reasons.FAILED
    values = match.by_name(wanted.prompt.variables, root.inputs)
    if values is None:
        sent = chat.turns(root.inputs)
        values = match.by_text(wanted.prompt, sent) if sent else None
    if values is None:
        return reasons.NO_INPUTS
    if is_cut([*values.values(), root.answer.text]):
        return reasons.CUT
    names = {"variant": markers.VARIANT, "route": markers.ROUTE, "model": markers.FULL_MODEL}
    extra = {key: marker(name) for key, name in names.items()}
    return _finish([(root, values, root.answer, extra)], info, wanted)


def is_cut(values: Any) -> bool:
    """Whether our gateway shortened a text somewhere in ``values``."""
    if isinstance(values, str):
        return values.endswith(markers.CUT)
    if isinstance(values, Mapping):
        return any(is_cut(value) for value in values.values())
    return isinstance(values, list) and any(is_cut(value) for value in values)


def _calls(info: Any, spans: Sequence[Node], wanted: Wanted) -> list[Call] | str:
    links = _links(info.tags)
    linked = bool(links) and (wanted.name is None or _is_linked(links, wanted))
    sent = [(node, turns) for node in spans if (turns := node.turns) is not None]
    matched = _by_text(sent, wanted.prompt)
    if matched:
        return _finish(matched, info, wanted)
    covering = _covering(spans, wanted.prompt.variables)
    if wanted.linked_only and not linked:
        return reasons.OTHER_PROMPT
    if not covering:
        return reasons.NO_MATCH if sent else reasons.NO_INPUTS
    # Arguments with the right names prove nothing by themselves when other text went to the model.
    if sent and not linked and not any(node.is_dspy_predict for node, _ in covering):
        return reasons.NO_MATCH
    if not any(node.ok for node, _ in covering):
        return reasons.FAILED
    return _finish(
        [
            (node, values, _answer_below(node, spans), {"model": _model_below(node, spans)})
            for node, values in covering
            if node.ok
        ],
        info,
        wanted,
    )


_Found = tuple[Node, dict[str, Any], chat.Answer, Mapping[str, Any]]


def _by_text(sent: Sequence[tuple[Node, tuple[chat.Turn, ...]]], prompt: Prompt) -> list[_Found]:
    """Model calls whose messages are the rendered template; of repeated ones, the last that worked."""
    found: dict[str, _Found] = {}
    for node, turns in sent:
        values = match.by_text(prompt, turns) if node.ok else None
        if values is None:
            continue
        named = next(
            (args for step in reversed(node.path) if (args := match.by_name(prompt.variables, step.inputs))),
            None,
        )
        found[canonical_json(values)] = (node, match.merge(values, named), node.answer, {})
    return list(found.values())


def _covering(spans: Sequence[Node], variables: Sequence[str]) -> list[tuple[Node, dict[str, Any]]]:
    """The spans nearest the root whose arguments have the variables' names."""
    found: list[tuple[Node, dict[str, Any]]] = []
    depth: int | None = None
    for node in spans:
        if depth is not None and len(node.path) > depth:
            break
        values = match.by_name(variables, node.inputs)
        if values is not None:
            found.append((node, values))
            depth = len(node.path)
    return found


def _answer_below(node: Node, spans: Sequence[Node]) -> chat.Answer:
    """The one model answer under a function's span, else what the function returned."""
    if not node.is_dspy_predict:
        below = [span for span in spans if (node in span.path or span is node) and span.turns is not None]
        if len(below) == 1 and below[0].ok and below[0].answer.text is not None:
            return below[0].answer
    return chat.Answer(text=chat.plain_answer(node.outputs))


def _model_below(node: Node, spans: Sequence[Node]) -> str | None:
    models = {span.model for span in spans if node in span.path and span.turns is not None and span.model}
    return models.pop() if len(models) == 1 else None


def _finish(found: Sequence[_Found], info: Any, wanted: Wanted) -> list[Call] | str:
    calls, reason = [], reasons.NO_ANSWER
    group = {
        "session": info.trace_metadata.get(markers.SESSION) or info.trace_metadata.get(markers.USER),
        "user": info.trace_metadata.get(markers.USER) or info.trace_metadata.get(markers.SESSION),
        "none": "",
    }[wanted.group_by]
    for node, values, answered, extra in found:
        metadata = {
            **_measures(node, info, alone=len(found) == 1),
            **{key: value for key, value in extra.items() if value is not None},
        }
        model = metadata.get("model")
        if wanted.model and model and not same_model(wanted.model, model):
            reason = reasons.OTHER_MODEL
        elif answered.finish_reason in chat.CUT_SHORT:
            reason = reasons.CUT_SHORT
        elif answered.finish_reason in chat.FILTERED:
            reason = reasons.FILTERED
        elif answered.text is None or not answered.text.strip():
            reason = reasons.NO_ANSWER
        elif any(value is None for value in values.values()):
            reason = reasons.NO_INPUTS
        else:
            links = [f"{name}/{version}" for name, version in _links(info.tags) if name == wanted.name]
            if links:
                metadata["prompt"] = links[0]
            calls.append(
                Call(
                    inputs=plain(values),
                    reference=plain(answered.text),
                    group=str(group or ""),
                    trace_ids=(info.trace_id,),
                    metadata=plain(metadata),
                )
            )
    return calls or reason


def _measures(node: Node, info: Any, *, alone: bool) -> dict[str, Any]:
    """What is known of the call itself; for the only call of a trace, completed from the trace's totals."""
    metadata = node.measures
    if alone:
        usage, cost = info.token_usage or {}, info.cost or {}
        for name in ("input_tokens", "output_tokens"):
            if name not in metadata and isinstance(usage.get(name), int):
                metadata[name] = usage[name]
        if "cost_usd" not in metadata and isinstance(cost.get("total_cost"), int | float):
            metadata["cost_usd"] = float(cost["total_cost"])
        if "latency_s" not in metadata and info.execution_duration is not None:
            metadata["latency_s"] = info.execution_duration / 1000
    if "timestamp" not in metadata:
        metadata["timestamp"] = iso(info.request_time / 1000)
    return metadata


def _links(tags: Mapping[str, str]) -> list[tuple[str, str]]:
    """Name and version of the prompts that a trace is linked to."""
    try:
        found = json.loads(tags.get(markers.LINKED_PROMPTS) or "[]")
    except ValueError:
        return []
    if not isinstance(found, list):
        return []
    return [(str(item.get("name")), str(item.get("version"))) for item in found if isinstance(item, Mapping)]


def _is_linked(links: Sequence[tuple[str, str]], wanted: Wanted) -> bool:
    return any(
        name == wanted.name and (wanted.version is None or version == wanted.version)
        for name, version in links
    )
