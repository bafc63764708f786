"""The simulated judge: reads any judge request, compares by content, and errs now and then.

The answer and what it is held against are found by the names of their sections, however these are marked.
With a reference the verdict is the truth of the comparison, wrong in about one case of twenty. Without one
(guidelines, faithfulness, relevance, rubrics, preferences) it is an opinion: form where it can be told, else
by hash of the content; deterministic, plausible in its spread, and no measure of quality. Either way it is
given from the menu that the request offers, in the form and on the lines it asks for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from promptmigrate.simulate import _opinion, _ranks
from promptmigrate.simulate._chance import digest, unit
from promptmigrate.simulate._exhibits import Exhibits, exhibits_of
from promptmigrate.simulate._forms import detect, fill
from promptmigrate.simulate._menu import Line, Menu, best_number, meanings, read_menu
from promptmigrate.simulate._opinion import plain, same
from promptmigrate.simulate._reading import Turn

NOISE, NOISE_ON_EQUALS, NOISE_ON_STRANGERS = 0.08, 0.002, 0.02
"""How often it is wrong: as a rule, on texts equal but for form, on texts without a common word."""
PLACE_BIAS = 0.04
"""How often a preference follows the place of an answer and not its content."""

_EXPLAIN = re.compile(
    r"\b(?:reason|explain|explanation|rationale|justif|step[- ]by[- ]step|why|analysis|analy[sz]e|think)",
    re.I,
)
_ABOUT = re.compile(
    r"reason|rationale|explan|why|comment|analysis|feedback|justif|critique|thought|summary", re.I
)
_ITEM = re.compile(
    r"^(?:item|claim|point|statement|fact|instruction|criterion|aspect|text|sentence)s?$", re.I
)
_LISTS = re.compile(r"item|claim|point|statement|fact|instruction|step", re.I)
_NUMBERED = re.compile(r"^[ \t]*\(?(\d{1,3})[.):][ \t]+(\S.*)$", re.MULTILINE)
_UPWARDS = re.compile(r"\b(?:worst|lowest)\b.{0,80}?\b(?:best|highest)\b", re.I | re.DOTALL)
_ENOUGH = 0.5


def judge(model: str, turns: Sequence[Turn], params: Mapping[str, Any]) -> str:
    """The judge's answer to a request."""
    users = [turn.text for turn in turns if turn.role == "user"]
    if not users:
        return "What should I compare?"
    system = "\n".join(turn.text for turn in turns if turn.role == "system")
    case, talk = exhibits_of(system, users)
    told = read_menu(talk, system)
    frame = f"{system}\n{talk}"
    # What is compared may look like a form of its own.
    form = detect([Turn("system", system), Turn("user", talk)], params)
    if not told.options:
        told = replace(told, options=_ranks.opposites(frame))
    bench = _Bench(model, case, told, frame)
    if form.style == "plain" or (form.style == "json" and not form.fields and told.lines):
        return bench.plainly()
    return fill(form, bench)


