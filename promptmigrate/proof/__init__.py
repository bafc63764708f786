"""A verdict that anybody can check: the evidence in one file, and its verification.

:func:`write_bundle` puts everything that a verdict rests on into ``bundle.zip`` (JSON only; see
:mod:`promptmigrate.proof.shapes`). :func:`verify` computes again what follows from something else in it:
digests, splits, scores of deterministic scorers, the numbers of every row, every statistic and the verdict.
It needs no model, no network and no key.

What a bundle shows by itself: that the verdict follows from the answers, the answers are the recorded replies
to these prompts on these rows, all test rows were used, none was seen before, and no byte changed since the
manifest was made.

Of every candidate that was decided together the answers are there, so that the numbers of a table of targets
follow too, and each cost follows from tokens and prices (:mod:`promptmigrate.proof.costed`). Every row, call
and value has a digest of its own (:mod:`promptmigrate.proof.seals`), which gives a change a place.

What it cannot show: that the replies are real. Whoever makes up replies, tokens or latencies, judges' scores,
human labels, slices, or what the search cost, and makes everything else follow from them, makes a bundle that
holds. Against changes afterwards there is the digest of the file, sealed in the ``verdict.json`` beside it,
in the route (``verify --route``), in MLflow or wherever the verdict was announced. Against invention, ask
again: the same experiment with ``migrate --replay`` and a recording of your own, or with your own keys.
``verify --rerun`` shows that answers and scores of judges follow from the recorded replies, not that a
provider gave them.

The data inside is as redacted as ``dataset.parquet`` is: inputs and references are what harvest kept. Answers
of models are there verbatim, since scores are recomputed from them.
"""

from promptmigrate.proof.bundle import write_bundle
from promptmigrate.proof.evidence import Evidence
from promptmigrate.proof.findings import Finding, Report
from promptmigrate.proof.verify import verify

__all__ = ["Evidence", "Finding", "Report", "verify", "write_bundle"]
