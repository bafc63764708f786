"""semantic_similarity: output and reference mean much the same, by the angle between their embeddings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from scorers._embed import Embed, EmbedError, embed_with
from scorers._errors import NoCompleteError, ScorerSpecError
from scorers._extras import installed, needed
from scorers._measures._similar import Similar
from scorers._options import INJECTED
from scorers._similarity import cosine
from scorers._text import as_text
from scorers._types import Sample, Score


class _NoEmbedError(Exception):
    pass


class _Wanted(Exception):  # noqa: N818 - a private signal
    """The texts whose vectors are needed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SemanticSimilarity(Similar):
    """The cosine of the embeddings of output and reference (a negative one is 0.0); of several, the closest.

    The vectors come from ``embed``, a function from a list of texts to a list of vectors; else from the
    embedding endpoint of ``model``, through promptmigrate's door to models (its cache, limits and budget) or
    LiteLLM; else from ``local_model``, one of the package ``sentence-transformers``
    (``promptmigrate[embeddings]``), which may download it the first time. Similar is not the same: "it is"
    and "it is not" are close. Measure what a value means on your own data before you set a threshold. An
    endpoint that cannot be reached leaves the output unscored (``judge_failed``).

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
    """An embedding model of an endpoint, as ``provider/name``: ``openai/text-embedding-3-small``."""
    local_model: str | None = None
    """A model of sentence-transformers, by name or folder."""
    embed: Embed | None = field(default=None, metadata=INJECTED)

    def _check(self) -> None:
        Similar._check(self)
        if self.model is not None and self.local_model is not None:
            raise ScorerSpecError(f"{self.name}: give 'model' or 'local_model', not both", key="model")
        if self.model is not None and not all(self.model.partition("/")):
            raise ScorerSpecError(
                f"{self.name}: option 'model' must be provider/name, as in openai/text-embedding-3-small, "
                f"not {self.model!r}; a model of sentence-transformers is a 'local_model'",
                key="model",
            )
        if self.embed is None and self.local_model is not None and not installed("sentence_transformers"):
            _library()

    @property
    def embedding_model(self) -> str | None:
        """The ``provider/name`` that a runner must ask for vectors, if there is one."""
        return self.model if self.embed is None else None

    @property
    def most_questions(self) -> int:
        """How many texts are embedded at most for one sample with one reference."""
        return 2 if self.embedding_model else 0

    def to_embed(self, sample: Sample, /) -> Score | tuple[str, ...]:
        """The texts whose vectors are needed to score ``sample``; the score, where none are. Never raises."""

        def ask(texts: Sequence[str]) -> Sequence[Sequence[float]]:
            raise _Wanted(*texts)

        asking = replace(self, embed=ask)
        try:
            resolved = asking._resolved(sample.output, sample.expected, sample.inputs, sample.trace)
            return resolved if isinstance(resolved, Score) else asking._score(resolved)
        except _Wanted as wanted:
            return tuple(dict.fromkeys(wanted.args))
        except Exception as error:  # noqa: BLE001 - any output must give a Score; the reason is kept in it
            return self._broke(error)

    def with_vectors(self, sample: Sample, vectors: Mapping[str, Sequence[float]], /) -> Score:
        """The score of ``sample`` by the vectors of the texts that :meth:`to_embed` named. Never raises."""
        return replace(self, embed=lambda texts: [vectors[text] for text in texts])(
            output=sample.output, expected=sample.expected, inputs=sample.inputs, trace=sample.trace
        )

    def not_embedded(self, why: str) -> Score:
        """The score where the endpoint gave no vectors: missing data, not a difference."""
        return self._unscored("judge_failed", why, kind="no_vectors")

    def _score(self, sample: Sample) -> Score:
        try:
            return Similar._score(self, sample)
        except EmbedError as error:
            return self.not_embedded(str(error))
        except (_NoEmbedError, NoCompleteError) as error:
            return self._unscored("error", str(error), kind="no_embed")

    def _compare(self, output: str, references: list[str]) -> tuple[float, dict[str, Any]]:
        if output in references:
            return 1.0, {}
        vectors = list(self._embedder()([output, *references]))
        if len(vectors) != len(references) + 1:
            raise ValueError(f"embed gave {len(vectors)} vectors for {len(references) + 1} texts")
        found = [cosine(vectors[0], vector) for vector in vectors[1:]]
        best = max(range(len(found)), key=found.__getitem__)
        return found[best], {"reference": best} if len(references) > 1 else {}

    def _embedder(self) -> Embed:
        if self.embed is not None:
            return self.embed
        if self.model is not None:
            return embed_with(self.model)
        if self.local_model is not None:
            return _local(as_text(self.local_model))
        raise _NoEmbedError(
            "there is nothing to embed texts with: pass embed=..., a function from a list of texts to a "
            "list of vectors, or name an embedding model with model=provider/name, or one of "
            "sentence-transformers with local_model=..."
        )


def _library() -> Any:
    return needed(
        "sentence_transformers",
        scorer="semantic_similarity with 'local_model'",
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
