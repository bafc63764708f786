"""semantic_similarity: output and reference mean much the same, by the angle between their embeddings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, TypeAlias

from scorers._extras import installed, needed
from scorers._measures._similar import Similar
from scorers._options import INJECTED
from scorers._similarity import cosine
from scorers._text import as_text
from scorers._types import Sample, Score

Embed: TypeAlias = Callable[[Sequence[str]], Sequence[Sequence[float]]]
"""Texts to vectors, one for each, in the same order."""


class _NoEmbedError(Exception):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class SemanticSimilarity(Similar):
    """The cosine of the embeddings of output and reference (a negative one is 0.0); of several, the closest.

    ``embed`` turns a list of texts into a list of vectors: any embedding endpoint will do. Without it,
    ``model`` names a model of the package ``sentence-transformers`` (``promptmigrate[embeddings]``), which
    may download it the first time. Similar is not the same: "it is" and "it is not" are close. Measure what
    a value means on your own data before you set a threshold.

    Kinds of evidence: ``match``, ``partial``, ``different``, ``empty``; ``similarity``.

    Example:
        >>> from scorers import semantic_similarity
        >>> def embed(texts):
        ...     return [[text.count("a"), text.count("b")] for text in texts]
        >>> semantic_similarity(embed=embed)(output="aab", expected="ba").value
        0.948683298051
    """

    name: str = "semantic_similarity"
    model: str | None = None
    """A model of sentence-transformers, by name or folder."""
    embed: Embed | None = field(default=None, metadata=INJECTED)

    def _check(self) -> None:
        Similar._check(self)
        if self.embed is None and self.model is not None and not installed("sentence_transformers"):
            _library()

    def _score(self, sample: Sample) -> Score:
        try:
            return Similar._score(self, sample)
        except _NoEmbedError as error:
            return self._unscored("error", str(error), kind="no_embed")

    def _compare(self, output: str, references: list[str]) -> tuple[float, dict[str, Any]]:
        if output in references:
            return 1.0, {}
        if self.embed is None and self.model is None:
            raise _NoEmbedError(
                "there is nothing to embed texts with: pass embed=..., a function from a list of texts to a "
                "list of vectors, or name a model of sentence-transformers with model=..."
            )
        embed = self.embed if self.embed is not None else _local(as_text(self.model))
        vectors = list(embed([output, *references]))
        if len(vectors) != len(references) + 1:
            raise ValueError(f"embed gave {len(vectors)} vectors for {len(references) + 1} texts")
        found = [cosine(vectors[0], vector) for vector in vectors[1:]]
        best = max(range(len(found)), key=found.__getitem__)
        return found[best], {"reference": best} if len(references) > 1 else {}


def _library() -> Any:
    return needed(
        "sentence_transformers",
        scorer="semantic_similarity with 'model'",
        install="promptmigrate[embeddings]",
    )


@lru_cache(maxsize=2)
def _local(model: str) -> Embed:
    loaded = _library().SentenceTransformer(model)

    def embed(texts: Sequence[str]) -> Sequence[Sequence[float]]:
        found: Sequence[Sequence[float]] = loaded.encode(list(texts)).tolist()
        return found

    return embed


semantic_similarity = SemanticSimilarity
