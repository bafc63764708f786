"""What all answers together say of all candidates: one model of quality instead of many pairwise tests.

A validation set of 25 to 100 rows decides little about one pair of prompts. But candidates are related: they
share sentences and demos, and what one answered tells something of its relatives. So qualities are taken as
jointly normal, with covariances by what two prompts have in common, a level of its own for every row (rows
are easy or hard for all), and a mean that says what is hoped of a rewrite before validation has spoken. Its
posterior is the usual one of a Gaussian process (Rasmussen and Williams 2006, Gaussian Processes for Machine
Learning, section 2.2) or, the same, the best linear unbiased prediction of a mixed model (Henderson 1975,
Biometrics 31:423). It shrinks the luckiest of many candidates back to its relatives.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from promptmigrate.search.anatomy import Candidate
from promptmigrate.search.combine import pieces
from promptmigrate.search.stats import Estimate
from promptmigrate.search.table import Table
from promptmigrate.search.text import normalised
from promptmigrate.types import Example

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Places = NDArray[np.intp]

TEXT = 0.03
"""Variance between instructions that have no sentence in common."""
DEMOS = 0.035
"""Variance between having demos and having none."""
OWN = 0.001
"""Variance of what belongs to one combination of instructions, demos and parameters alone."""
_ROWS = 0.1
"""Variance between rows."""
_LEVEL = 1.0
"""Variance of the level of all candidates: as good as unknown."""
_NOISE, _NOISE_PAIRS = 0.08, 20.0
"""Variance of one answer around its candidate and row before pairs tell, and how many pairs that is worth."""
_ANY_DEMOS = 0.8
"""Correlation of two sets of demos that share none."""
_ELSEWHERE = 0.5
"""Correlation of the same instructions in another place."""
_OTHER_PARAMS = 0.9
_NEARLY_ZERO = 1e-9
_DIGITS = 9


@dataclass(frozen=True)
class Belief:
    """The posterior over some candidates."""

    index: Mapping[str, int]
    mean: Array
    covariance: Array

    @classmethod
    def of(
        cls,
        table: Table,
        candidates: Iterable[Candidate],
        rows: Sequence[Example],
        hopes: Mapping[str, float],
    ) -> Belief:
        """What the measured cells of ``candidates`` on ``rows`` say.

        ``hopes``: by how much a candidate is expected to be better than one that is not in there, by key.
        """
        members = list({c.key: c for c in candidates}.values())
        index = {c.key: i for i, c in enumerate(members)}
        prior = np.array([hopes.get(c.key, 0.0) for c in members])
        kernel = _kernel(members)
        cells = [_column(table, members, row) for row in rows]
        noise = _noise(cells)
        information = np.zeros((len(members), len(members)))
        evidence = np.zeros(len(members))
        for seen, values in cells:
            if not len(seen):
                continue
            # Sherman-Morrison: the inverse of noise on the diagonal and the row's own level everywhere.
            common = _ROWS / (noise * (noise + len(seen) * _ROWS))
            block = np.full((len(seen), len(seen)), -common)
            block[np.diag_indices(len(seen))] += 1.0 / noise
            information[np.ix_(seen, seen)] += block
            evidence[seen] += block @ (values - prior[seen])
        gain = np.linalg.solve(np.eye(len(members)) + kernel @ information, kernel)
        return cls(index=index, mean=prior + gain @ evidence, covariance=(gain + gain.T) / 2)

    def difference(self, a: Candidate, b: Candidate) -> Estimate:
        """By how much ``a`` is better than ``b``."""
        i, j = self.index[a.key], self.index[b.key]
        spread = self.covariance[i, i] + self.covariance[j, j] - 2 * self.covariance[i, j]
        # Rounded, so that the last bit of a sum, which another machine may compute otherwise, breaks no tie.
        lead = round(float(self.mean[i] - self.mean[j]), _DIGITS)
        return Estimate(mean=lead, variance=max(round(float(spread), _DIGITS), _NEARLY_ZERO))

    def quality(self, candidate: Candidate) -> float:
        """The expected quality; only differences mean something where few rows were asked."""
        return round(float(self.mean[self.index[candidate.key]]), _DIGITS)


def _column(table: Table, members: Sequence[Candidate], row: Example) -> tuple[Places, Array]:
    known = [(i, q) for i, c in enumerate(members) if (q := table.quality(c, row)) is not None]
    return np.array([i for i, _ in known], dtype=np.intp), np.array([q for _, q in known])


def _noise(cells: Sequence[tuple[Places, Array]]) -> float:
    """Variance of an answer around its candidate and row: what is left within rows."""
    squares, freedom = _NOISE * _NOISE_PAIRS, _NOISE_PAIRS
    for _, values in cells:
        if len(values) > 1:
            squares += float(((values - values.mean()) ** 2).sum())
            freedom += len(values) - 1
    return squares / freedom


def _kernel(members: Sequence[Candidate]) -> Array:
    texts = [frozenset(normalised(p) for p in pieces(c.instructions)) for c in members]
    demos = [frozenset(d.example for d in c.demos) for c in members]
    kernel = np.empty((len(members), len(members)))
    for i, a in enumerate(members):
        for j in range(i + 1):
            b = members[j]
            text = _shared(texts[i], texts[j])
            if (a.placement, a.steps) != (b.placement, b.steps):
                text *= _ELSEWHERE
            if a.params != b.params:
                text *= _OTHER_PARAMS
            shown = 1.0 if not demos[i] and not demos[j] else 0.0
            if demos[i] and demos[j]:
                shown = _ANY_DEMOS + (1 - _ANY_DEMOS) * _shared(demos[i], demos[j])
            kernel[i, j] = kernel[j, i] = _LEVEL + TEXT * text + DEMOS * shown + OWN * (i == j)
    return kernel


def _shared(a: frozenset[str], b: frozenset[str]) -> float:
    """Jaccard's coefficient; its matrices are covariances (Gower & Legendre 1986, J. Classification 3:5)."""
    return len(a & b) / len(a | b) if a or b else 1.0
