"""A DSPy program whose request is exactly the prompt, so that DSPy's optimizers can work on it unmodified.

Its one predictor's ``signature.instructions`` are the editable segment; the frame is frozen in the adapter,
which belongs to the predictor alone (a global adapter would blind the optimizers' own proposers); demos are
turns before the last user turn. What an optimizer finds is exported to a plain Prompt.

Answers come from a :class:`Source`, that is from ``Problem.evaluate``: what DSPy scores is the exported
prompt with the project's own scorers, cache and budget, and no call is paid twice. Without one the program
asks its LM.

Importing this module imports DSPy.
"""

from __future__ import annotations

import os

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # DSPy fetches the same price map as LiteLLM

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import dspy
import pydantic
from dspy.utils.callback import BaseCallback

from promptmigrate import template
from promptmigrate.search.anatomy import Anatomy, Candidate, Demo
from promptmigrate.search.demos import usable
from promptmigrate.search.failures import GOOD, feedback
from promptmigrate.search.strategies._measurer import Measurer, MissingOutcomeError
from promptmigrate.search.table import Cell
from promptmigrate.types import Example, Prompt

EMPTY = "(no instructions yet)"
"""Stands for empty instructions, which DSPy would replace by a text of its own."""
UNSEEN = "(this answer was not measured)"
"""Stands for an answer that is not there; no reflection model is shown a request that holds it."""
ROW = "row_id"
ANSWER = "model_answer"
_TAKEN = frozenset(
    {ROW, ANSWER, "signature", "demos", "config", "lm", "new_signature", "prediction", "trace"}
    | {"self", "base", "instance", "program", "program_to_use", "augmented"}
)
"""Parameters and fields of what inputs are handed to by name."""
_KINDS = (pydantic.BaseModel, dspy.Signature, dspy.Example)


