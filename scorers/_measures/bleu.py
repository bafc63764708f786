"""bleu: which word sequences the output shares with its references."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from scorers._extras import needed
from scorers._measures._similar import Similar
from scorers._similarity import TooLongError, shared

_ORDER = 4
_LONGEST = 200_000
"""Words; the counts of more n-grams would fill the memory."""
_LONGEST_TEXT = 500_000
_SYMBOLS = re.compile(r"([!-&(-+:-@/\[-`{-~ ])")
_MARK_AFTER_NON_DIGIT = re.compile(r"([^0-9])([.,])")
_MARK_BEFORE_NON_DIGIT = re.compile(r"([.,])([^0-9])")
_DASH_AFTER_DIGIT = re.compile(r"([0-9])(-)")
_ENTITIES = (("&quot;", '"'), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Bleu(Similar):
    """Sentence BLEU (Papineni et al. 2002) as sacreBLEU computes it, divided by 100.

    Up to four words in a row, effective order, exponential smoothing, brevity penalty against the closest
    reference; several references (a list) count together. For a corpus score use sacreBLEU itself: the mean
    of sentence scores is another number.

    Kinds of evidence: ``match``, ``partial``, ``different``, ``empty``; ``precisions`` and ``brevity``.

    Example:
        >>> from scorers import bleu
        >>> round(bleu()(output="The cat sat on the mat.", expected="The cat is on the mat.").value, 4)
        0.4889
    """

    name: str = "bleu"
    ignore_case: bool = False
    tokenize: Literal["13a", "char", "none", "zh", "intl"] = "13a"
    """sacreBLEU's name for what a word is. ``zh`` and ``intl`` need sacreBLEU (``promptmigrate[text]``)."""

    def _check(self) -> None:
        Similar._check(self)
        if self.tokenize in ("zh", "intl"):
            needed(
                "sacrebleu",
                scorer=f"{self.name} with tokenize {self.tokenize!r}",
                install="promptmigrate[text]",
            )

    def _compare(self, output: str, references: list[str]) -> tuple[float, dict[str, Any]]:
        if max(len(output), *map(len, references)) > _LONGEST_TEXT:
            raise TooLongError(f"more than {_LONGEST_TEXT} characters")
        split = _tokenizer(self.tokenize)
        given = self._words(output, split)
        wanted = [self._words(reference, split) for reference in references]
        if max(len(given), *map(len, wanted)) > _LONGEST:
            raise TooLongError(f"more than {_LONGEST} words")
        right, total = [], []
        for order in range(1, _ORDER + 1):
            grams = _ngrams(given, order)
            total.append(sum(grams.values()))
            known: Counter[tuple[str, ...]] = Counter()
            for words in wanted:
                known |= _ngrams(words, order)
            right.append(shared(grams, known))
        closest = min((abs(len(words) - len(given)), len(words)) for words in wanted)[1]
        return _bleu(right, total, len(given), closest)

    def _words(self, text: str, split: Callable[[str], list[str]]) -> list[str]:
        text = text.rstrip()
        return split(text.lower() if self.ignore_case else text)


def _bleu(
    right: list[int], total: list[int], length: int, reference_length: int
) -> tuple[float, dict[str, Any]]:
    brevity = 1.0
    if length < reference_length:
        brevity = math.exp(1 - reference_length / length) if length else 0.0
    precisions: list[float] = []
    smooth = 1.0
    for hits, count in zip(right, total, strict=True):
        if not count:
            break
        if not hits:
            smooth *= 2
        precisions.append(hits / count if hits else 1 / (smooth * count))
    evidence = {"precisions": [round(p, 6) for p in precisions], "brevity": round(brevity, 6)}
    if not any(right):
        return (1.0 if not length and not reference_length else 0.0), evidence
    return brevity * math.exp(math.fsum(map(math.log, precisions)) / len(precisions)), evidence


def _ngrams(words: list[str], order: int) -> Counter[tuple[str, ...]]:
    return Counter(zip(*(words[start:] for start in range(order)), strict=False))


def _tokenizer(name: str) -> Callable[[str], list[str]]:
    if name == "13a":
        return _mteval
    if name == "char":
        return lambda text: [character for character in text if not character.isspace()]
    if name == "none":
        return str.split
    found = needed(f"sacrebleu.tokenizers.tokenizer_{name}", scorer="bleu", install="promptmigrate[text]")
    kind = getattr(found, {"zh": "TokenizerZh", "intl": "TokenizerV14International"}[name])()
    # Around its cache, which would keep every text it has seen.
    split = getattr(kind, "__call__", kind)  # noqa: B004 - the method itself is wanted, for what it wraps
    plain = getattr(split, "__wrapped__", None)
    return lambda text: (plain(kind, text) if plain else kind(text)).split()


def _mteval(text: str) -> list[str]:
    """Words as mteval-v13a splits them, the tokeniser of WMT."""
    text = text.replace("<skipped>", "").replace("-\n", "").replace("\n", " ")
    if "&" in text:
        for entity, character in _ENTITIES:
            text = text.replace(entity, character)
    text = _SYMBOLS.sub(r" \1 ", f" {text} ")
    text = _MARK_AFTER_NON_DIGIT.sub(r"\1 \2 ", text)
    text = _MARK_BEFORE_NON_DIGIT.sub(r" \1 \2", text)
    return _DASH_AFTER_DIGIT.sub(r"\1 \2 ", text).split()


bleu = Bleu
