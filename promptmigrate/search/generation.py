"""One generation: failures of parents, proposals written from them, a first trial on these, then the race."""

from __future__ import annotations

from collections.abc import Sequence

from promptmigrate.search import choice
from promptmigrate.search.anatomy import Candidate
from promptmigrate.search.archive import pareto_parents
from promptmigrate.search.base import CandidateRecord
from promptmigrate.search.combine import combinations, union
from promptmigrate.search.failures import Report, joined_reports
from promptmigrate.search.racing import Standing
from promptmigrate.search.reflection import Job, Proposal, Writer, jobs_for
from promptmigrate.search.state import State
from promptmigrate.search.text import draw, one_line
from promptmigrate.types import Example

TWO_PARENTS_FROM = 200
"""Rows from which a generation after a failed one has a second parent."""
_EVIDENCE_STEP = 10
_TRIED_SHOWN = 4


class Generations:
    """Runs generations on a State."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._writer = Writer(state.problem, state.contract)
        self._tried: list[str] = []
        self._tried_on: dict[str, Sequence[Example]] = {}
        self.siblings: list[Candidate] = []
        """Proposals of the last generation that mended failures but did not become the incumbent."""

    def payable(self) -> int:
        """How many proposals a generation can ask for, try and race, and leave the last comparison."""
        spare = self._state.spare_rows
        wanted = self._state.plan.proposals + 1
        return next((n for n in range(wanted, 0, -1) if self._price(n) <= spare), 0)

    def hinted(self, parent: Candidate) -> tuple[list[Candidate], list[CandidateRecord]]:
        """``parent`` rewritten by what is known of the target model's family, before failures are looked at.

        One reflection call. The candidate, if the guard lets it pass, and the record of a refusal.
        """
        state = self._state
        if "instructions" not in state.problem.may_change:
            return [], []
        state.table.charge(1)
        nothing = Report(clusters=(), passed=(), notes=())
        job = Job(parent=parent, report=nothing, mode="hints", draws=(state.problem.seed, "hints"))
        found, refused = self._sift(self._writer.write([job], tried=()))
        made = [candidate for candidate in found if candidate]
        state.rewrites += len(made)
        return made, refused

    def propose(self, jobs: Sequence[Job]) -> tuple[list[Candidate | None], list[CandidateRecord]]:
        """One reflection call for each job, all at a time: its candidate, if the guard lets it pass.

        And records of what was refused.
        """
        self._state.table.charge(len(jobs))
        found, refused = self._sift(self._writer.write(jobs, tried=self._tried[-_TRIED_SHOWN:]))
        self._state.rewrites += sum(candidate is not None for candidate in found)
        if refused:
            self._state.refused = refused[-1].fate.removeprefix("refused: ")
        return found, refused

    def run(self, index: int, *, stale: int) -> bool | None:
        """One generation; whether it improved the incumbent; None if it could not take place.

        ``stale``: how many generations before it brought nothing; then it looks further: a second parent and
        one more combination.
        """
        state = self._state
        if "instructions" not in state.problem.may_change or self.payable() < 1:
            return None
        parents = [
            (parent, report)
            for parent in self._parents(index, 2 if stale and state.plan.rows >= TWO_PARENTS_FROM else 1)
            if (report := self._evidence(parent)).failed
        ]
        count = min(self.payable(), state.plan.proposals + len(parents) - 1)
        if not parents or count < 1:
            return None
        jobs = jobs_for(
            parents,
            per_parent=state.plan.proposals,
            limit=count,
            seed=state.problem.seed,
            generation=index,
        )
        proposed, refused = self.propose(jobs)
        children = [child for child in proposed if child]
        gains = [gain for parent, report in parents for gain in self._try(parent, report, children, index)]
        gains.sort(key=lambda gain: -gain[0])
        kept = [child for _, child in gains[: state.plan.kept]]
        made = self._bare() + state.admitted(
            combinations(
                state.problem, state.seeds, state.incumbent, state.report(state.incumbent), self.siblings
            ),
            min(2, stale + (index == 1)),
        )
        dropped = [
            self.dropped(c, self._tried_on.get(c.key, ()))
            for c in children
            if c.key not in {k.key for k in kept}
        ]
        improved, standings = state.race([*kept, *made]) if kept or made else (False, [])
        self.siblings = [c for _, c in gains if c.key != state.incumbent.key]
        self._remember(standings, children)
        state.story.record("proposals", state.incumbent, standings, [*dropped, *refused])
        return improved

    def _bare(self) -> list[Candidate]:
        """The incumbent without its demos, once its rules have changed: they may only stand in the way."""
        state, incumbent = self._state, self._state.incumbent
        if not (state.improved and incumbent.demos and "demos" in state.problem.may_change):
            return []
        if state.plan.rows < TWO_PARENTS_FROM:
            return []
        return state.admitted([incumbent.but(demos=(), origin=f"{incumbent.origin} - demos")])

    def _price(self, proposals: int) -> int:
        """Rows that a generation takes at least; a reflection call is counted as a row."""
        plan = self._state.plan
        return proposals * (plan.trial + plan.passing + 1) + 2 * plan.block

    def _parents(self, index: int, count: int) -> list[Candidate]:
        """The incumbent, and others by Pareto frequency over the validation rows that it was measured on."""
        state = self._state
        common = [e for e in state.validation if state.table.cell(state.incumbent, e) is not None]
        pool = [
            c
            for c in state.archive.values()
            if c.key != state.incumbent.key and state.table.scored(c, common)
        ]
        draws = (state.problem.seed, "parents", index)
        return [state.incumbent, *pareto_parents(state.table, pool, common, count=count - 1, draws=draws)]

    def _evidence(self, parent: Candidate) -> Report:
        """The failures of ``parent`` on train rows; more rows are measured until there are some."""
        state = self._state
        quoted = {d.example for d in parent.demos}
        fresh = [e for e in state.train if e.id not in quoted and state.table.cell(parent, e) is None]
        fresh.sort(key=lambda e: self._expected(parent, e))
        step, taken = min(state.plan.block, _EVIDENCE_STEP), 0
        report = state.report(parent)
        while fresh and report.failed < self._state.plan.failures:
            chunk, fresh = fresh[:step], fresh[step:]
            most = state.plan.evidence * state.plan.block // (2 if report.failed > 1 else 1)
            if taken >= most or len(chunk) + self._price(1) > state.spare_rows:
                break
            state.table.measure([parent], chunk)
            taken += len(chunk)
            report = state.report(parent)
        if parent.demos and report.failed < state.plan.failures:
            # What the same rules fail without demos is paid for, and asks for the same rules.
            report = joined_reports(report, state.report(parent.but(demos=())))
        return report

    def _expected(self, candidate: Candidate, example: Example) -> float:
        """What the nearest ancestor scored on ``example``: what it failed is the likeliest to fail again."""
        state, seen = self._state, {candidate.key}
        ancestor = state.archive.get(candidate.parent)
        while ancestor is not None and ancestor.key not in seen:
            if (quality := state.table.quality(ancestor, example)) is not None:
                return quality
            seen.add(ancestor.key)
            ancestor = state.archive.get(ancestor.parent)
        return 0.5

    def _try(
        self, parent: Candidate, report: Report, children: Sequence[Candidate], index: int
    ) -> list[tuple[float, Candidate]]:
        """Children of ``parent`` that gain on the failures they were written from, and what all of them add.

        A rewrite that does not even mend what it was shown is not worth a block of validation rows; one that
        does still has to prove there that it generalises.
        """
        state = self._state
        draws = (state.problem.seed, "trial", index)
        failing = sorted(
            (r.example for c in report.clusters for r in c.rows if state.table.cell(parent, r.example)),
            key=lambda e: draw(*draws, e.id),
        )
        passing = sorted((r.example for r in report.passed), key=lambda e: draw(*draws, e.id))
        rows = choice.Trial(
            failing=tuple(failing[: state.plan.trial]),
            passing=tuple(passing[: state.plan.passing]),
            fail_share=state.fail_share(parent),
        )
        mine = [c for c in children if c.parent == parent.key]
        if mine and not rows.failing:
            # All failures are rows that the parent quotes: validation alone can tell.
            whole = union(parent, mine)
            return [(0.0, c) for c in (state.admitted([whole]) if whole else mine)]
        gains = self._gains(parent, mine, rows)
        # What does no harm on a few rows may well help on others: it takes part in the union.
        joined = union(parent, [c for gain, c in gains if gain >= 0])
        gains = self._gains(parent, state.admitted([joined] if joined else []), rows) + gains
        return [(gain, c) for gain, c in gains if gain > 0]

    def _gains(
        self, parent: Candidate, children: Sequence[Candidate], trial: choice.Trial
    ) -> list[tuple[float, Candidate]]:
        state, rows = self._state, trial.rows
        while children and not state.table.affordable(children, rows):
            children = children[:-1]
        state.table.measure(children, rows)
        state.tried += len(children)
        for child in children:
            self._tried_on[child.key] = rows
            state.hopes[child.key] = state.hope(parent) + choice.hoped(state.table, child, parent, trial)
        gains = [(sum(state.table.differences(c, parent, rows)), c) for c in children]
        state.mended |= any(gain > 0 for gain, _ in gains)
        return gains

    def _sift(self, proposals: Sequence[Proposal]) -> tuple[list[Candidate | None], list[CandidateRecord]]:
        """Apply the guard: what passed, in order, and records of what was refused."""
        children: list[Candidate | None] = []
        refused = []
        for proposal in proposals:
            candidate = proposal.candidate
            reason = proposal.refused or (self._state.guard.refuse(candidate) if candidate else "")
            if candidate is not None and not reason:
                self._state.admit(candidate)
                children.append(candidate)
                continue
            children.append(None)
            refused.append(
                CandidateRecord(
                    variant=candidate.variant if candidate else None,
                    origin=f"proposal ({proposal.job.mode})",
                    parent=proposal.job.parent.key,
                    fate=f"refused: {reason}",
                    note=candidate.note if candidate else "",
                )
            )
            self._note(f"A rewrite was refused because {reason}.")
        return children, refused

    def dropped(self, child: Candidate, rows: Sequence[Example]) -> CandidateRecord:
        """The record of a rewrite that was tried on ``rows`` and goes no further."""
        if child.note:
            self._note(f"It did not help to act on this: {one_line(child.note, 160)}")
        return CandidateRecord(
            variant=child.variant,
            origin=child.origin,
            parent=child.parent,
            quality=self._state.table.mean(child, rows),
            rows=len(rows),
            fate="eliminated: others mend more of the failures it was written from",
            note=child.note,
        )

    def _remember(self, standings: Sequence[Standing], children: Sequence[Candidate]) -> None:
        """Tell later proposals what did not help."""
        keys = {c.key for c in children}
        for standing in standings:
            if standing.candidate.key in keys and not standing.alive and standing.candidate.note:
                self._note(f"It did not help to act on this: {one_line(standing.candidate.note, 160)}")

    def _note(self, line: str) -> None:
        if line not in self._tried:
            self._tried.append(line)
