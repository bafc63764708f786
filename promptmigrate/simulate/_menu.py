"""Which verdicts a judge may choose from, and on which lines it has to give them.

A menu is read from the request: from a line to fill in (``VERDICT: <one of A, B>``, ``Score: [1-5]``), from a
choice in words ("reply yes or no", "A, B or C"), from a list of options, or from a scale ("from 1 to 5").
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from promptmigrate.simulate._ranks import merit

_SLOT = r"(?:<+[^<>\n]{1,400}>+|\[+[^\[\]\n]{1,400}\]+|\{+[^{}\n]{1,400}\}+)"
_WORDS = r"[\"'`*(]{0,3}[A-Za-z0-9][\w-]{0,30}(?: [A-Za-z][\w-]{0,30}){0,2}[\"'`*)]{0,3}"
_LINE = re.compile(
    rf"(?<!\w)(?P<label>[A-Za-z][A-Za-z _]{{1,30}}?)(?:[ \t]*[#(]?(?P<number>\d{{1,3}}|[nNiI#])[)]?)?\**"
    rf"[ \t]*:[*`]*[ \t]*(?P<slot>{_SLOT}|{_WORDS}(?:[ \t]*(?:/|\||,? or |,(?! or))[ \t]*{_WORDS})+)"
)
_LEAD = re.compile(
    r"^.*?\b(?:one of|either|one word|choose from|pick from|select from|options are|your)\b[\s:,]*"
    r"(?:the following|these)?[\s:]*",
    re.I,
)
_RANGE = re.compile(r"(?<![\d.])(\d{1,3})\s*(?:to|and|through|[-–—]|\.\.\.?)\s*(\d{1,3})(?![\d.])")
_SCALE = re.compile(
    r"\b(?:from|between|scale(?: of| from)?|score(?: of)?|rat(?:e|ing)\w*(?: of)?|grade(?: of)?|points?)\b"
    r"[^\n.]{0,25}?"
    r"(?<![\d.])(\d{1,3})\s*(?:\([^)\n]{1,60}\)\s*)?(?:to|and|through|[-–—])\s*(\d{1,3})(?![\d.])",
    re.I,
)
_SPLIT = re.compile(r"\s*(?:/|\||;|,\s*or\b|,\s*and\b|,|\bor\b)\s*")
_OPTION = (
    r"(?:[\"'`*]{1,3}[A-Za-z0-9][\w -]{0,30}[\"'`*]{1,3}|[A-Z][A-Z_]+(?: [A-Z][A-Z_]+)*"
    r"|[A-Za-z0-9][\w-]{0,20})"
)
_CHOICE = re.compile(
    rf"(?<![\w/|-]){_OPTION}(?:(?:\s*,\s*|\s*/\s*|\s*\|\s*){_OPTION}){{0,8}}"
    rf"(?:\s*/\s*|\s*\|\s*|,?\s+or\s+(?:else\s+)?){_OPTION}(?![\w/|-])"
)
_SAY = r"(?:(?:say|answer|reply|respond|return|output|write|print|give|put)\s+(?:with\s+)?)"
_OTHERWISE = re.compile(
    rf"(?<!\w){_SAY}?(?P<good>{_OPTION})\s+(?:if|when)\s[^.\n]{{1,160}}?(?:[,;.]\s*|\s+)"
    rf"(?:and\s+|or\s+)?(?:else,?\s+|otherwise,?\s+|if not,?\s+)?{_SAY}?(?P<bad>{_OPTION})"
    r"(?:\s+(?:if|when|otherwise)\b|\W*$|\W*\n|\.)",
    re.MULTILINE,
)
_BULLET = re.compile(r"^\s*(?:[-*•]|\(?[A-Ea-e1-9][).:])\s+[`\"'*]{0,3}([A-Za-z][\w -]{0,30}?)[`\"'*]{0,3}\s*"
                     r"(?:[:(–—-].*)?$")  # fmt: skip
_LETTERED = re.compile(r"^[ \t]*\(?([A-E])[).:]\)?\s+(\S.*)$", re.MULTILINE)
_DRESS = " \t\n\"'`*.:;()<>[]{}“”"
_ABOUT = re.compile(r"reason|explan|rationale|comment|feedback|analysis|thought|justif|critique|steps?$|item|"
                    r"claim|point|evidence", re.I)  # fmt: skip
_VERDICT = re.compile(
    r"(?:(?:final|overall|your|the) )?"
    r"(?:verdict|score|grade|rating|answer|result|judge?ment|decision|label|choice)",
    re.I,
)
_DOUBLE = re.compile(r"\[\[(\w{1,12})\]\]")
_QUOTED_LINE = re.compile(
    r"[\"'`“]([A-Za-z][A-Za-z _]{1,30}):\**[ \t]*([\w-]{1,30}(?: [\w-]{1,30}){0,2})\**[\"'`”]"
)
_BRACKET_LINE = re.compile(r"(\[[A-Z]{2,12}\])[ \t]*([(<{][^)>}\n]{3,80}[)>}])")
_NOTHING = re.compile(
    r"\b(?:no|none|nothing)\b[^\n]{0,60}?\b(?:write|say|answer|reply|output|print)\s+(?:only |just )?"
    r"[\"'`]?([A-Za-z]+: *[A-Za-z]+|(?-i:[A-Z_]{3,}))", re.I,
)  # fmt: skip
_TOP = r"(?:best|perfect|flawless|excellent|ideal|highest|fully correct)"
_BEST = re.compile(
    rf"\b{_TOP}\b\W{{0,3}}(?:is |being |score of )?(\d{{1,3}})(?![\d.])"
    rf"|(?<![\d.])(\d{{1,3}})\W{{0,3}}(?:is |means |for )?(?:the )?{_TOP}",
    re.I,
)


@dataclass(frozen=True, slots=True)
class Line:
    """A line to fill in: ``label: option``, or ``label number: option``."""

    label: str
    number: str
    options: tuple[str, ...]
    wrap: str = ""
    """The brackets that belong around the option, as in ``[[A]]``."""
    sign: str = ": "
    """What stands between label and option."""

    def wrapped(self, option: str) -> str:
        """The option in its brackets."""
        return f"[[{option}]]" if self.wrap else option


@dataclass(frozen=True, slots=True)
class Menu:
    """What a judge may say, and where."""

    options: tuple[str, ...] = ()
    """As they are listed; empty where the request names none."""
    lines: tuple[Line, ...] = ()
    item: str = ""
    """The label of a line that names what the verdict below it is about ("ITEM"); empty if there is none."""
    nothing: str = ""
    """What to say where there is nothing to list."""
    wrap: str = ""

    def wrapped(self, option: str) -> str:
        """The option in its brackets."""
        return f"[[{option}]]" if self.wrap else option


def read_menu(*texts: str) -> Menu:
    """The menu of a request; of several texts the first that holds one counts."""
    for text in texts:
        if lines := _quoted_lines(text) or tuple(_lines(text)) or _marked_line(text):
            item = next((m["label"] for m in _LINE.finditer(text) if m["number"] and _is_item(m)), "")
            nothing = _NOTHING.search(text)
            return Menu(lines[-1].options, lines, item, nothing[1] if nothing else "")
        bracketed = tuple(dict.fromkeys(_DOUBLE.findall(text)))
        if len(bracketed) > 1:
            return Menu(bracketed, wrap="[[]]")
        if options := _spoken(text):
            return Menu(options)
    return Menu()


def _is_item(match: re.Match[str]) -> bool:
    return bool(re.match(_SLOT, match["slot"])) and not options_of(match["slot"])


def _lines(text: str) -> Iterator[Line]:
    found: dict[tuple[str, str], Line] = {}
    for match in _LINE.finditer(text):
        slot, label = match["slot"], _label(match["label"].strip())
        if _ABOUT.search(label):
            continue
        if slot[0] not in "<[{":
            before = text[text.rfind("\n", 0, match.start()) + 1 : match.start()].rstrip(" *")
            if not _VERDICT.fullmatch(match["label"].strip()) or (before and before[-1] not in "\"'`:>-"):
                continue
        options = options_of(slot)
        if not options:
            continue
        wrap = "[[]]" if slot.startswith("[[") and _RANGE.search(slot) is None else ""
        found.pop((label, match["number"] or ""), None)
        found[label, match["number"] or ""] = Line(label, match["number"] or "", options, wrap)
    lines = list(found.values())
    if lines:  # only those of the last label: an earlier one told something else
        label = lines[-1].label
        yield from (line for line in lines if line.label == label)


def _quoted_lines(text: str) -> tuple[Line, ...]:
    """A line that is shown once for each option, in quotes."""
    shown: dict[str, dict[str, None]] = {}
    for match in _QUOTED_LINE.finditer(text):
        shown.setdefault(match[1].strip(), {})[match[2].strip()] = None
    several = [Line(label, "", tuple(options)) for label, options in shown.items() if len(options) > 1]
    return (several[-1],) if several else ()


def _marked_line(text: str) -> tuple[Line, ...]:
    """A mark such as ``[RESULT]`` with a slot behind it."""
    for match in _BRACKET_LINE.finditer(text):
        if options := options_of(match[2]):
            return (Line(match[1], "", options, sign=" "),)
    return ()


def _label(words: str) -> str:
    """The label without the sentence before it: it begins with the last capital, if it is that long."""
    parts = words.split()
    if len(parts) <= 2:
        return words
    first = len(parts) - 1
    while first > 0 and parts[first - 1][0].isupper() and first > len(parts) - 3:
        first -= 1
    return " ".join(parts[first:])


def options_of(slot: str) -> tuple[str, ...]:
    """The options in a slot such as ``<one of A, B>`` or ``yes|no``; empty if it is free text."""
    inner = slot.strip().strip("<>[]{}()").strip()
    listed = _LEAD.sub("", inner)
    if bounds := _RANGE.search(listed):
        low, high = int(bounds[1]), int(bounds[2])
        if low < high <= low + 100 and len(re.sub(r"[^A-Za-z ]", "", listed).split()) <= 7:
            return tuple(map(str, range(low, high + 1)))
    parts = [part.strip(_DRESS) for part in _SPLIT.split(listed)]
    parts = [part for part in parts if part]
    if len(parts) < 2 or any(len(part) > 40 or len(part.split()) > 4 for part in parts):
        return ()
    if (
        listed == inner
        and not re.search(r"[/|]|\bor\b", inner)
        and not all(p.isupper() or p.isdigit() for p in parts)
    ):
        return ()  # an enumeration of things to write about
    return tuple(dict.fromkeys(parts))


def _spoken(text: str) -> tuple[str, ...]:
    """The options that a sentence or a list offers; of several offers the last."""
    offers = [(m.start(), _SPLIT.split(m[0])) for m in _CHOICE.finditer(text)]
    offers += [(m.start(), [m["good"], m["bad"]]) for m in _OTHERWISE.finditer(text)]
    kept = [(at, options) for at, parts in offers if (options := _verdicts(parts))]
    for match in _SCALE.finditer(text):
        low, high = int(match[1]), int(match[2])
        if low < high <= low + 100:
            kept.append((match.start(), tuple(map(str, range(low, high + 1)))))
    if kept:
        return max(kept, key=lambda offer: offer[0])[1]
    bullets = [m[1].strip() for line in text.split("\n") if (m := _BULLET.match(line))]
    if 2 <= len(bullets) <= 8 and _verdicts(bullets):
        return tuple(bullets)
    letters = [m[1] for m in _LETTERED.finditer(text)]
    return tuple(dict.fromkeys(letters)) if len(set(letters)) >= 2 else ()


def _verdicts(parts: Sequence[str]) -> tuple[str, ...]:
    """The parts of a choice as options, if they are verdicts and not other words that an "or" joins."""
    while len(parts) > 2 and merit(parts[0].strip(_DRESS)) is None and parts[0].strip(_DRESS).islower():
        parts = parts[1:]  # a word of the sentence before
    options = tuple(dict.fromkeys(part.strip(_DRESS) for part in parts))
    known = [merit(option) for option in options]
    marked = [part[:1] in "\"'`*" or option.isupper() for part, option in zip(parts, options, strict=False)]
    if len(options) < 2 or "" in options:
        return ()
    if all(option.isdigit() for option in options):
        return options if len(options) == 2 and set(options) <= {"0", "1", "2"} else ()
    if all(marked) or (
        len({value for value in known if value is not None}) > 1 and known.count(None) <= len(known) / 2
    ):
        return options
    return ()


def meanings(options: Sequence[str], text: str) -> dict[str, str]:
    """What a request says that an option means: ``A: the answer is right``, ``"1" means wrong``."""
    found = {}
    for option in options:
        if len(option) == 1 and (
            match := re.search(rf"(?m)^[ \t]*\(?{re.escape(option)}[).:]\)?\s+(\S.*)$", text)
        ):
            found[option] = match[1]
            continue
        pattern = (
            rf"(?<![\w]){re.escape(option)}[\"'`*)\]]*\s*(?::|=|[-–—]|means\b|if\b|when\b|for\b|\()\s*"
            r"([^\n;,.]{2,120})"
        )
        if match := re.search(pattern, text):
            found[option] = match[1]
    return found


def best_number(text: str) -> str:
    """The number that a request calls the best, if it does."""
    match = _BEST.search(text)
    return (match[1] or match[2]) if match else ""
