"""What all judges share: ask a question, read the answer, and three ways to be called.

A judge does no I/O itself. ``ask`` gives the question (or the score, where a cheap check settles it),
``conclude`` reads the answer; whoever calls it sends the question. ``deliberate`` is the same as a generator,
also for judges with several questions. Called plainly, a judge sends its questions through its ``complete``,
or the default one (:func:`scorers.set_default_complete`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from scorers._base import Base
from scorers._checks import check_of, settle
from scorers._complete import default_complete
from scorers._deliberate import Deliberation, one_question, run_judge
from scorers._errors import ScorerSpecError
from scorers._fence import fenced
from scorers._judge_forms import DATA_RULE, REASON, REMINDER, json_form, schema_of, told_inputs
from scorers._options import INJECTED
from scorers._text import as_text, clip
from scorers._types import Answer, Complete, Question, Sample, Score
from scorers._verdict import reason, verdict
from scorers._waiting import wait_for

_MAX_CHARACTERS = 400_000
"""About 100,000 tokens: a longer question would be refused by most models, or cost dollars."""
_NO_REASON = "the judge gave no reason"


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeBase(Base):
    """A scorer that asks a model to choose from a menu of verdicts."""

    menu: ClassVar[Mapping[str, float]] = {}
    """Each verdict the model may give, and the value it stands for."""
    blank: ClassVar[float | None] = None
    """The value of an empty output, where it needs no model."""

    model: str = field(default="", metadata={"alias": "judge"})
    """The model that judges, as ``provider/name``; in a spec it is called ``judge``."""
    max_tokens: int = 1024
    """Longest answer, in tokens; models that reason before they answer count that too: give those more."""
    checks: tuple[Any, ...] = ()
    """Cheap deterministic checks that settle clear cases before the model is asked, in this order; see
    :class:`scorers.Check`."""
    cascade: bool = True
    """Whether clear cases are settled without the model at all; False asks it about every sample."""
    structured: bool = False
    """Ask for a JSON object and give its schema along, for providers that can enforce one."""
    complete: Complete | None = field(default=None, compare=False, repr=False, metadata=INJECTED)
    """How to reach the model. It is no part of the spec, nor of equality."""

    def _check(self) -> None:
        if not self.model.strip():
            raise ScorerSpecError(
                f"{self.name} asks a model: name it, as in {{use: {self.name}, judge: openai/gpt-5-mini}} "
                f"or {self.name}(model='openai/gpt-5-mini')",
                key="judge",
            )
        if self.max_tokens < 1:
            raise ScorerSpecError(f"{self.name}: option 'max_tokens' must be at least 1", key="max_tokens")
        object.__setattr__(self, "checks", tuple(check_of(given, self.name) for given in self.checks))

    @property
    def models(self) -> tuple[str, ...]:
        """All models that are asked."""
        return (self.model,)

    @property
    def most_questions(self) -> int:
        """How many questions are asked at most about one sample."""
        return 1

    @property
    def verdict_values(self) -> Mapping[str, float]:
        """The verdicts that the model may give, and the values they stand for."""
        return self._menu()

    # --- sans I/O

    def ask(self, sample: Sample, /) -> Score | Question:
        """The score, where it needs no model; else the question. Never raises."""
        try:
            begun = self._begin(sample)
            return begun if isinstance(begun, Score) else self._question(begun)
        except Exception as error:  # noqa: BLE001 - any output must give a Score; the reason is kept in it
            return self._broke(error)

    def conclude(self, sample: Sample, answer: Answer, /) -> Score:
        """The score that follows from ``answer``. Never raises.

        No answer is unscored (``judge_failed``, of the kind ``empty_answer`` where an empty one came); so is
        one that is not on the menu (``off_menu``).
        """
        try:
            score = self._failed(answer) or self._read(sample, answer.text or "")
            if score.value is not None:
                size = len(as_text(sample.output))
                why = score.rationale or ("" if score.value == 1.0 else _NO_REASON)
                score = replace(score, rationale=why, evidence={**score.evidence, "output_chars": size})
        except Exception as error:  # noqa: BLE001 - any answer must give a Score; the reason is kept in it
            score = self._broke(error)
        return replace(
            score,
            cost_usd=answer.cost_usd,
            input_tokens=answer.input_tokens,
            output_tokens=answer.output_tokens,
        )

    def deliberate(self, sample: Sample, /) -> Deliberation:
        """All that is asked about ``sample``, as a generator; see :func:`scorers.run_judge`. Never raises."""
        return one_question(self, sample)

    def _begin(self, sample: Sample) -> Score | Sample:
        """The score, where no model is needed; else the sample with the expectation that is meant."""
        resolved = self._resolved(sample.output, sample.expected, sample.inputs, sample.trace)
        if isinstance(resolved, Score) or not self.cascade:
            return resolved
        for check in self.checks:
            said = settle(check, sample)
            if said is not None:
                value, decider, why = said
                kind = "match" if value == 1.0 else decider
                why = why or f"settled by {decider}"
                return self._found(value, kind, "" if value == 1.0 else clip(why, 300), decided_by=decider)
        settled = self._settle(resolved)
        return resolved if settled is None else settled

    # --- what the single judges say

    def _settle(self, sample: Sample) -> Score | None:
        """The score, if it can be told without a model."""
        if self.blank is None or as_text(sample.output).strip():
            return None
        kind, why = ("match", "") if self.blank == 1.0 else ("empty", "the output is empty")
        return self._found(self.blank, kind, why, decided_by="empty")

    def _menu(self) -> Mapping[str, float]:
        """The verdicts of this judge; most have the same for all instances."""
        return self.menu

    def _task(self) -> str:
        """What the judge has to decide, and what each verdict means."""
        raise NotImplementedError

    def _sections(self, sample: Sample) -> dict[str, str]:
        """The material, by name."""
        return {**told_inputs(sample), "OUTPUT": as_text(sample.output)}

    def _form(self) -> str:
        """In which form to answer."""
        return (
            "First give the reason in one to three sentences. Then end with one line of this form:\n"
            f"VERDICT: <one of {', '.join(self._menu())}>"
        )

    def _schema(self) -> Mapping[str, Any]:
        """JSON schema of a structured answer."""
        return schema_of({"reason": REASON, "verdict": {"type": "string", "enum": list(self._menu())}})

    def _json_form(self) -> str:
        """In which form to give a structured answer."""
        return json_form('{"reason": "<one to three sentences>", "verdict": <MENU>}', self._menu())

    def _closing(self) -> str:
        """What to do, said again behind the material."""
        return "Judge the OUTPUT as told."

    def _read(self, sample: Sample, text: str) -> Score:  # noqa: ARG002 - a hook: some need the sample
        menu = self._menu()
        given = verdict(text, tuple(menu))
        if given is None:
            return self._off_menu(text)
        value = menu[given]
        kind = "match" if value == 1.0 else f"judged_{given.lower()}"
        return self._found(value, kind, reason(text), verdict=given, decided_by="judge", judge=self.model)

    # --- shared parts

    def _failed(self, answer: Answer) -> Score | None:
        """The score for a call without an answer; None if there is one."""
        if answer.error is None and answer.text is not None and answer.text.strip():
            return None
        if answer.error is None:
            why = "the judge gave an empty answer"
            return self._unscored("judge_failed", why, kind="empty_answer", judge=self.model)
        return self._unscored("judge_failed", clip(answer.error, 300), judge=self.model)

    def _off_menu(self, text: str) -> Score:
        return self._unscored(
            "off_menu",
            f"the judge's answer holds no verdict from the menu: {clip(text.strip()[-200:], 200)!r}",
            judge=self.model,
        )

    def _question(self, sample: Sample) -> Score | Question:
        return self._asking(self._sections(sample))

    def _asking(self, sections: Mapping[str, str]) -> Score | Question:
        size = sum(map(len, sections.values()))
        if size > _MAX_CHARACTERS:
            return self._unscored(
                "error", f"{size} characters are too many for a judge (the limit is {_MAX_CHARACTERS})"
            )
        form = self._json_form() if self.structured else self._form()
        system = f"{self._task()}\n\n{DATA_RULE}\n\n{form}"
        # The form is said again behind the material: some endpoints drop system messages, and what is
        # read last weighs most.
        user = f"{fenced(sections)}\n\n{self._closing()} {REMINDER} {form}"
        return Question(
            messages=({"role": "system", "content": system}, {"role": "user", "content": user}),
            model=self.model,
            max_tokens=self.max_tokens,
            schema=self._schema() if self.structured else None,
        )

    # --- with I/O

    async def score_async(
        self, *, output: Any, expected: Any = None, inputs: Mapping[str, Any] | None = None, trace: Any = None
    ) -> Score:
        """Score one output, sending the question if there is one.

        Raises:
            NoCompleteError: a model must be asked and there is no way to reach one.
        """
        return await self._score_sample(Sample(output=output, expected=expected, inputs=inputs, trace=trace))

    def __call__(
        self, *, output: Any, expected: Any = None, inputs: Mapping[str, Any] | None = None, trace: Any = None
    ) -> Score:
        """Score one output and wait for it. In a running event loop use :meth:`score_async`.

        Raises:
            NoCompleteError: a model must be asked and there is no way to reach one.
        """
        return wait_for(self.score_async(output=output, expected=expected, inputs=inputs, trace=trace))

    def batch(self, samples: Iterable[Sample], *, concurrency: int = 16) -> list[Score]:
        """The scores of ``samples``, in their order, with at most ``concurrency`` questions at a time."""
        return wait_for(self.batch_async(samples, concurrency=concurrency))

    async def batch_async(self, samples: Iterable[Sample], *, concurrency: int = 16) -> list[Score]:
        """As :meth:`batch`, awaited."""
        import asyncio  # costs as much to import as everything else here

        slots = asyncio.Semaphore(max(1, concurrency))

        async def one(sample: Sample) -> Score:
            async with slots:
                return await self._score_sample(sample)

        return list(await asyncio.gather(*map(one, samples)))

    async def _score_sample(self, sample: Sample) -> Score:
        async def complete(question: Question, /) -> Answer:
            # Looked up here: there may be no way to reach a model, and no need for one.
            reach = self.complete or default_complete()
            try:
                return await reach(question)
            except Exception as error:  # noqa: BLE001 - an injected callable may raise; it is told in the score
                return Answer(error=f"{type(error).__name__}: {error}")

        return await run_judge(self, sample, complete)
