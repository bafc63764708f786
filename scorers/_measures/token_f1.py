"""token_f1: which words the output and the reference share."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import Any, Literal

from scorers._measures._similar import Similar
from scorers._similarity import f_measure, shared
from scorers._text import composed
from scorers._words import UNSPACED

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
_ALONE = re.compile(f"([{UNSPACED}])")


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenF1(Similar):
    """F1 of the words that output and reference share, in any order, each as often as it occurs.

    As in SQuAD (Rajpurkar et al. 2016, arXiv:1606.05250): without case, ASCII punctuation and the articles a,
    an, the. In scripts without spaces each character is a word (as in MLQA, Lewis et al. 2020).

    Kinds of evidence: ``match``, ``partial``, ``different``, ``empty``; ``precision``, ``recall``, ``f1``.

    Example:
        >>> from scorers import token_f1
        >>> round(token_f1()(output="It was the Eiffel Tower.", expected="Eiffel Tower").value, 4)
        0.6667
        >>> token_f1(metric="recall")(output="It was the Eiffel Tower.", expected="Eiffel Tower").value
        1.0
    """

    name: str = "token_f1"
    metric: Literal["f1", "precision", "recall"] = "f1"

    def _one(self, output: str, reference: str) -> tuple[float, dict[str, Any]]:
        a, b = Counter(_squad(output)), Counter(_squad(reference))
        precision, recall, f1 = f_measure(shared(a, b), sum(a.values()), sum(b.values()))
        evidence = {"precision": round(precision, 6), "recall": round(recall, 6), "f1": round(f1, 6)}
        return {"f1": f1, "precision": precision, "recall": recall}[self.metric], evidence


def _squad(text: str) -> list[str]:
    text = _ARTICLES.sub(" ", composed(text).lower().translate(_PUNCTUATION))
    return (text if text.isascii() else _ALONE.sub(r" \1 ", text)).split()


token_f1 = TokenF1