class WholeSets(BaseCallback):  # type: ignore[misc]
    """Measures the whole set before DSPy's Evaluate goes through it row by row.

    So rows are evaluated together without threads of DSPy's, and the budget ends between two sets: the
    prompts that were measured do not depend on which thread came first.
    """

    def __init__(self, measurer: Measurer, rows: Mapping[str, Example]) -> None:
        self._measurer, self._rows = measurer, rows

    def on_evaluate_start(self, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:  # noqa: ARG002
        """Called by DSPy."""
        program = inputs["program"]
        if isinstance(program, TemplateProgram):
            candidate = program.candidate()
            if self._measurer.admit(candidate):
                devset = inputs.get("devset") or instance.devset
                self._measurer.measure(candidate, [self._rows[item[ROW]] for item in devset])


class TemplateAdapter(dspy.Adapter):  # type: ignore[misc]
    """Formats a request as the prompt renders it; the completion is the answer."""

    def __init__(self, anatomy: Anatomy, fields: Mapping[str, str]) -> None:
        super().__init__()
        self._anatomy, self._fields = anatomy, dict(fields)

    def format(
        self, signature: Any, demos: list[dict[str, Any]], inputs: dict[str, Any]
    ) -> list[dict[str, Any]]:
        """The messages that production would send with these instructions and demos."""
        prompt = self.compose(signature.instructions, demos)
        values = {name: inputs[field] for name, field in self._fields.items()}
        return [dict(message) for message in prompt.render(values)]

    def parse(self, signature: Any, completion: str) -> dict[str, Any]:
        """The completion, as it is."""
        return {next(iter(signature.output_fields)): completion}

    def compose(self, instructions: str, demos: Sequence[Mapping[str, Any]]) -> Prompt:
        """The plain prompt that instructions and demos stand for."""
        return self._anatomy.compose(plain(instructions, self._anatomy), demos=self.demos(demos))

    def demos(self, demos: Sequence[Mapping[str, Any]]) -> tuple[Demo, ...]:
        """DSPy's demos as ours; those that a template engine would read are left out."""
        made = []
        for demo in demos:
            values = {name: demo.get(field) for name, field in self._fields.items()}
            answer = demo.get(ANSWER)
            texts = [template.as_text(value) for value in values.values()]
            if answer and None not in values.values() and all(map(template.is_literal, [answer, *texts])):
                made.append(Demo(example=str(demo.get(ROW) or ""), inputs=values, answer=str(answer)))
        return tuple(made)


class TemplatePredict(dspy.Predict):  # type: ignore[misc]
    """The predictor that optimizers see."""

    def __init__(self, anatomy: Anatomy, **config: Any) -> None:
        self.names = field_names(anatomy.prompt.variables)
        fields: dict[str, Any] = {name: (str, dspy.InputField()) for name in self.names.values()}
        fields[ANSWER] = (str, dspy.OutputField())
        self.default = dspy.Signature(fields).instructions
        super().__init__(dspy.Signature(fields, anatomy.instructions.strip() or EMPTY), **config)
        self.adapter = TemplateAdapter(anatomy, self.names)

    def forward(self, **inputs: Any) -> Any:
        """Ask the LM, with this predictor's own adapter."""
        with dspy.context(adapter=self.adapter):
            return super().forward(**inputs)


class TemplateProgram(dspy.Module):  # type: ignore[misc]
    """A prompt as a DSPy program: one predictor that fills the prompt and gives the model's answer."""

    def __init__(self, candidate: Candidate, source: Source | None = None) -> None:
        super().__init__()
        self.predict = TemplatePredict(candidate.anatomy)
        self._start = _Kept(candidate)
        self._source = source

    def forward(self, **inputs: Any) -> Any:
        """The prediction."""
        if self._source is None:
            return self.predict(**inputs)
        return self._source.answer(self, **inputs)

    def candidate(self) -> Candidate:
        """What the program is now, as a candidate of the search."""
        start: Candidate = self._start.value
        said = self.predict.signature.instructions
        # DSPy writes instructions of its own where it is given none: such a proposal proposes nothing.
        said = start.instructions if said == self.predict.default else plain(said, start.anatomy)
        demos = self.predict.adapter.demos([dict(d) for d in self.predict.demos])
        return start.but(instructions=said, demos=demos or start.demos, origin="")


class Source:
    """Where a program's answers come from: the measurer, by row id.

    Args:
        measurer: Evaluates.
        rows: All rows that may be asked for, by id.
        strict: Whether a row without an outcome raises (for optimizers that can leave it out) instead of
            giving a prediction that :func:`score_with` scores neutrally.
    """

    def __init__(self, measurer: Measurer, rows: Mapping[str, Example], *, strict: bool = False) -> None:
        self._measurer, self._rows, self._strict = measurer, rows, strict

    def __deepcopy__(self, memo: object) -> Source:
        return self

    def answer(self, program: TemplateProgram, row_id: str, **inputs: Any) -> Any:
        """The measured answer as a prediction with the row's ``cell``.

        Raises:
            MissingOutcomeError: the row could not be evaluated, and the source is strict.
            Stop: see :class:`Measurer`.
        """
        candidate = program.candidate()
        if not self._measurer.admit(candidate):
            return dspy.Prediction(**{ANSWER: UNSEEN, "cell": None, "refused": True})
        cell = self._measurer.cell(_sampled(candidate, program.predict.lm), self._rows[row_id])
        if cell is None:
            if self._strict:
                raise MissingOutcomeError(f"row {row_id} has no score")
            return dspy.Prediction(**{ANSWER: UNSEEN, "cell": None, "refused": False})
        trace = dspy.settings.trace
        if trace is not None:
            shown = {ROW: row_id, **inputs}
            trace.append((program.predict, shown, dspy.Prediction(**{ANSWER: cell.text})))
        return dspy.Prediction(**{ANSWER: cell.text, "cell": cell, "refused": False})


class Sampling:
    """Stands where an optimizer wants an LM to draw several answers from: a copy is another way to sample.

    A (Variant, row) is evaluated once, so other samples are Variants of the same prompt at temperatures
    of their own: 1.0 for the first copy with a rollout, then 0.9, 0.8 ... The program never asks it.

    Args:
        before: Called when a round of copies is asked for.
        hot: Whether temperatures may be set; if not, all samples are the one answer.
    """

    def __init__(self, before: Callable[[], None], *, hot: bool, rollout: int = 0) -> None:
        self._before, self._hot = before, hot
        self.kwargs: dict[str, Any] = {}
        self.temperature = max(0.1, 1.0 - 0.1 * (rollout - 1)) if hot and rollout else None

    def __deepcopy__(self, memo: object) -> Sampling:
        return self

    def copy(self, *, rollout_id: int = 0, **_settings: Any) -> Sampling:
        """As ``dspy.LM.copy``."""
        if rollout_id == 0:
            self._before()
        return Sampling(self._before, hot=self._hot, rollout=rollout_id)


def _sampled(candidate: Candidate, lm: Any) -> Candidate:
    if not isinstance(lm, Sampling) or lm.temperature is None:
        return candidate
    params = candidate.base.params if candidate.params is None else candidate.params
    return candidate.but(params={**params, "temperature": lm.temperature})


class _Kept:
    """A value that copies of a program share."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __deepcopy__(self, memo: object) -> _Kept:
        return self


def plain(instructions: str, anatomy: Anatomy) -> str:
    """Instructions as the prompt has them: DSPy cleans indentation, and cannot hold an empty text.

    A proposal that gives back the frame as well is taken without it.
    """
    if instructions == EMPTY:
        return ""
    if instructions == inspect.cleandoc(anatomy.instructions.strip() or EMPTY):
        return anatomy.instructions
    return anatomy.instructions_in(instructions)


def field_names(variables: Sequence[str]) -> dict[str, str]:
    """A DSPy field name for each template variable (pydantic and DSPy keep some names for themselves)."""
    names: dict[str, str] = {}
    for variable in variables:
        # dspy.Example hides fields that begin with "dspy_".
        name = variable.lstrip("_").removeprefix("dspy_") or "value"
        if name in _TAKEN or any(hasattr(kind, name) for kind in _KINDS):
            name += "_value"
        while name in names.values():
            name += "_"
        names[variable] = name
    return names


def as_examples(rows: Sequence[Example], names: Mapping[str, str]) -> list[Any]:
    """Rows as ``dspy.Example``, with their ids, and with the good answer where one is known."""
    answers = {example.id: demo.answer for example, demo in usable(rows)}
    made = []
    for row in rows:
        values = {field: template.as_text(row.inputs[name]) for name, field in names.items()}
        known = {ANSWER: answers[row.id]} if row.id in answers else {}
        made.append(dspy.Example(**{ROW: row.id, **values, **known}).with_inputs(ROW, *values))
    return made


def score_with(neutral: float) -> Any:
    """A metric: quality; 0 for a refused prompt; ``neutral`` where the outcome is missing.

    Where a trace is asked for (bootstrapping), whether the answer is good enough to be a demo.
    """

    def score(gold: Any, pred: Any, trace: Any = None) -> float | bool:
        del gold
        cell: Cell | None = pred["cell"]
        if trace is not None:
            return cell is not None and (cell.quality or 0.0) >= GOOD
        if cell is None:
            return 0.0 if pred["refused"] else neutral
        return cell.quality or 0.0

    return score


def metric(rows: Mapping[str, Example], neutral: float = 0.0) -> Any:
    """A metric with feedback in words, as GEPA wants it: score and what the scorers said."""
    number = score_with(neutral)

    def score(gold: Any, pred: Any, trace: Any = None, pred_name: Any = None, pred_trace: Any = None) -> Any:
        del trace, pred_name, pred_trace
        cell: Cell | None = pred["cell"]
        if cell is None:
            said = UNSEEN
        elif cell.quality is not None and cell.quality >= GOOD:
            said = "This answer is right."
        else:
            said = f"Expected answer: {template.as_text(rows[gold[ROW]].expected)}. {feedback(cell, '')}"
        return dspy.Prediction(score=number(gold, pred), feedback=said)

    return score
