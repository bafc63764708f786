"""From failure reports to candidates: what the reflection model is asked, and what its reply becomes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal, TypeAlias

from promptmigrate import template
from promptmigrate.search.anatomy import Candidate
from promptmigrate.search.base import Problem
from promptmigrate.search.combine import unrepeated
from promptmigrate.search.contract import Contract
from promptmigrate.search.failures import Report, keep_text, known_text, render
from promptmigrate.search.hints import hints_for
from promptmigrate.search.text import length, one_line, tokens_of

Mode: TypeAlias = Literal["all", "focus", "rewrite", "review", "merge", "hints"]
_THREADS = 8
_WORDS = 800
"""Words that instructions may have, unless they have more already."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """One proposal to ask for."""

    parent: Candidate
    report: Report
    mode: Mode
    focus: int = 0
    """Cluster to concentrate on (mode "focus")."""
    other: Candidate | None = None
    """Second parent (mode "merge")."""
    draws: tuple[object, ...] = ()
    """What the sample of failures is drawn from: seed, generation, index."""


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """What came of a Job: a candidate, or why there is none."""

    job: Job
    candidate: Candidate | None
    refused: str = ""


def jobs_for(
    parents: Sequence[tuple[Candidate, Report]], *, per_parent: int, limit: int, seed: int, generation: int
) -> list[Job]:
    """At most ``limit`` jobs, spread over parents, each with another focus, sample or assignment.

    Different requests, because an editor at temperature 0 answers the same request with the same text.
    """
    jobs: list[Job] = []
    for index in range(per_parent):
        for number, (parent, report) in enumerate(parents):
            turn = index + (generation - 1) * per_parent + number
            other = parents[(number + 1) % len(parents)][0] if len(parents) > 1 else None
            mode, focus = _assignment(turn, len(report.clusters), merge=other is not None)
            draws = (seed, "reflect", generation, number, index)
            jobs.append(
                Job(
                    parent=parent, report=report, mode=mode, focus=focus,
                    other=other if mode == "merge" else None, draws=draws,
                )
            )  # fmt: skip
    return jobs[:limit]


def _assignment(turn: int, clusters: int, *, merge: bool) -> tuple[Mode, int]:
    cycle: list[tuple[Mode, int]] = [("all", 0), ("focus", 0), ("focus", 1), ("rewrite", 0)]
    if merge:
        cycle.insert(3, ("merge", 0))
    cycle = [c for c in cycle if c[0] != "focus" or c[1] < clusters]
    mode, focus = cycle[turn % len(cycle)]
    if mode == "focus" and clusters > 2:
        focus = (focus + turn // len(cycle)) % clusters
    return mode, focus


class Writer:
    """Asks the reflection model, several proposals at a time, and reads candidates out of its replies."""

    def __init__(self, problem: Problem, contract: Contract | None) -> None:
        self._problem = problem
        self._contract = contract

    def write(self, jobs: Sequence[Job], *, tried: Sequence[str]) -> list[Proposal]:
        """One Proposal per Job, in order; one reflection call each (the caller has counted them).

        Raises:
            PromptMigrateError: what must stop a run, from the door.
        """
        from promptmigrate.search import proposers

        lm = proposers.reflection_lm(self._problem)

        def one(job: Job) -> tuple[str, str] | None:
            return proposers.ask(lm, self.inputs(job, tried=tried))

        with ThreadPoolExecutor(max_workers=max(1, min(_THREADS, len(jobs)))) as pool:
            replies = list(pool.map(one, jobs))
        return [self._proposal(job, reply) for job, reply in zip(jobs, replies, strict=True)]

    def inputs(self, job: Job, *, tried: Sequence[str]) -> dict[str, str]:
        """The input fields of the proposer's signature."""
        anatomy = job.parent.anatomy
        focus = job.focus if job.mode == "focus" else None
        notes = [f"The model is called {job.parent.base.model.rpartition('/')[2]}.", *job.report.notes]
        if job.mode == "hints":
            notes += hints_for(job.parent.base.model)
        if job.parent.demos:
            notes.append(f"It is also shown {len(job.parent.demos)} worked examples, which stay as they are.")
        return {
            "current_instructions": job.parent.instructions,
            "fixed_part": anatomy.frame,
            "task_facts": "\n".join(f"- {fact}" for fact in self._facts()),
            "failure_report": "" if job.mode == "hints" else render(job.report, focus=focus, draws=job.draws),
            "known_answers": "" if job.mode == "hints" else self._known(job),
            "must_keep": keep_text(job.report, draws=job.draws),
            "model_notes": "\n".join(f"- {note}" for note in notes),
            "tried": "\n".join(f"- {line}" for line in tried),
            "another_prompt": job.other.instructions if job.other else "",
            "assignment": self._assignment(job),
        }

    def _known(self, job: Job) -> str:
        """Train rows whose answers teach something besides the failures."""
        if self._contract is None:
            return ""  # what this prompt should answer is not known
        shown = job.report.failing_ids | {demo.example for demo in job.parent.demos}
        rest = [e for e in self._problem.train if e.id not in shown and e.expected is not None]
        return known_text(rest, draws=job.draws)

    def _facts(self) -> Sequence[str]:
        return self._contract.facts if self._contract else ()

    def _assignment(self, job: Job) -> str:
        if job.mode == "focus":
            start = (
                "Concentrate on Problem 1 above: find the rule that would have given the expected answers "
                "there, and add it to the instructions or correct the sentence that causes the problem."
            )
        elif job.mode == "rewrite":
            start = (
                "Write the instructions afresh: clear, well ordered, with explicit rules for the problems "
                "above, without contradictions and without anything that does not help."
            )
        elif job.mode == "review":
            start = (
                "The answers above were given before the last change of the instructions. Go through the "
                "problems once more: where the current instructions do not settle one yet, add the rule that "
                "would have given the expected answer or correct the sentence that is in its way; take out "
                "what none of the expected answers bears out. Leave the rest as it is."
            )
        elif job.mode == "hints":
            start = (
                "Rewrite the instructions for this model: keep the task and every rule, and put them into "
                "the shape that its habits call for."
            )
        elif job.mode == "merge":
            start = (
                "Combine the current instructions with the other instructions shown above: keep the rules "
                "of both that help, and add what the problems above still need."
            )
        else:
            start = (
                "Change the instructions so that the problems above no longer happen, the most frequent "
                "ones first."
            )
        kept = template.variables(job.parent.instructions)
        if kept:
            names = ", ".join(f"{{{{{name}}}}}" for name in kept)
            placeholder = f"Keep the placeholder{'s' if len(kept) > 1 else ''} {names} exactly as written."
        else:
            placeholder = "Write no placeholders in braces: the fixed part hands over the input."
        rules = [
            start,
            "Keep every instruction that is needed for the inputs that are answered well now.",
            "State general rules in plain words; do not copy inputs from above into the instructions.",
            placeholder,
            f"Use at most {self._words(job.parent)} words.",
        ]
        return " ".join(rules)

    def _words(self, parent: Candidate) -> int:
        fixed = tokens_of(parent.anatomy.compose("", demos=parent.demos))
        room = max(50, self._problem.max_prompt_tokens - fixed)
        # A long prompt may stay as long as it is: what it says is needed.
        most = max(_WORDS, math.ceil(length(parent.instructions)))
        return min(most, int(0.6 * room)) // 10 * 10

    def _proposal(self, job: Job, reply: tuple[str, str] | None) -> Proposal:
        if reply is None:
            return Proposal(job=job, candidate=None, refused="the reflection model gave no usable reply")
        text, note = unrepeated(reply[0]), reply[1]
        parent = job.parent
        changes = {"origin": f"proposal ({job.mode})", "note": one_line(note, 200), "parent": parent.key}
        instructions = parent.anatomy.instructions_in(text)
        return Proposal(job=job, candidate=parent.but(instructions=instructions, **changes))
