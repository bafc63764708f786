"""rouge_l: how much of the reference stands in the output in the same order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from scorers._measures._similar import Similar
from scorers._similarity import common_subsequence, f_measure
from scorers._text import composed
from scorers._words import tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class RougeL(Similar):
    """ROUGE-L (Lin 2004): F1 of the longest common subsequence of words.

    The same as Google's ``rouge_score`` without stemming for ASCII texts; words with other letters, which
    that package drops, count here, and in scripts without spaces each character is a word. Texts of more than
    50,000 words are unscored (``timeout``).

    Kinds of evidence: ``match``, ``partial``, ``different``, ``empty``; ``precision``, ``recall``, ``f1``.

    Example:
        >>> from scorers import rouge_l
        >>> round(rouge_l()(output="the cat lay on the mat", expected="the cat sat on a mat").value, 4)
        0.6667
    """

    name: str = "rouge_l"
    metric: Literal["f1", "precision", "recall"] = "f1"

    def _one(self, output: str, reference: str) -> tuple[float, dict[str, Any]]:
        a, b = tokens(composed(output).lower()), tokens(composed(reference).lower())
        if not a and not b:  # nothing but marks: equal only if they are the same marks
            return float(output.strip() == reference.strip()), {}
        precision, recall, f1 = f_measure(common_subsequence(a, b), len(a), len(b))
        evidence = {"precision": round(precision, 6), "recall": round(recall, 6), "f1": round(f1, 6)}
        return {"f1": f1, "precision": precision, "recall": recall}[self.metric], evidence


rouge_l = RougeL
