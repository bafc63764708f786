"""Whether a run that had its verdict would ask anything: where all is kept, a repeat costs nothing."""

from __future__ import annotations

from promptmigrate.config import BudgetConfig, Config
from promptmigrate.errors import BudgetExceeded
from promptmigrate.pipeline.bench import Bench
from promptmigrate.pipeline.gate import original_variant, production_variant, recorded
from promptmigrate.pipeline.kept import Searches
from promptmigrate.pipeline.plan import gate_rows

# A budget in a file is at least one call.
_NOTHING = BudgetConfig.model_construct(usd=None, calls=0, tokens=None, minutes=None)


def complete(config: Config, bench: Bench, searches: Searches) -> bool:
    """Whether the run had its verdict, and the answers to all that it would ask are kept.

    They are read as the gate will read them, while no request may be sent.

    Raises:
        StorageError: what is kept cannot be read.
    """
    ready, evaluator = bench.ready, bench.evaluator
    state = ready.run.state()
    ended = [searches.ended(target) for target in range(len(config.targets))]
    if state.get("state") != "finished" or "gate" not in state or None in ended:
        return False
    plan = bench.plan.opening(state["gate"]["rows"], state["gate"]["short"])
    rows = gate_rows(ready.dataset, plan)
    production = production_variant(config, ready.prompt, ready.components)
    candidates = []
    bench.door.limit(_NOTHING)
    try:
        for single, end in zip(config.single(), ended, strict=True):
            assert end is not None, "looked at above"
            original = original_variant(single, ready.prompt, ready.components)
            end.recall(ready.dataset, evaluator, [production, original])
            candidates.append(end.found.best)
        asked = [production, *candidates] if plan.rerun else candidates
        evaluator.run(asked, rows, phase="gate", repeats=plan.repeats)
        if not plan.rerun:
            recorded(config, production, rows, evaluator)
    except BudgetExceeded:
        return False
    finally:
        bench.door.limit(config.budget)
    return True
