"""For programs that run scorers over recorded calls or through a way to models of their own.

Judges are run by :func:`scorers.run_judge`; here is what else a runner needs: reading traces, telling which
scorer gave a score, and serving scorers that need embeddings (``embedding_model``, ``to_embed``,
``with_vectors``; see :class:`scorers.SemanticSimilarity`).
"""

from __future__ import annotations

from scorers._bridge import broken, is_judge, spec_hash
from scorers._deliberate import paid
from scorers._embed import EMBED, EmbedError, read_vector
from scorers._mlflow_wrap import SPEC_HASH
from scorers._trace_reading import RecordedCall, read_trace
from scorers._traces import score_call, summarise

__all__ = [
    "EMBED",
    "SPEC_HASH",
    "EmbedError",
    "RecordedCall",
    "broken",
    "is_judge",
    "paid",
    "read_trace",
    "read_vector",
    "score_call",
    "spec_hash",
    "summarise",
]
