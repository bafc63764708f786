"""Where the answer sits in what production wrote: alone, behind a label, after working."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from promptmigrate import template

_ANSWER_TAIL = re.compile(
    r"(?P<lead>(?:(?:so|thus|therefore|hence),?\s+)?(?:the\s+)?(?:final\s+)?(?:answer|result|label|category|verdict)"
    r"\s*(?:is\s*:?|:|=)\s*|#{2,6}\s*)(?P<value>\S[^\n]*?)\s*\.?\s*$",
    re.IGNORECASE,
)


_LEAD = re.compile(r"(?P<lead>[^\W\d_][^\n:=]{0,30}[:=]\s*)(?P<value>\S[^\n]*?)\s*$")
"""A short label before a value, for a last line that all answers begin alike."""
_FIELD = re.compile(r"(?P<lead>[^\W\d_][^\n:=\d]{0,30}:\s*)\S")
"""The same for a field of a record; "Step 1:" and "cost = 3" are working."""


@dataclass(frozen=True, kw_only=True)
class Form:
    """Where the answer sits in what production wrote."""

    lead: str = ""
    """What stands right before the answer on its line ("#### ", "Answer: ")."""
    works: bool = False
    """Whether production writes its working first."""

    @property
    def bare(self) -> bool:
        """The answer is all that production writes."""
        return not self.lead and not self.works

    @property
    def as_line(self) -> str:
        """What an instruction says of the last line: nothing, or the form of it."""
        return f', in the form "{self.lead.strip()} <answer>"' if self.lead else ""

    @property
    def fact(self) -> str:
        """One sentence on where production puts its answer."""
        what = "its working first and then the answer" if self.works else "the answer"
        after = f' after "{self.lead.strip()}"' if self.lead.strip() else ""
        return f"Production writes {what}{after}{' at the end' if self.works else ''}"


def answers_in(pairs: Sequence[tuple[Any, str | None]]) -> tuple[list[str], Form]:
    """The bare answers, and where production puts them."""
    texts = [template.as_text(e).strip() for e, _ in pairs]
    outputs = [o.strip() if isinstance(o, str) else None for _, o in pairs]
    if all(o is None or o == t for t, o in zip(texts, outputs, strict=True)):
        for pattern in (_ANSWER_TAIL, _LEAD):
            tails = [_tail(t, pattern) for t in texts]
            leads = Counter(lead.lower() for lead, _, _ in (t for t in tails if t))
            worked = [t for t in tails if t and t[2]]
            if pattern is _LEAD and _are_records(texts):
                break
            if leads and leads.most_common(1)[0][1] >= 0.7 * len(texts) and len(worked) >= 0.6 * len(texts):
                lead = next(t[0] for t in tails if t and t[0].lower() == leads.most_common(1)[0][0])
                return [t[1] for t in tails if t], Form(lead=lead, works=True)
        return texts, Form()
    return texts, _form(texts, outputs)


def _are_records(texts: Sequence[str]) -> bool:
    """Whether ``texts`` are several labelled lines ("Queue: ...", "Priority: ..."): the last one is a field
    like the others, and what stands above it is no working."""
    leads = [[m["lead"].lower() for m in map(_FIELD.match, t.splitlines()) if m] for t in texts]
    first = Counter(lead[0] for lead in leads if len(set(lead)) > 1)
    return first.total() > 0 and max(first.values()) >= 0.7 * len(texts)


def _tail(text: str, pattern: re.Pattern[str]) -> tuple[str, str, bool] | None:
    last = text.rstrip().splitlines()[-1]
    # A label of its own stands at the start of the line; "the answer is" may end a sentence.
    match = pattern.search(last) if pattern is _ANSWER_TAIL else pattern.match(last)
    if match is None:
        return None
    works = bool(text.rstrip()[: -len(last)].strip()) or len(last[: match.start()].split()) > 3
    return match["lead"], match["value"], works


def _form(texts: Sequence[str], outputs: Sequence[str | None]) -> Form:
    leads: Counter[str] = Counter()
    works = seen = 0
    for text, output in zip(texts, outputs, strict=True):
        if output is None:
            continue
        seen += 1
        at = output.rfind(text)
        if at < 0 or output == text:
            leads[""] += 1
            continue
        start = output.rfind("\n", 0, at) + 1
        tail = _ANSWER_TAIL.search(output[start : at + len(text)])
        lead = tail["lead"] if tail else output[start:at]
        leads[lead if len(lead) <= 40 else ""] += 1
        works += bool(output[:start].strip()) or len(output[start:at].split()) > 8
    if not seen:
        return Form()
    lead, count = leads.most_common(1)[0]
    return Form(lead=lead if count >= 0.6 * seen else "", works=works >= 0.5 * seen)
