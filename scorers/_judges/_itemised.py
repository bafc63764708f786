"""What judges share that list items and give a verdict for each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from scorers._judge import JudgeBase
from scorers._judge_forms import json_form, schema_of
from scorers._text import clip
from scorers._types import Sample, Score
from scorers._verdict import items

_SHOWN = 50
"""Items that the evidence lists, those that lost value first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Itemised(JudgeBase):
    """One question; the answer lists items with a verdict each, and the value is their mean."""

    max_tokens: int = 4096
    blank: ClassVar[float | None] = 0.0
    noun: ClassVar[str] = "item"
    """What the items are called."""
    nothing: ClassVar[float] = 1.0
    """The value where there is no item."""

    def _needs_expected(self) -> bool:
        return False

    def _form(self) -> str:
        return (
            f"Write two lines for each {self.noun}, numbered from 1:\n"
            f"ITEM 1: <the {self.noun}, in short>\nVERDICT 1: <one of {', '.join(self.menu)}>\n"
            f"If there is no {self.noun} at all, write only VERDICT: NONE"
        )

    def _json_form(self) -> str:
        return json_form(f'{{"items": [{{"item": "<the {self.noun}>", "verdict": <MENU>}}]}}', self.menu)

    def _schema(self) -> Mapping[str, Any]:
        one = {"item": {"type": "string"}, "verdict": {"type": "string", "enum": list(self.menu)}}
        return schema_of({"items": {"type": "array", "items": schema_of(one)}})

    def _read(self, sample: Sample, text: str) -> Score:  # noqa: ARG002 - the answer says it all
        found = items(text, tuple(self.menu))
        if found is None:
            return self._off_menu(text)
        told = {"decided_by": "judge", "judge": self.model, "count": len(found)}
        if not found:
            return self._found(self.nothing, f"no_{self.noun}s", f"there is no {self.noun}", items=[], **told)
        value = sum(self.menu[given] for _, given in found) / len(found)
        lost = sorted(found, key=lambda pair: self.menu[pair[1]])
        shown = [{"item": clip(item, 160), "verdict": given} for item, given in lost[:_SHOWN]]
        wrong = [f"{given.lower()}: {clip(item, 100)}" for item, given in lost if self.menu[given] < 1.0]
        kind = "match" if value == 1.0 else f"{lost[0][1].lower()}_{self.noun}"
        return self._found(value, kind, clip("; ".join(wrong[:4]), 500), items=shown, **told)
