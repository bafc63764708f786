"""Word problems of a planning team: a story, numbers, and the arithmetic that solves it."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TypeAlias

from promptmigrate.simulate.worlds._base import Span
from promptmigrate.simulate.worlds._people import CITY, FIRST, Cast

Numbers: TypeAlias = Mapping[str, int]
Steps: TypeAlias = list[tuple[str, int]]
"""Each step as text, with its result."""


def _bakery(n: Numbers) -> Steps:
    made = n["a"] * n["b"]
    left = made - n["c"]
    return [(f"{n['a']} × {n['b']}", made), (f"{made} - {n['c']}", left), (f"{left} / 2", left // 2)]


def _lorries(n: Numbers) -> Steps:
    made = n["a"] * n["b"]
    left = made - n["c"]
    return [
        (f"{n['a']} × {n['b']}", made),
        (f"{made} - {n['c']}", left),
        (f"{left} / {n['d']}", left // n["d"]),
    ]


def _furniture(n: Numbers) -> Steps:
    chairs, desks = n["a"] * n["b"], n["c"] * n["d"]
    both = chairs + desks
    return [
        (f"{n['a']} × {n['b']}", chairs), (f"{n['c']} × {n['d']}", desks), (f"{chairs} + {desks}", both),
        (f"{both} - {n['e']}", both - n["e"]),
    ]  # fmt: skip


def _buses(n: Numbers) -> Steps:
    people = n["a"] + n["b"]
    return [
        (f"{n['a']} + {n['b']}", people),
        (f"{people} / {n['c']}, counting a started one", -(-people // n["c"])),
    ]


def _boxes(n: Numbers) -> Steps:
    jars = n["a"] + n["b"]
    return [(f"{n['a']} + {n['b']}", jars), (f"{jars} / {n['c']}, whole ones", jars // n["c"])]


def _ride(n: Numbers) -> Steps:
    first, second = n["a"] * n["b"], n["d"] * n["e"]
    return [
        (f"{n['a']} × {n['b']}", first),
        (f"{n['d']} × {n['e']}", second),
        (f"{first} + {second}", first + second),
    ]


def _seats(n: Numbers) -> Steps:
    seats = n["a"] * n["b"]
    taken = seats * n["c"] // 100
    return [
        (f"{n['a']} × {n['b']}", seats),
        (f"{n['c']} % of {seats}", taken),
        (f"{seats} - {taken}", seats - taken),
    ]


def _savings(n: Numbers) -> Steps:
    saved = n["a"] * n["b"]
    left = saved - n["c"]
    return [
        (f"{n['a']} × {n['b']}", saved), (f"{saved} - {n['c']}", left), (f"{left} / 4", left // 4),
        (f"{left} - {left // 4}", left - left // 4),
    ]  # fmt: skip


def _printer(n: Numbers) -> Steps:
    rate, minutes = n["a"] // n["b"], 60 * n["c"] - n["d"]
    return [
        (f"{n['a']} / {n['b']}", rate), (f"60 × {n['c']} - {n['d']}", minutes), (f"{rate} × {minutes}",
        rate * minutes),
    ]  # fmt: skip


def _containers(n: Numbers) -> Steps:
    crates = n["a"] * n["b"]
    return [
        (f"{n['a']} × {n['b']}", crates),
        (f"{crates} / {n['c']}, counting a started one", -(-crates // n["c"])),
    ]


def _shelves(n: Numbers) -> Steps:
    metres = n["a"] * n["b"]
    return [(f"{n['a']} × {n['b']}", metres), (f"{metres} / {n['c']}, whole ones", metres // n["c"])]


@dataclass(frozen=True, kw_only=True)
class Problem:
    """A family of word problems. ``ranges``: lowest and highest value of each number."""

    story: str
    solve: Callable[[Numbers], Steps]
    ranges: Mapping[str, tuple[int, int]]
    unit: str
    rounding: str = ""
    """``up`` or ``down`` where a remainder decides."""
    fits: Callable[[Numbers], bool] = lambda _: True

    @property
    def key(self) -> str:
        """A piece of the story without slots, to find it quickly."""
        return max(re.split(r"\{\w+\}", self.story), key=len)


PROBLEMS = (
    Problem(
        story="{name} runs a bakery that fills {a} trays with {b} rolls each. {c} rolls are sold in the "
              "morning and half of the "
        "remaining ones in the afternoon. How many rolls are left in the evening?",
        solve=_bakery, ranges={"a": (12, 48), "b": (8, 36), "c": (40, 300)}, unit="rolls",
        fits=lambda n: n["a"] * n["b"] > n["c"] + 10 and (n["a"] * n["b"] - n["c"]) % 2 == 0,
    ),
    Problem(
        story="A warehouse in {city} receives {a} pallets with {b} cartons each. {c} cartons are damaged "
              "and sent back, the rest "
        "is loaded on {d} lorries in equal parts. How many cartons does each lorry carry?",
        solve=_lorries, ranges={"a": (14, 60), "b": (12, 48), "c": (10, 90), "d": (3, 9)}, unit="cartons",
        fits=lambda n: (n["a"] * n["b"] - n["c"]) % n["d"] == 0,
    ),
    Problem(
        story="{name} orders {a} chairs at {b} euros each and {c} desks at {d} euros each. The shop takes "
              "{e} euros off the whole "
        "order. How many euros are to be paid?",
        solve=_furniture, ranges={"a": (6, 40), "b": (35, 120), "c": (3, 20), "d": (90, 310), "e": (20,
        150)}, unit="euros",
    ),
    Problem(
        story="A school in {city} takes {a} pupils and {b} teachers on a trip. A bus has {c} seats. How "
              "many buses are needed?",
        solve=_buses, ranges={"a": (80, 420), "b": (6, 30), "c": (28, 56)}, unit="buses", rounding="up",
        fits=lambda n: (n["a"] + n["b"]) % n["c"] != 0,
    ),
    Problem(
        story="{name} packs {a} jars of honey and {b} jars of jam into boxes of {c}. How many boxes are "
              "full in the end?",
        solve=_boxes, ranges={"a": (60, 400), "b": (60, 400), "c": (9, 24)}, unit="boxes", rounding="down",
        fits=lambda n: (n["a"] + n["b"]) % n["c"] != 0,
    ),
    Problem(
        story="A cyclist rides {a} kilometres a day for {b} days, rests for {c} days and then rides {d} "
              "kilometres a day for {e} "
        "days. How many kilometres is that in all?",
        solve=_ride, ranges={"a": (35, 95), "b": (3, 12), "c": (2, 5), "d": (40, 99), "e": (3, 14)},
        unit="kilometres",
    ),
    Problem(
        story="The hall in {city} has {a} rows with {b} seats each, and {c} percent of the seats are "
              "taken. How many seats are free?",
        solve=_seats, ranges={"a": (16, 60), "b": (18, 50), "c": (15, 85)}, unit="seats",
        fits=lambda n: n["a"] * n["b"] * n["c"] % 100 == 0,
    ),
    Problem(
        story="{name} puts aside {a} euros a month for {b} months, then spends {c} euros on a bicycle and "
              "a quarter of what is left "
        "on a helmet and lights. How many euros remain?",
        solve=_savings, ranges={"a": (60, 240), "b": (8, 24), "c": (180, 460)}, unit="euros",
        fits=lambda n: n["a"] * n["b"] > n["c"] + 20 and (n["a"] * n["b"] - n["c"]) % 4 == 0,
    ),
    Problem(
        story="A printer prints {a} pages in {b} minutes. It works for {c} hours and stands still for {d} "
              "minutes of that. How many "
        "pages does it print?",
        solve=_printer, ranges={"a": (45, 400), "b": (3, 9), "c": (2, 9), "d": (10, 55)}, unit="pages",
        fits=lambda n: n["a"] % n["b"] == 0,
    ),
    Problem(
        story="A farm near {city} sends {a} loads of {b} crates to the port. One container holds {c} "
              "crates. How many containers "
        "have to be booked?",
        solve=_containers, ranges={"a": (7, 30), "b": (18, 70), "c": (40, 90)}, unit="containers",
        rounding="up",
        fits=lambda n: n["a"] * n["b"] % n["c"] != 0,
    ),
    Problem(
        story="{name} has {a} boards of {b} centimetres. One shelf takes {c} centimetres of board. How "
              "many complete shelves can be "
        "made?",
        solve=_shelves, ranges={"a": (9, 40), "b": (90, 240), "c": (130, 310)}, unit="shelves",
        rounding="down",
        fits=lambda n: n["a"] * n["b"] % n["c"] != 0,
    ),
)  # fmt: skip

_ASKED_BY = re.compile(r"Sheet \d+, asked by [^\n]{3,140}\n$")


@cache
def _patterns() -> tuple[tuple[str, re.Pattern[str], Problem], ...]:
    result = []
    for problem in PROBLEMS:
        pattern = re.escape(problem.story)
        pattern = re.sub(r"\\\{(name|city)\\\}", r"(?P<\1>[A-Z]\\w+)", pattern)
        pattern = re.sub(r"\\\{([a-e])\\\}", r"(?P<\1>\\d+)", pattern)
        result.append((problem.key, re.compile(pattern), problem))
    return tuple(result)


@dataclass(frozen=True)
class Solved:
    """A problem with its solution."""

    steps: tuple[tuple[str, int], ...]
    unit: str
    rounding: str

    @property
    def result(self) -> int:
        """The right number."""
        return self.steps[-1][1]


def problem_spans(text: str) -> list[Span]:
    """Where word problems stand in a text."""
    spans = []
    for key, pattern, _ in _patterns():
        if key in text:
            for match in pattern.finditer(text):
                before = _ASKED_BY.search(text, max(0, match.start() - 160), match.start())
                spans.append((before.start() if before else match.start(), match.end()))
    return sorted(spans)


def read_problem(text: str) -> Solved | None:
    """The solution of a problem, None if the text is none."""
    for key, pattern, problem in _patterns():
        match = pattern.search(text) if key in text else None
        if match:
            numbers = {name: int(value) for name, value in match.groupdict().items() if len(name) == 1}
            if numbers.get("c", 1) == 0 or numbers.get("d", 1) == 0 or numbers.get("b", 1) == 0:
                return None
            return Solved(tuple(problem.solve(numbers)), problem.unit, problem.rounding)
    return None


def write_problem(rng: random.Random, cast: Cast) -> tuple[str, str]:
    """A new problem and its result."""
    problem = rng.choice(PROBLEMS)
    while True:
        numbers = {name: rng.randint(*bounds) for name, bounds in problem.ranges.items()}
        if problem.fits(numbers):
            break
    text = problem.story.format(name=rng.choice(FIRST), city=rng.choice(CITY), **numbers)
    if rng.random() < 0.3:
        contact = cast.email if rng.random() < 0.6 else cast.phone
        text = f"Sheet {rng.randrange(10, 999)}, asked by {cast.first} {cast.last} ({contact})\n{text}"
    return text, str(problem.solve(numbers)[-1][1])
