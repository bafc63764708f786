"""Proposers: DSPy modules with typed signatures that ask the reflection model for new instructions.

Importing this module imports DSPy; the rest of the package does it only when a proposal is wanted.
"""

from __future__ import annotations

import os
import re

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # DSPy fetches the same price map as LiteLLM

from collections.abc import Callable, Mapping
from typing import Any

import dspy
from dspy import lm15
from dspy.utils.exceptions import AdapterParseError, LMError

from promptmigrate import template
from promptmigrate.errors import PromptMigrateError
from promptmigrate.search.base import Problem
from promptmigrate.search.reply import read
from promptmigrate.search.text import fenced
from promptmigrate.types import Request


class ImproveInstructions(dspy.Signature):  # type: ignore[misc]
    """You improve the instructions of a prompt so that a language model answers its inputs as expected.

    The prompt works in production on another model. Below are the current instructions, the fixed part that
    follows them, what is known of a good answer, and how the model does now on real inputs. Find the general
    rules behind the failures (what distinguishes the inputs, what the expected answers have in common, domain
    knowledge that the model lacks) and write them into the instructions, so that unseen inputs of the same
    kind are answered well too.
    """

    current_instructions: str = dspy.InputField(desc="Current instructions")
    fixed_part: str = dspy.InputField(desc="Fixed part, sent with the instructions; it stays as it is")
    task_facts: str = dspy.InputField(desc="What is known of a good answer")
    failure_report: str = dspy.InputField(desc="How the model does with the current instructions")
    known_answers: str = dspy.InputField(desc="What is expected for other inputs")
    must_keep: str = dspy.InputField(desc="What works and must not break")
    model_notes: str = dspy.InputField(desc="Habits of this model")
    tried: str = dspy.InputField(desc="Already tried without success")
    another_prompt: str = dspy.InputField(desc="Other instructions that do better on some inputs")
    assignment: str = dspy.InputField(desc="Your task now")
    diagnosis: str = dspy.OutputField(desc="One or two sentences: what goes wrong and why")
    new_instructions: str = dspy.OutputField(desc="The complete new instructions")


_QUOTED = frozenset({"fixed_part", "another_prompt"})
"""Shown as quotations: an editor that looks for the text to work on must find one block only."""
_PLACEHOLDER = re.compile(r"\{\{\s*(\w+)\s*\}\}")
_ASK = (
    "First write one or two sentences on what goes wrong. Then write the complete new instructions, the "
    "whole text and not only the changes, inside one block between two lines of ```."
)


class PlainAdapter(dspy.Adapter):  # type: ignore[misc]
    """Asks in plain headed text and reads any form of reply, in one call.

    DSPy's own adapters ask for field markers or JSON and send a second request where a weak model misses
    them; an editor that answers with the bare text is as good as any.
    """

    def format(
        self, signature: Any, demos: list[dict[str, Any]], inputs: dict[str, Any]
    ) -> list[dict[str, Any]]:
        """One user message: the task, a headed section per filled input field, how to answer."""
        del demos  # proposers have none
        parts = [signature.instructions]
        for name, info in signature.input_fields.items():
            value = str(inputs.get(name) or "").strip()
            if value or name == "current_instructions":
                body = fenced(value) if name == "current_instructions" else value
                body = _quotation(value) if name in _QUOTED else body
                parts.append(f"# {info.json_schema_extra.get('desc') or name}\n{body}")
        parts.append(_ASK)
        return [{"role": "user", "content": template.sendable("\n\n".join(parts))}]

    def parse(self, signature: Any, completion: str) -> dict[str, Any]:
        """The reply's text as the last output field, its diagnosis as the first."""
        reading = read(completion)
        names = list(signature.output_fields)
        return {names[0]: reading.note, names[-1]: reading.text}


def _quotation(text: str) -> str:
    """``text`` with ``>`` before each line, and its placeholders without the braces of a live one."""
    return "\n".join(f"> {line}".rstrip() for line in _PLACEHOLDER.sub(r"<\1>", text).splitlines())


class Proposer(dspy.Module):  # type: ignore[misc]
    """A Predict whose adapter is its own: a global adapter would also govern the task model's calls."""

    def __init__(self, signature: Any = ImproveInstructions) -> None:
        super().__init__()
        self.predict = dspy.Predict(signature)
        self.adapter = PlainAdapter()

    def forward(self, **inputs: str) -> Any:
        """The prediction with ``diagnosis`` and ``new_instructions``; fields without an input are empty."""
        fields = dict.fromkeys(self.predict.signature.input_fields, "")
        with dspy.context(adapter=self.adapter, trace=None, warn_on_type_mismatch=False):
            return self.predict(**{**fields, **inputs})


def ask(lm: Any, inputs: Mapping[str, str], *, proposer: Any = None) -> tuple[str, str] | None:
    """(new instructions, diagnosis) for ``inputs``; None if the call failed or the reply was empty.

    One call, whatever comes back.

    Raises:
        PromptMigrateError: what must stop a run, from the door (DSPy wraps it; it is unwrapped).
    """
    module = proposer or Proposer()
    try:
        with dspy.context(lm=lm):
            prediction = module(**inputs)
    except (LMError, AdapterParseError) as error:
        if (stopped := door_error(error)) is not None:
            raise stopped from None
        return None
    text = (prediction.new_instructions or "").strip()
    return (text, (prediction.diagnosis or "").strip()) if text else None


def door_error(error: BaseException | None) -> PromptMigrateError | None:
    """The error of the door that ``error`` was caused by, if any: none of them is a failed call."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, PromptMigrateError):
            return error
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return None


def reflection_lm(problem: Problem) -> Any:
    """The reflection model as a ``dspy.LM`` on the door: no cache, retries or history of DSPy's own."""
    if problem.dspy_lm is not None:
        return problem.dspy_lm(problem.reflection_model, "reflection")
    return dspy.LM(problem.reflection_model, engine=_Engine(problem.reflect), cache=False, num_retries=0)


class _Engine:
    """A DSPy engine over ``Problem.reflect``."""

    def __init__(self, reflect: Callable[[Request], Any]) -> None:
        self._reflect = reflect

    def complete(self, request: Any) -> Any:
        messages = [{"role": "system", "content": _plain(request.system)}] if request.system else []
        messages += [{"role": m.role, "content": _plain(m.parts)} for m in request.messages]
        reply = self._reflect(Request(model=request.model, messages=tuple(messages), purpose="reflection"))
        if not reply.answered or not (reply.text or "").strip():
            raise lm15.ProviderError(reply.error or f"the reflection model gave no answer ({reply.kind})")
        return lm15.Response(
            id="reflection",
            model=request.model,
            message=lm15.Message(role="assistant", parts=(lm15.TextPart(reply.text),)),
            finish_reason="stop",
            usage=lm15.Usage(input_tokens=reply.input_tokens, output_tokens=reply.output_tokens),
        )

    def close(self) -> None:
        return None


def _plain(parts: Any) -> str:
    return parts if isinstance(parts, str) else "".join(getattr(part, "text", "") for part in parts)
