"""Bounded knobs by Optuna: how many demos, which and in what order, where they sit, sections, temperature.

Texts do not fit a sampler's space; these do. Each trial is one setting on the incumbent's text. Trials race
in blocks like all candidates, and only the outcome of a trial goes to Optuna, never a row.

What is asked is drawn in memory, by a sampler seeded for each trial from the seed and the trial's number: so
a search with a storage and one without take the same way. The storage is the record. A trial that it holds
already, from a run that was killed or from another worker on the same search, is used with its parameters,
and told once.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from promptmigrate.search.anatomy import Candidate
from promptmigrate.search.base import Problem
from promptmigrate.search.failures import Report
from promptmigrate.search.pieces import pieces, without
from promptmigrate.search.seeds import Seeds, own_demos
from promptmigrate.search.stats import estimate
from promptmigrate.search.table import Table
from promptmigrate.search.text import draw
from promptmigrate.types import Example

if TYPE_CHECKING:
    import optuna

Value = int | float | str | bool
MOST_DEMOS = 8
_ORDERS = 4
_SECTIONS = 4
_STARTUP = 3
"""Trials before the sampler models what it was told: one round of settings."""
_INDEX, _DOUBLE = "index", "double"


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One trial: its number in this search, its parameters, and the candidate they make."""

    index: int
    params: Mapping[str, Value]
    candidate: Candidate


