"""What the scorers share that say how alike an output and its reference are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from scorers._base import Measure
from scorers._errors import ScorerSpecError
from scorers._similarity import TooLongError
from scorers._text import as_text, clip
from scorers._types import Sample, Score

_MOST_REFERENCES = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Similar(Measure):
    """A similarity in [0, 1]; of several references (a list), the one that is most alike counts."""

    threshold: float | None = None
    """From this similarity on the value is 1.0, below it 0.0. By default the similarity is the value."""

    def _check(self) -> None:
        if self.threshold is not None and not 0.0 < self.threshold <= 1.0:
            raise ScorerSpecError(
                f"{self.name}: option 'threshold' must be above 0 and at most 1, got {self.threshold}",
                key="threshold",
            )

    def _score(self, sample: Sample) -> Score:
        if isinstance(sample.expected, list | tuple):
            references = [as_text(item) for item in sample.expected[:_MOST_REFERENCES]]
            if not references:
                return self._unscored("bad_expected", "the expected value is an empty list of references")
        else:
            references = [as_text(sample.expected)]
        output = as_text(sample.output)
        if not output.strip() and all(reference.strip() for reference in references):
            return self._judged(0.0, output, references, {}, "empty")
        try:
            similarity, evidence = self._compare(output, references)
        except TooLongError as error:
            return self._unscored("timeout", f"not compared: {error}")
        return self._judged(min(1.0, max(0.0, round(similarity, 12))), output, references, evidence, None)

    def _judged(
        self,
        similarity: float,
        output: str,
        references: list[str],
        evidence: dict[str, Any],
        kind: str | None,
    ) -> Score:
        value = similarity if self.threshold is None else float(similarity >= self.threshold)
        if kind is None:
            kind = "match" if value == 1.0 else "partial" if similarity > 0 else "different"
        if value == 1.0:
            return self._found(value, kind, "", similarity=similarity, **evidence)
        below = "" if self.threshold is None else f", below {self.threshold:g}"
        many = f" (and {len(references) - 1} more)" if len(references) > 1 else ""
        rationale = (
            f"similarity {similarity:.3f}{below}: expected {clip(references[0].strip())!r}{many}, "
            f"got {clip(output.strip())!r}"
        )
        return self._found(value, kind, rationale, similarity=similarity, **evidence)

    def _compare(self, output: str, references: list[str]) -> tuple[float, dict[str, Any]]:
        """The similarity to the references together, and what it is made of."""
        best = -1.0
        found: dict[str, Any] = {}
        for index, reference in enumerate(references):
            similarity, evidence = self._one(output, reference)
            if similarity > best:
                best, found = similarity, evidence
                if len(references) > 1:
                    found["reference"] = index
        return best, found

    def _one(self, output: str, reference: str) -> tuple[float, dict[str, Any]]:
        """The similarity to one reference, and what it is made of."""
        raise NotImplementedError
