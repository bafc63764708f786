"""Taking a prompt apart: the instructions that may be edited, and the frame that carries the input.

A chat prompt's instructions are its system (or developer) message, or the paragraphs before the input in its
last user turn where those say more. A text prompt's instructions are what stands before its input block, or
below it where most is said there. The rest is the frame: it stays as it is in every candidate, so a rewrite
cannot lose the input.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal, TypeAlias

from promptmigrate import template
from promptmigrate.search.parts import PLACEHOLDER, Parts, around, parts
from promptmigrate.search.text import with_content
from promptmigrate.types import Message, Prompt, Variant

Placement: TypeAlias = Literal["own", "user"]
""""own": instructions where the original has them; "user": repeated at the top of the last user turn, for
models that do not heed their system message."""

HERE = "(the instructions stand here)"
"""What an editor is shown where the frame has a part above the instructions too."""
_ROLE_LINE = re.compile(
    r"^[^\S\n]*(?:\[|<<<|<\|)(system|developer|user|assistant)(?:\]|>>>|\|>)[^\S\n]*$\n?", re.MULTILINE
)
_ROLE_ABOVE = re.compile(rf"\A\s*(?:{_ROLE_LINE.pattern})", re.MULTILINE)
_ROLE_BELOW = re.compile(rf"(?:{_ROLE_LINE.pattern})\s*\Z", re.MULTILINE)


@dataclass(frozen=True, kw_only=True, eq=False)
class Demo:
    """A worked example: production's input and the answer that is known to be good."""

    example: str
    """Id of the train row it was taken from."""
    inputs: Mapping[str, Any]
    answer: str


@dataclass(frozen=True, kw_only=True)
class Anatomy:
    """A prompt in two parts. ``messages[slot].content == before + instructions + after``."""

    prompt: Prompt
    slot: int
    """Index of the message that holds the instructions."""
    instructions: str
    """May be empty: then new instructions are put before the frame as a paragraph of their own."""
    after: str
    """What follows the instructions in their message, with the white space between."""
    before: str = ""
    """What stands above them there, with the white space between."""

    @classmethod
    def of(cls, prompt: Prompt) -> Anatomy:
        """Take ``prompt`` apart."""
        last = _last_user(prompt)
        own = parts(prompt.messages[last].content)
        system = next((i for i, m in enumerate(prompt.messages) if m.role in ("system", "developer")), None)
        if system is not None:
            text = prompt.messages[system].content
            found = parts(text) if PLACEHOLDER.search(text) else Parts("", text, "")
            if not found.instructions.strip():
                # It only hands over data, or is one sentence around a placeholder: then edit it whole.
                found = Parts("", "", text) if own.instructions.strip() else Parts("", text, "")
            if found.weight >= own.weight:
                return cls(prompt=prompt, slot=system, **found._asdict())
        return cls(prompt=prompt, slot=last, **own._asdict())

    @property
    def last_user(self) -> int:
        """Index of the last user turn, which carries the input."""
        return _last_user(self.prompt)

    @property
    def chat_slot(self) -> bool:
        """Whether the instructions have a message apart from the last user turn."""
        return self.slot != self.last_user

    @cached_property
    def frame(self) -> str:
        """Everything that is fixed, as an editor should see it (roles in brackets for a chat prompt)."""
        own = self.after.strip()
        if self.before:
            own = f"{self.before.strip()}\n\n{HERE}\n\n{own}".rstrip()
        if not self.prompt.chat:
            return own
        found = []
        for index, message in enumerate(self.prompt.messages):
            if text := own if index == self.slot else message.content:
                found.append(f"[{message.role}]\n{text}")
        return "\n\n".join(found)

    @cached_property
    def frame_variables(self) -> tuple[str, ...]:
        """Placeholders of the frame."""
        return template.variables(self.frame)

    @cached_property
    def turn(self) -> str:
        """The last user turn without the instructions."""
        if self.chat_slot:
            return self.prompt.messages[self.last_user].content
        return self.after.lstrip() if not self.before else f"{self.before.rstrip()}{self.after}"

    @cached_property
    def demo_turn(self) -> str:
        """What a demo's user turn is rendered from: the turn, after the values that stand elsewhere.

        An answer that depends on a value which nobody sees would teach a wrong rule.
        """
        shown = template.variables(self.turn)
        others = [name for name in self.prompt.variables if name not in shown]
        return "".join(f"{name}: {{{{{name}}}}}\n" for name in others) + self.turn

    def compose(
        self, instructions: str, *, demos: Sequence[Demo] = (), placement: Placement = "own"
    ) -> Prompt:
        """The prompt with other instructions.

        Of the same kind (text or chat) as the original, unless it has ``demos``: these are real turns, so a
        text prompt with demos becomes a chat prompt whose last user turn is the text.
        """
        messages = list(self.prompt.messages)
        last = self.last_user
        if placement == "user" and self.chat_slot:
            messages[last] = with_content(messages[last], _join(instructions, messages[last].content))
        else:
            own = _join(instructions, self.after, before=self.before)
            messages[self.slot] = with_content(messages[self.slot], own)
        turns: list[Message] = []
        for demo in demos:
            turns.append(Message(role="user", content=template.render(self.demo_turn, demo.inputs)))
            turns.append(Message(role="assistant", content=demo.answer))
        messages[last:last] = turns
        return Prompt(tuple(messages), chat=self.prompt.chat or bool(turns))

    def instructions_in(self, text: str) -> str:
        """The instructions in what an editor wrote, which may hold the frame as well.

        The frame is taken off where it came back as it is, but for white space. Where it did not, ``text`` is
        given back as a whole: it then hands over the input a second time, which no prompt may do.
        """
        lead = self._lead_of_whole(text)
        if lead is None:
            lead = self._lead_of_tail(text)
        if lead is None or (self.instructions.strip() and not lead.strip()):
            return text
        return lead.strip()

    def _lead_of_whole(self, text: str) -> str | None:
        """The instructions of a chat prompt that is written out with all its roles."""
        before, *pieces = _ROLE_LINE.split(text)
        if before.strip() or not pieces or pieces[::2] != [m.role for m in self.prompt.messages]:
            return None
        lead = ""
        for index, (message, content) in enumerate(zip(self.prompt.messages, pieces[1::2], strict=True)):
            frozen = (self.before, self.after) if index == self.slot else ("", message.content)
            match = around(*frozen).fullmatch(content)
            if match is None or (index != self.slot and match["lead"].strip()):
                return None
            lead = match["lead"] if index == self.slot else lead
        return lead

    def _lead_of_tail(self, text: str) -> str | None:
        """What stands before the frame, or before the last user turn, at the end of ``text``; or inside the
        frame."""
        if self.before:
            match = around(self.before, self.after).fullmatch(text.replace(HERE, ""))
            return match["lead"] if match else None
        for tail in (self.frame, self.turn):
            match = around("", tail).fullmatch(text) if template.variables(tail) else None
            if match is None:
                continue
            wanted = template.occurrences(self.instructions)
            if template.occurrences(text) == wanted and around("", tail).fullmatch(self.instructions):
                return text  # the instructions end like the frame, which did not come along
            # The role above the instructions, and that above the frame, may have come along.
            lead = _ROLE_ABOVE.sub("", _ROLE_BELOW.sub("", match["lead"]))
            found = template.occurrences(lead)
            if not role_lines(lead) and found in (Counter(), template.occurrences(self.instructions)):
                return lead
        return None