class Knobs:
    """Asks for settings around an incumbent and is told what became of them."""

    def __init__(self, problem: Problem, seeds: Seeds) -> None:
        self._problem, self._seeds = problem, seeds
        self._study: optuna.Study | None = None
        self._record: optuna.Study | None = None
        self._trials: dict[int, optuna.Trial] = {}
        self._asked = 0

    def space(self, incumbent: Candidate) -> dict[str, tuple[Value, ...]]:
        """The knobs that ``incumbent`` has, each with its choices; empty if there is nothing to turn."""
        problem, contract = self._problem, self._seeds.contract
        may = problem.may_change
        space: dict[str, tuple[Value, ...]] = {}
        most = min(MOST_DEMOS, max(1, len(problem.train) // 3), len(self._seeds.usable))
        if "demos" in may and most > 0:
            space["demos"] = tuple(range(most + 1))
            space["demo_draw"] = tuple(range(_ORDERS))
            space["demo_hard"] = (False, True)
        if "format" in may and incumbent.anatomy.chat_slot:
            space["placement"] = ("own", "user")
        usual = problem.original.params.get("temperature")
        if "temperature" in may and isinstance(usual, (int, float)) and usual > 0:
            space["temperature"] = (0.0, round(usual / 2, 3), float(usual))
        if "instructions" in may and contract is not None:
            rules = {piece.text for piece in pieces(contract.rules)}
            held = [p.text for p in pieces(incumbent.instructions) if p.text in rules and not p.fixed]
            # The first piece says what the form is; the others are what may be too much.
            for number in range(min(_SECTIONS, max(0, len(held) - 1))):
                space[f"section_{number}"] = (True, False)
        return space

    def ask(self, incumbent: Candidate, report: Report, count: int) -> list[Setting]:
        """Up to ``count`` settings that differ from the incumbent's and from each other."""
        space = self.space(incumbent)
        if not space:
            return []
        settings: dict[str, Setting] = {}
        for _ in range(3 * count):
            if len(settings) >= count:
                break
            index, self._asked = self._asked, self._asked + 1
            params = self._params(index, space, self._current(incumbent, space))
            made = self._made(incumbent, report, params)
            if made is None or made.key == incumbent.key or made.key in settings:
                self._tell(index, None, {})
            else:
                settings[made.key] = Setting(index=index, params=params, candidate=made)
        return list(settings.values())

    def tell(
        self, settings: Sequence[Setting], incumbent: Candidate, table: Table, rows: Sequence[Example]
    ) -> None:
        """Each setting's mean paired difference to ``incumbent`` on ``rows``, with cost as a constraint."""
        for setting in settings:
            candidate = setting.candidate
            gained = table.differences(candidate, incumbent, rows)
            if not gained:
                self._tell(setting.index, None, {})
                continue
            over = {}
            cost, latency = table.cost(candidate, rows), table.latency(candidate, rows)
            if self._problem.max_cost_usd is not None and cost is not None:
                over["cost_usd"] = cost - self._problem.max_cost_usd
            if self._problem.max_latency_s is not None and latency is not None:
                over["latency_s"] = latency - self._problem.max_latency_s
            self._tell(setting.index, estimate(gained).mean, over)

    def close(self) -> None:
        """Let go of the storage's connections."""
        if self._record is not None:
            storage: Any = self._record._storage
            getattr(storage, "_backend", storage).engine.dispose()

    # -- candidates ------------------------------------------------------------------------------------

    def _made(self, incumbent: Candidate, report: Report, params: Mapping[str, Value]) -> Candidate | None:
        changes: dict[str, Any] = {}
        said = []
        if "demos" in params:
            count, drawn = int(params["demos"]), int(params["demo_draw"])
            hard = sorted(report.failing_ids) if params["demo_hard"] else []
            if count == len(incumbent.demos) and not drawn and not hard:
                changes["demos"] = incumbent.demos
            elif incumbent.steps:
                passed = [(row.example, row.cell.text) for row in report.passed]
                changes["demos"] = own_demos(passed, count, seed=self._problem.seed + drawn)
            else:
                changes["demos"] = self._seeds.demos(count, prefer=hard, draw_seed=drawn)
            said.append(f"{len(changes['demos'])} {'hard ' if hard else ''}demos, draw {drawn}")
        if "placement" in params:
            changes["placement"] = params["placement"]
            said.append(f"{params['placement']} turn")
        if "temperature" in params:
            changes["params"] = {**self._problem.original.params, "temperature": params["temperature"]}
            said.append(f"temperature {params['temperature']}")
        off = [
            int(k.removeprefix("section_")) for k, v in params.items() if k.startswith("section_") and not v
        ]
        if off:
            contract = self._seeds.contract
            rules = {p.text for p in pieces(contract.rules)} if contract else set()
            parts = pieces(incumbent.instructions)
            held = [i for i, p in enumerate(parts) if p.text in rules and not p.fixed][1:]
            gone = {held[n] for n in off if n < len(held)}
            changes["instructions"] = without(parts, gone)
            said.append(f"{len(gone)} sections off")
            if not changes["instructions"]:
                return None
        return incumbent.but(origin=f"{incumbent.origin} ({'; '.join(said)})", **changes)

    # -- trials ----------------------------------------------------------------------------------------

    def _current(self, incumbent: Candidate, space: Mapping[str, tuple[Value, ...]]) -> dict[str, Value]:
        """The incumbent's own setting, as far as the knobs can say it."""
        own = (incumbent.params or self._problem.original.params).get("temperature")
        known: dict[str, Value] = {
            "demos": len(incumbent.demos),
            "demo_draw": 0,
            "demo_hard": False,
            "placement": incumbent.placement,
            "temperature": float(own) if isinstance(own, (int, float)) else 0.0,
        }
        current = {name: known.get(name, True) for name in space}
        return {k: v if v in space[k] else space[k][-1] for k, v in current.items()}

    def _first(
        self, index: int, space: Mapping[str, tuple[Value, ...]], current: Mapping[str, Value]
    ) -> dict[str, Value]:
        """The incumbent's setting with two knobs turned: where nothing is known, near is better than far."""
        names = sorted(space, key=lambda name: draw(self._problem.seed, "knob", index, name))[:2]
        turned = {
            name: space[name][draw(self._problem.seed, "turn", index, name) % len(space[name])]
            for name in names
        }
        return {**current, **turned}

    def _params(
        self, index: int, space: Mapping[str, tuple[Value, ...]], current: Mapping[str, Value]
    ) -> dict[str, Value]:
        import optuna

        study = self._opened()
        name = ",".join(f"{k}:{len(v)}" for k, v in space.items())
        recorded = self._recorded(index)
        if recorded is not None and _fits(recorded.params, space):
            study.enqueue_trial(recorded.params)
        elif index < _STARTUP:
            study.enqueue_trial(self._first(index, space, current))
        study.sampler = _sampler(draw(self._problem.seed, "knobs", name, index) % 2**32)
        choices = {k: optuna.distributions.CategoricalDistribution(v) for k, v in space.items()}
        trial = study.ask(fixed_distributions=choices)
        self._trials[index] = trial
        params = {k: trial.params[k] for k in space}
        if self._record is not None and recorded is None:
            self._record.enqueue_trial(params, user_attrs={_INDEX: index})
            mine = self._record.ask(fixed_distributions=choices)
            mine.set_user_attr(_INDEX, index)
        return params

    def _tell(self, index: int, value: float | None, over: Mapping[str, float]) -> None:
        import optuna

        states = optuna.trial.TrialState
        state = states.FAIL if value is None else states.COMPLETE
        trial = self._trials.pop(index)
        for key, amount in over.items():
            trial.set_constraint(key, amount)
        self._opened().tell(trial, value, state=state)
        if self._record is None:
            return
        for number, found in enumerate(self._held(index)):
            if found.state.is_finished():
                continue
            mine = optuna.Trial(self._record, found._trial_id)
            if number:  # two workers asked at once: the first trial is the one that counts
                mine.set_user_attr(_DOUBLE, True)
                self._record.tell(mine, state=states.FAIL, skip_if_finished=True)
                continue
            for key, amount in over.items():
                mine.set_constraint(key, amount)
            self._record.tell(mine, value, state=state, skip_if_finished=True)

    def _recorded(self, index: int) -> optuna.trial.FrozenTrial | None:
        held = self._held(index)
        return held[0] if held else None

    def _held(self, index: int) -> list[optuna.trial.FrozenTrial]:
        if self._record is None:
            return []
        trials = self._record.get_trials(deepcopy=False)
        return [t for t in trials if t.user_attrs.get(_INDEX) == index and t.params]

    def _opened(self) -> optuna.Study:
        if self._study is None:
            import optuna

            optuna.logging.set_verbosity(optuna.logging.WARNING)
            self._study = optuna.create_study(direction="maximize", sampler=_sampler(0))
            if self._problem.study is not None:
                self._record = optuna.create_study(
                    direction="maximize",
                    sampler=_sampler(0),
                    storage=self._problem.study,
                    study_name=study_name(self._problem),
                    load_if_exists=True,
                )
        return self._study


def _fits(params: Mapping[str, Any], space: Mapping[str, tuple[Value, ...]]) -> bool:
    return set(params) == set(space) and all(params[name] in space[name] for name in space)


def study_name(problem: Problem) -> str:
    """The same for the same search, another for another one: trials of two searches never mix."""
    parts = [
        problem.original.digest,
        *(e.id for e in (*problem.train, *problem.validation)),
        sorted(problem.may_change),
        (
            problem.calls,
            problem.calls_per_row,
            problem.seed,
            problem.max_prompt_tokens,
            problem.reflection_model,
        ),
        [str(p) for p in problem.prompts],
    ]
    raw = "\x1f".join(map(str, parts)).encode("utf-8", "surrogatepass")
    return f"knobs-{hashlib.sha256(raw).hexdigest()[:16]}"


def _sampler(seed: int) -> optuna.samplers.TPESampler:
    import optuna

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.samplers.TPESampler(seed=seed, n_startup_trials=_STARTUP, multivariate=True)
