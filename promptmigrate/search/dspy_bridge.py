"""A DSPy program whose request is exactly the prompt, so that DSPy's optimizers can work on it unmodified.

Its one predictor's ``signature.instructions`` are the editable segment; the frame is frozen in the adapter,
which belongs to the predictor alone (a global adapter would blind the optimizers' own proposers); demos are
turns before the last user turn. What an optimizer finds is exported to a plain Prompt.

Answers come from a :class:`Measurer`, that is from ``Problem.evaluate``: what DSPy scores is the exported
prompt with the project's own scorers, cache and budget, and no call is paid twice. Without a Measurer the
program asks its LM.

Importing this module imports DSPy.
"""

from __future__ import annotations

import os

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # DSPy fetches the same price map as LiteLLM

import inspect
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import dspy
import pydantic

from promptmigrate import template
from promptmigrate.errors import PromptMigrateError
from promptmigrate.search.anatomy import Anatomy, Candidate, Demo
from promptmigrate.search.failures import feedback
from promptmigrate.search.table import Cell, OutOfCallsError, Table
from promptmigrate.types import Example, Prompt

EMPTY = "(no instructions yet)"
"""Stands for empty instructions, which DSPy would replace by a text of its own."""
ROW = "row_id"
ANSWER = "model_answer"
_TAKEN = frozenset(
    {ROW, ANSWER, "signature", "demos", "config", "lm", "new_signature", "prediction", "trace"}
)


class MissingOutcomeError(PromptMigrateError):
    """A row could not be evaluated; DSPy knows only exceptions for that."""


class Measurer:
    """Answers for DSPy's threads: rows asked for at the same time are evaluated together."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._waiting: dict[tuple[str, str], tuple[Candidate, Example]] = {}
        self._queue = threading.Lock()
        self._work = threading.Lock()
        self.failure: PromptMigrateError | None = None
        """The first error that ends the search; from then on nothing is evaluated."""

    def __deepcopy__(self, memo: object) -> Measurer:
        return self  # optimizers copy programs; the table is one

    def cell(self, candidate: Candidate, example: Example) -> Cell:
        """The measured cell.

        Raises:
            MissingOutcomeError: the call failed, or was not made because the search has to end.
        """
        with self._queue:
            self._waiting[candidate.key, example.id] = (candidate, example)
        with self._work:
            if self._table.cell(candidate, example) is None:
                self._evaluate()
            found = self._table.cell(candidate, example)
        if found is None or found.quality is None:
            raise MissingOutcomeError(f"row {example.id} has no score")
        return found

    def _evaluate(self) -> None:
        with self._queue:
            waiting, self._waiting = self._waiting, {}
        groups: dict[str, list[tuple[Candidate, Example]]] = {}
        for (key, _), pair in sorted(waiting.items()):
            groups.setdefault(key, []).append(pair)
        for pairs in groups.values():
            if self.failure is not None:
                return
            try:
                self._table.measure([pairs[0][0]], [example for _, example in pairs])
            except PromptMigrateError as error:
                if not isinstance(error, OutOfCallsError):
                    self.failure = error
                return


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
        super().__init__(dspy.Signature(fields, anatomy.instructions.strip() or EMPTY), **config)
        self.adapter = TemplateAdapter(anatomy, self.names)

    def forward(self, **inputs: Any) -> Any:
        """Ask the LM, with this predictor's own adapter."""
        with dspy.context(adapter=self.adapter):
            return super().forward(**inputs)


class TemplateProgram(dspy.Module):  # type: ignore[misc]
    """A prompt as a DSPy program.

    Args:
        candidate: The prompt to start from.
        measurer: Where answers come from; None: from the LM.
        rows: Rows by id, for the measurer.
    """

    def __init__(
        self,
        candidate: Candidate,
        *,
        measurer: Measurer | None = None,
        rows: Mapping[str, Example] | None = None,
    ) -> None:
        super().__init__()
        self.predict = TemplatePredict(candidate.anatomy)
        self._start = _Kept(candidate)
        self._measurer = measurer
        self._rows = _Kept(dict(rows or {}))

    def forward(self, row_id: str = "", **inputs: Any) -> Any:
        """The prediction; with a measurer it also carries the row's ``cell``.

        Raises:
            MissingOutcomeError: the row could not be evaluated.
        """
        if self._measurer is None:
            return self.predict(**inputs)
        cell = self._measurer.cell(self.candidate(), self._rows.value[row_id])
        trace = dspy.settings.trace
        if trace is not None:
            trace.append((self.predict, dict(inputs), dspy.Prediction(**{ANSWER: cell.text})))
        return dspy.Prediction(**{ANSWER: cell.text, "cell": cell})

    def candidate(self) -> Candidate:
        """What the program is now, as a candidate of the search."""
        start: Candidate = self._start.value
        instructions = plain(self.predict.signature.instructions, start.anatomy)
        demos = self.predict.adapter.demos([dict(d) for d in self.predict.demos])
        return start.but(instructions=instructions, demos=demos or start.demos)


class _Kept:
    """A value that copies of a program share."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __deepcopy__(self, memo: object) -> _Kept:
        return self


def plain(instructions: str, anatomy: Anatomy) -> str:
    """Instructions as the prompt has them: DSPy cleans indentation, and cannot hold an empty text."""
    if instructions == EMPTY:
        return ""
    if instructions == inspect.cleandoc(anatomy.instructions.strip() or EMPTY):
        return anatomy.instructions
    return instructions


def field_names(variables: Sequence[str]) -> dict[str, str]:
    """A DSPy field name for each template variable (pydantic and DSPy keep some names for themselves)."""
    names: dict[str, str] = {}
    for variable in variables:
        name = variable.lstrip("_") or "value"
        if name in _TAKEN or hasattr(pydantic.BaseModel, name) or hasattr(dspy.Example, name):
            name += "_value"
        while name in names.values():
            name += "_"
        names[variable] = name
    return names


def as_examples(rows: Sequence[Example], names: Mapping[str, str]) -> list[Any]:
    """Rows as ``dspy.Example``, with their ids."""
    made = []
    for row in rows:
        values = {field: template.as_text(row.inputs[name]) for name, field in names.items()}
        made.append(dspy.Example(**{ROW: row.id, **values}).with_inputs(ROW, *values))
    return made


def metric(rows: Mapping[str, Example]) -> Any:
    """A metric with feedback in words, as GEPA wants it: score and what the scorers said."""

    def score(gold: Any, pred: Any, trace: Any = None, pred_name: Any = None, pred_trace: Any = None) -> Any:
        del trace, pred_name, pred_trace
        cell: Cell = pred["cell"]
        row = rows[gold[ROW]]
        if cell.quality is not None and cell.quality >= 1.0:
            said = "This answer is right."
        else:
            said = f"Expected answer: {template.as_text(row.expected)}. {feedback(cell, '')}"
        return dspy.Prediction(score=cell.quality or 0.0, feedback=said)

    return score
