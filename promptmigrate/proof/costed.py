"""Whether costs follow from tokens and prices, and the prices from the experiment."""

from __future__ import annotations

import math
from collections.abc import Iterator

from promptmigrate.config import PriceConfig
from promptmigrate.proof.contents import Contents
from promptmigrate.proof.evidence import Evidence
from promptmigrate.proof.findings import Finding, close, compare
from promptmigrate.proof.shapes import PriceEntry
from promptmigrate.simulate import models

_ENTRY = "costs.json"


def prices_of(evidence: Evidence) -> dict[str, dict[str, float]]:
    """The prices, by model, that each of its answers was charged at."""
    asked = [evidence.candidate, *(variant for variant, _, _ in evidence.others)]
    measured = [(variant, evidence.measured) for variant in asked]
    if evidence.rerun:
        measured.append((evidence.production, evidence.baseline))
    found: dict[str, dict[str, float]] = {}
    other = set()
    for variant, evaluation in measured:
        price = evidence.prices.get(variant.model)
        if price is None or variant.components:
            continue  # the answer of a program is several calls
        found[variant.model] = {
            "input_per_mtok": float(price.input_per_mtok),
            "output_per_mtok": float(price.output_per_mtok),
        }
        for example in evidence.examples:
            for repeat in range(evaluation.repeats):
                outcome = evaluation.outcome(variant, example, repeat)
                if outcome is None or not outcome.reply.answered:
                    continue
                reply = outcome.reply
                if not close(reply.cost_usd, price.cost(reply.input_tokens, reply.output_tokens)):
                    other.add(variant.model)
    return {model: price for model, price in sorted(found.items()) if model not in other}


def check_costs(bundle: Contents) -> Iterator[Finding]:
    """Each answer costs its tokens at the price of its model; a price that the experiment states is that one;
    the parts of what the run spent make up the whole."""
    costs = bundle.costs
    for model, price in costs.prices.items():
        stated = _stated(bundle, model)
        if stated is not None:
            yield from compare(_ENTRY, price.model_dump(), stated.model_dump(), field=f"prices.{model}")
    for column in bundle.columns:
        price_of = costs.prices.get(column.variant.model)
        if price_of is None or not column.asked or column.variant.components:
            continue
        for place, answers in column.rows:
            for number, answer in enumerate(answers):
                if not answer.reply.answered:
                    continue
                cost = answer.input_tokens * price_of.input_per_mtok
                cost = (cost + answer.output_tokens * price_of.output_per_mtok) / 1e6
                field = f"{column.name}[{number}].cost_usd"
                yield from compare(column.entry, answer.cost_usd, cost, where=place, field=field)
    spent = math.fsum(costs.usd_by_purpose.values())
    if costs.usd is not None and not math.isclose(costs.usd, spent, rel_tol=1e-6, abs_tol=1e-9):
        yield from compare(_ENTRY, costs.usd, spent, field="usd")
    for purpose in sorted(costs.usd_by_purpose.keys() - costs.calls.keys()):
        yield Finding(entry=_ENTRY, field=f"usd_by_purpose.{purpose}", problem="has no calls")


def unpriced(bundle: Contents) -> list[str]:
    """Models whose costs are as their provider stated them, or not known."""
    asked = {c.variant.model for c in bundle.columns if c.asked and not c.variant.components}
    return sorted(asked - bundle.costs.prices.keys())


def _stated(bundle: Contents, model: str) -> PriceEntry | None:
    """What the experiment, or the simulator, says that ``model`` costs."""
    given = bundle.config.get("prices", {}).get(model)
    if given is None:
        simulated = models().get(model)
        if simulated is None:
            return None
        return PriceEntry(
            input_per_mtok=float(simulated.input_per_mtok), output_per_mtok=float(simulated.output_per_mtok)
        )
    price = PriceConfig.model_validate(given)
    return PriceEntry(
        input_per_mtok=float(price.input_per_mtok), output_per_mtok=float(price.output_per_mtok)
    )