@dataclass(frozen=True, kw_only=True, eq=False)
class Candidate:
    """A point of the search: instructions, demos and placement on an anatomy, for one model."""

    anatomy: Anatomy
    base: Variant
    """The original Variant: model and parameters."""
    instructions: str
    demos: tuple[Demo, ...] = ()
    placement: Placement = "own"
    params: Mapping[str, Any] | None = None
    """Parameters other than the original's; None: the same."""
    origin: str = ""
    parent: str = ""
    note: str = ""
    steps: bool = False
    """Whether it asks the model to work step by step, so that bare answers would be wrong demos."""

    @cached_property
    def prompt(self) -> Prompt:
        """The plain prompt to ship."""
        return self.anatomy.compose(self.instructions, demos=self.demos, placement=self.placement)

    @cached_property
    def variant(self) -> Variant:
        """The Variant to measure."""
        params = self.base.params if self.params is None else self.params
        return Variant(prompt=self.prompt, model=self.base.model, params=dict(params), origin=self.origin)

    @property
    def key(self) -> str:
        """Digest of the Variant: its identity in tables."""
        return self.variant.digest

    def but(self, **changes: Any) -> Candidate:
        """A copy with changes, whose parent is this one."""
        return replace(self, **{"parent": self.key, "note": "", **changes})


def role_lines(text: str) -> list[str]:
    """The roles that ``text`` names on lines of their own, as one that writes messages does."""
    return _ROLE_LINE.findall(text)


def _last_user(prompt: Prompt) -> int:
    users = [i for i, m in enumerate(prompt.messages) if m.role == "user"]
    return users[-1] if users else len(prompt.messages) - 1


def _join(instructions: str, frame: str, *, before: str = "") -> str:
    if before.strip():
        kept = instructions.strip("\n").rstrip()
        return f"{before}{_join(kept, frame)}" if kept else f"{before.rstrip()}{frame}"
    instructions = instructions.rstrip()
    if not instructions:
        return frame.lstrip("\n")
    if not frame.strip():
        return instructions
    return instructions + (frame if frame[:1].isspace() else "\n\n" + frame)