class _Bench:
    """Judges a case, and fills in what the request asks for."""

    def __init__(self, model: str, case: Exhibits, menu: Menu, frame: str) -> None:
        self._model = model
        self._case = case
        self._menu = menu
        self._frame = frame
        self._kind = _opinion.kind_of(" ".join(menu.options), case.guidelines, frame)
        self._criteria = dict(_NUMBERED.findall(f"{frame}\n{case.guidelines}"))
        self._points = self._listed()

    # the judgement

    def _grade(self, criterion: str = "") -> float:
        """How good the answer is, in [0, 1]; wrong as often as the judge errs."""
        case = self._case
        # The error belongs to what is compared: another wording of the question meets the same judgement.
        seed = digest(self._model, case.answer, case.expected, criterion or case.guidelines, case.question)
        if case.expected and not (criterion and self._kind not in ("", "covered")):
            grade = (
                1.0
                if same(case.answer, case.expected)
                else 0.5 * _opinion.closeness(case.answer, case.expected)
            )
        elif rule := criterion or case.guidelines:
            kind = _opinion.kind_of(criterion)
            if self._is_graded():
                grade = _opinion.assess(kind, case.answer, case.source, seed)
            else:
                grade = float(_opinion.complies(case.answer, rule, seed))
        else:
            grade = _opinion.assess(self._kind, case.answer, case.source, seed)
        is_opinion = not case.expected and self._is_graded()
        if not is_opinion and unit(seed, "noise") < self._noise():
            return 0.0 if grade >= _ENOUGH else 1.0
        return grade

    def _noise(self) -> float:
        answer, expected = plain(self._case.answer), plain(self._case.expected)
        if answer == expected:
            return NOISE_ON_EQUALS
        return NOISE if not expected or set(answer.split()) & set(expected.split()) else NOISE_ON_STRANGERS

    def _is_graded(self) -> bool:
        return len(self._menu.options) > 2

    def _preferred(self, may_tie: bool) -> str:
        """Which of two answers: "1", "2" or "tie"."""
        case = self._case
        by_place = dict(case.rivals)
        one, two = by_place["1"], by_place["2"]
        if plain(one) == plain(two):
            return "tie" if may_tie else "1"
        if unit(digest(self._model, one, two, case.question), "place") < PLACE_BIAS:
            return "1"
        merits = []
        for text in (one, two):
            if case.expected:
                merits.append(_opinion.closeness(text, case.expected))
            else:
                merits.append(_opinion.quality(text, case.question, _opinion.seed_of(self._model, text)))
        if abs(merits[0] - merits[1]) < (0.03 if may_tie else 1e-9):
            return "tie" if may_tie else "1"
        return "1" if merits[0] > merits[1] else "2"

    def _pick(self, options: Sequence[str], grade: float | None = None, criterion: str = "") -> str:
        told = meanings(options, self._frame)
        if self._case.rivals and (places := _ranks.preferences(options, told)):
            return places[self._preferred("tie" in places)]
        if grade is None:
            grade = self._grade(criterion)
        falling = not _UPWARDS.search(self._frame)
        return _ranks.nearest(grade, options, _ranks.merits(options, told, best_number(self._frame), falling))

    def _listed(self) -> list[tuple[str, float]]:
        """The single points that are judged, each with its grade."""
        case = self._case
        if self._kind == "supported":
            found = [
                (point, _opinion.supported(point, case.source)) for point in _opinion.points_of(case.answer)
            ]
        elif self._kind == "followed":
            found = [(point, self._taste(point)) for point in _opinion.points_of(case.question)[:4]]
        elif case.expected:
            points = _opinion.points_of(case.expected) or [case.expected]
            if len(points) == 1:
                found = [(points[0], float(same(case.answer, case.expected)))]
            else:
                found = [(p, float(_opinion.covers(case.answer, p, case.expected))) for p in points]
        else:
            found = [(point, self._taste(point)) for point in _opinion.points_of(case.question)[:4]]
        return [(text, self._erring(text, grade)) for text, grade in found]

    def _taste(self, point: str) -> float:
        seed = digest(self._model, self._case.answer, point)
        return float(_opinion.complies(self._case.answer, "", seed))

    def _erring(self, point: str, grade: float) -> float:
        noise = self._noise()
        if unit(digest(self._model, self._case.answer, self._case.expected, point), "noise") < noise:
            return 0.0 if grade >= _ENOUGH else 1.0
        return grade

    # the answer in plain text

    def plainly(self) -> str:
        """The answer in plain text: the reason where one is asked for, then the verdict."""
        menu = self._menu
        if menu.item and menu.lines:
            return self._itemised(menu.lines[-1])
        if menu.lines:
            said = [self._line(line) for line in menu.lines]
            if menu.lines[-1].number in ("n", "N", "i", "I", "#"):
                line = menu.lines[-1]
                said = [self._line(replace(line, number=number)) for number in self._criteria or ("1",)]
        else:
            said = [menu.wrapped(self._pick(menu.options))]
        if _EXPLAIN.search(self._frame) and (menu.lines or len(said[0]) > 4 or menu.wrap):
            return "\n".join([self._reason(), *said]) if self._says_reason() else "\n".join(said)
        return "\n".join(said)

    def _says_reason(self) -> bool:
        """Whether a reason is wanted next to the verdict."""
        alone = re.search(
            r"\b(?:no|without)\b[^.\n]{0,30}\b(?:explanation|reason)"
            r"|\b(?:exactly|only|just)\b[^.\n]{0,20}\b(?:one|a single) word",
            self._frame, re.I,
        )  # fmt: skip
        return alone is None

    def _line(self, line: Line) -> str:
        number = f" {line.number}" if line.number else ""
        criterion = self._criteria.get(line.number, "") if line.number else ""
        return f"{line.label}{number}{line.sign}{line.wrapped(self._pick(line.options, criterion=criterion))}"

    def _itemised(self, line: Line) -> str:
        if not self._points:
            return self._menu.nothing or f"{line.label}: NONE"
        said = []
        for number, (text, grade) in enumerate(self._points, 1):
            said.append(f"{self._menu.item} {number}: {_short(text)}")
            said.append(f"{line.label} {number}: {line.wrapped(self._pick(line.options, grade))}")
        return "\n".join(said)

    def _reason(self) -> str:
        case = self._case
        if case.rivals:
            return "I held the two answers against what is asked."
        if case.expected:
            said = "says the same as" if self._grade() >= _ENOUGH else "differs from"
            return f"The answer {said} what was expected."
        return "The answer was held against what is asked for."

    # the answer in fields (the protocol of forms)

    def text(self, name: str, index: int) -> str:
        if _ITEM.match(name) and index < len(self._points):
            return _short(self._points[index][0])
        if _ABOUT.search(name):
            return self._reason()
        return self._pick(self._menu.options)

    def truth(self, name: str) -> bool:
        negative = re.search(r"incorrect|wrong|differ|fail|violat|unsafe|harmful|hallucinat", name.lower())
        return (self._grade() >= _ENOUGH) != bool(negative)

    def number(self, name: str, low: float, high: float) -> float:  # noqa: ARG002 - part of the protocol
        grade = self._grade()
        return low + (high - low) * grade if self._case.expected == "" else high if grade >= _ENOUGH else low

    def choice(self, name: str, options: Sequence[Any], index: int = 0) -> Any:
        texts = [str(option) for option in options]
        if self._itemises and index < len(self._points):
            picked = self._pick(texts, self._points[index][1])
        else:
            criterion = name if name.isdigit() else str(index + 1) if index else ""
            picked = self._pick(texts, criterion=self._criteria.get(criterion, ""))
        return options[texts.index(picked)]

    _itemises = False

    def count(self, name: str) -> int:
        if _LISTS.search(name):
            self._itemises = True
            return len(self._points)
        return max(1, len(self._criteria))

    def keys(self, name: str) -> Sequence[str]:
        return list(self._criteria) or [name]


def _short(text: str) -> str:
    return " ".join(text.split())[:120]
