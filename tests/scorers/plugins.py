"""Scorers as a user would write them."""

from dataclasses import dataclass
from typing import ClassVar

from scorers import Score


@dataclass(frozen=True, kw_only=True)
class MaxWords:
    most: int = 5
    name: str = "max_words"
    version: ClassVar[str] = "1"

    def __call__(self, *, output, expected=None, inputs=None, trace=None):
        words = len(str(output).split())
        return Score(name=self.name, value=float(words <= self.most), evidence={"kind": "match"})


class Described:
    name = "described"
    version = "7"

    def __init__(self, size):
        if size < 0:
            raise KeyError("size")
        self.size = size

    def __call__(self, *, output, expected=None, inputs=None, trace=None):
        return Score(name=self.name, version=self.version, value=1.0)

    def spec(self):
        return {"use": "tests.scorers.plugins:Described", "size": self.size}


ready = MaxWords(most=3)
number = 42


def shorter(output, expected):
    return len(output) < len(expected)


def anything(output, **rest):
    return Score(name="mine", value=1.0) if rest["inputs"] is None else 0.25


def factory(most=1):
    return MaxWords(most=most)


def not_a_scorer():
    return 1
