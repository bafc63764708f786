"""What bends a judge, as numbers: the order of answers, their length, and who wrote them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from scorers._position import PositionalBias, positional_bias
from scorers._stats import Estimate, slope, wilson
from scorers._text import as_text
from scorers._types import Score

_PER = 1000
"""Characters that a slope on length is told for."""

_FAMILIES: tuple[tuple[str, str], ...] = (
    ("openai", r"gpt|chatgpt|o[1-9]|davinci|openai"),
    ("anthropic", r"claude|anthropic"),
    ("google", r"gemini|gemma|palm|bison|learnlm"),
    ("meta", r"llama|codellama"),
    ("mistral", r"mistral|mixtral|codestral|ministral|magistral|devstral|pixtral|open-mistral"),
    ("qwen", r"qwen|qwq|qvq"),
    ("deepseek", r"deepseek"),
    ("xai", r"grok"),
    ("cohere", r"command|c4ai|aya"),
    ("microsoft", r"phi|wizardlm|orca"),
    ("amazon", r"nova|titan"),
    ("zhipu", r"glm|chatglm"),
    ("moonshot", r"kimi|moonshot"),
    ("nvidia", r"nemotron"),
    ("ibm", r"granite"),
    ("01ai", r"yi"),
    ("minimax", r"minimax|abab"),
    ("databricks", r"dbrx"),
    ("ai21", r"jamba|jurassic|j2"),
    ("baidu", r"ernie"),
    ("tencent", r"hunyuan"),
    ("bytedance", r"doubao|seed"),
    ("allenai", r"olmo|tulu"),
    ("lg", r"exaone"),
    ("upstage", r"solar"),
    ("tii", r"falcon"),
)


def model_families(model: str) -> frozenset[str]:
    """The makers whose models ``model`` (``provider/name``) is or is made from, as far as its name tells.

    Example:
        >>> import scorers
        >>> sorted(scorers.model_families("groq/deepseek-r1-distill-llama-70b"))
        ['deepseek', 'meta']
    """
    name = model.casefold().partition("/")[2] or model.casefold()
    return frozenset(
        maker
        for maker, words in _FAMILIES
        if re.search(rf"(?:^|[/._:@ -])(?:{words})(?=$|[/._:@ -]|\d|v\d)", name)
    )


def same_family(judge: str, candidate: str) -> bool | None:
    """Whether two models come from one maker: judges tend to prefer their own kind (arXiv 2404.13076).

    None if the name of either does not tell.

    Example:
        >>> import scorers
        >>> scorers.same_family("openai/gpt-5-mini", "azure/gpt-4.1")
        True
    """
    if judge.rpartition("/")[2].casefold() == candidate.rpartition("/")[2].casefold():
        return True
    one, other = model_families(judge), model_families(candidate)
    return bool(one & other) if one and other else None


def flip_rate(scores: Iterable[Score], *, confidence: float = 0.95) -> Estimate:
    """The share of pairwise scores, asked in both orders, whose verdict changed with the order."""
    asked = [score.evidence for score in scores if "first_order" in score.evidence]
    return wilson(sum(bool(found.get("flip")) for found in asked), len(asked), confidence=confidence)


def length_slope(
    scores: Sequence[Score],
    outputs: Sequence[Any] | None = None,
    *,
    labels: Sequence[float | None] | None = None,
    confidence: float = 0.95,
) -> Estimate:
    """How much the value rises with 1,000 characters more of output: the slope of score on length.

    Lengths come from ``outputs``, else from the evidence of the scores (``length_difference`` for pairwise
    scores, else ``output_chars``). Longer outputs may be better: with human ``labels`` in [0, 1], the slope
    is that of the judge's error (value - label), which no merit of length explains.

    Raises:
        ValueError: ``outputs`` or ``labels`` do not have one entry per score.
    """
    for given in (outputs, labels):
        if given is not None and len(given) != len(scores):
            raise ValueError(f"one entry per score is needed: {len(scores)} scores, {len(given)} entries")
    lengths: list[float] = []
    values: list[float] = []
    for index, score in enumerate(scores):
        length = _length(score) if outputs is None else len(as_text(outputs[index]))
        label = 0.0 if labels is None else labels[index]
        if score.value is not None and length is not None and label is not None:
            lengths.append(length / _PER)
            values.append(score.value - label)
    return slope(lengths, values, confidence=confidence)


def _length(score: Score) -> float | None:
    for key in ("length_difference", "output_chars"):
        found = score.evidence.get(key)
        if isinstance(found, int | float):
            return float(found)
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bias:
    """What bends a judge, over many of its scores."""

    n: int
    """Scores with a value."""
    unscored: int
    flip_rate: Estimate
    """Not determined unless the scores are pairwise."""
    position: PositionalBias
    length_slope: Estimate
    """Change of the value per 1,000 characters."""
    same_family: bool | None
    """Whether judge and candidate come from one maker; None if that is not known."""


def bias(
    scores: Sequence[Score],
    outputs: Sequence[Any] | None = None,
    *,
    judge: str = "",
    candidate: str = "",
    confidence: float = 0.95,
) -> Bias:
    """Flip rate, slope on length and same-family flag of many scores of one judge.

    ``judge`` and ``candidate`` are model names; by default the judge named in the evidence, and whatever
    pairwise evidence says.

    Example:
        >>> import scorers
        >>> scores = [scorers.Score(name="j", value=v, evidence={"output_chars": c})
        ...           for v, c in ((0.0, 100), (0.5, 600), (1.0, 1100))]
        >>> round(scorers.bias(scores).length_slope.value, 6)
        1.0
    """
    told = [score.evidence for score in scores]
    asked = [found for found in told if "first_order" in found]
    judge = judge or next((str(found["judge"]) for found in told if found.get("judge")), "")
    related = [found["same_family"] for found in asked if found.get("same_family") is not None]
    family = same_family(judge, candidate) if judge and candidate else (any(related) if related else None)
    return Bias(
        n=sum(score.value is not None for score in scores),
        unscored=sum(score.value is None for score in scores),
        flip_rate=flip_rate(scores, confidence=confidence),
        position=positional_bias(
            [found["first_order"] for found in asked],
            [found.get("second_order") for found in asked],
            confidence=confidence,
        ),
        length_slope=length_slope(scores, outputs, confidence=confidence),
        same_family=family,
    )
