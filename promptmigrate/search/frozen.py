"""What of a prompt is frozen, told from the plain prompt: whoever made it, and from whatever.

Free are the instructions, pairs of turns before the last user turn, and a repetition of the instructions in
that turn (:class:`promptmigrate.search.anatomy.Anatomy`). All else has to be there literally and in order,
but for white space around it, and each placeholder exactly as often.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from promptmigrate import template
from promptmigrate.search.anatomy import Anatomy
from promptmigrate.types import Message, Prompt


class Frozen:
    """The fixed parts of the prompts that a search starts from.

    Args:
        original: The prompt in production.
        given: Prompts that the user wrote, with fixed parts of their own; one that has other placeholders
            than the original is not a start.
    """

    def __init__(self, original: Prompt, given: Sequence[Prompt] = ()) -> None:
        self._original = original
        wanted = set(original.variables)
        starts = [original, *(prompt for prompt in given if set(prompt.variables) == wanted)]
        self._anatomies = [Anatomy.of(prompt) for prompt in starts]

    def broken(self, prompt: Prompt) -> str | None:
        """How ``prompt`` breaks the fixed parts; None if it keeps those of one of the starts."""
        wanted, got = set(self._original.variables), set(prompt.variables)
        if lost := sorted(wanted - got):
            return f"it lost the placeholder {_braced(lost[0])}"
        if new := sorted(got - wanted):
            return f"it invents the placeholder {_braced(new[0])}"
        readings = [_read(anatomy, prompt) for anatomy in self._anatomies]
        if any(isinstance(reading, _Reading) for reading in readings):
            return None
        return next(reading for reading in readings if isinstance(reading, str))

    def beyond(self, prompt: Prompt, may_change: frozenset[str]) -> str | None:
        """What ``prompt``, which is not :meth:`broken`, changes and ``may_change`` does not name; None:
        nothing. A prompt of the user takes the place of the original only where instructions may change.
        """
        starts = self._anatomies if "instructions" in may_change else self._anatomies[:1]
        first = None
        for anatomy in starts:
            reading = _read(anatomy, prompt)
            if isinstance(reading, str):
                continue
            changed = sorted(reading.changes - may_change)
            if not changed:
                return None
            first = first or _CHANGED[changed[0]]
        return f"{first or _CHANGED['instructions']}, and search.may_change does not name that"


_CHANGED = {
    "demos": "it has worked examples (demos)",
    "format": "it moves the instructions to the user turn (format)",
    "instructions": "it changes the instructions",
}


@dataclass(frozen=True, kw_only=True)
class _Reading:
    """A prompt as a start with other instructions, demos, or a repetition of the instructions."""

    changes: frozenset[str]


def _read(anatomy: Anatomy, prompt: Prompt) -> _Reading | str:
    """How ``prompt`` was made of a start, or how it breaks its fixed part."""
    own, last = anatomy.prompt.messages, anatomy.last_user
    extra = max(0, len(prompt.messages) - len(own))
    messages = [*prompt.messages[:last], *prompt.messages[last + extra :]]
    shown = prompt.messages[last : last + extra]
    if [m.role for m in messages] != [m.role for m in own] or not _are_demos(shown):
        return "its roles differ from the original's"
    if not all(template.is_literal(message.content) for message in shown):
        return "it has a placeholder in a worked example"
    places = {"own": _lead(anatomy, messages, at=anatomy.slot, around=(anatomy.before, anatomy.after))}
    if anatomy.chat_slot:
        places["user"] = _lead(anatomy, messages, at=last, around=("", own[last].content))
    found = {place: template.occurrences(lead) for place, lead in places.items() if lead is not None}
    if not found:
        return "it changes the fixed part of the prompt, which stays as it is"
    wanted = template.occurrences(anatomy.instructions)
    # Repeated in the user turn, the instructions may leave out what their first copy has already.
    for place in ("own", "user"):
        if found.get(place) == wanted or (place == "user" and found.get(place) == Counter()):
            lead = places[place]
            changes = {"demos"} if shown else set()
            # Where nothing is repeated, the user turn is as it was.
            changes |= {"format"} if place == "user" and lead else set()
            if (lead or place == "own") and not _same(lead or "", anatomy.instructions):
                changes.add("instructions")
            return _Reading(changes=frozenset(changes))
    return _miscounted(next(iter(found.values())), wanted)


def _same(one: str, other: str) -> bool:
    return one.split() == other.split()


def _are_demos(turns: Sequence[Message]) -> bool:
    return [turn.role for turn in turns] == ["user", "assistant"] * (len(turns) // 2)


def _lead(anatomy: Anatomy, messages: Sequence[Message], *, at: int, around: tuple[str, str]) -> str | None:
    """What stands between two frozen texts in the message ``at``; None if these, or another message, have
    changed."""
    for index, (message, own) in enumerate(zip(messages, anatomy.prompt.messages, strict=True)):
        if index != at and message.content.strip() != own.content.strip():
            return None
    text, (head, tail) = messages[at].content.strip(), (part.strip() for part in around)
    if not text.startswith(head) or not text[len(head) :].endswith(tail):
        return None
    lead = text[len(head) : len(text) - len(tail)]
    apart = not lead or ((not head or lead[0].isspace()) and (not tail or lead[-1].isspace()))
    return lead if apart else None


def _miscounted(found: Counter[str], wanted: Counter[str]) -> str:
    if more := sorted(found - wanted):
        name = more[0]
        if wanted[name]:
            return f"it writes {_braced(name)} {found[name]} times in the instructions, not {wanted[name]}"
        return (
            f"it writes {_braced(name)} itself, which stands in the fixed part: only the instructions change"
        )
    name = min(wanted - found)
    return f"it lost the placeholder {_braced(name)} in the instructions"


def _braced(name: str) -> str:
    return f"{{{{{name}}}}}"
