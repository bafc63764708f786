"""A world's prompt as a DSPy program whose request is the plain prompt, asked of the provider itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import dspy

from benchmarks.worlds import Row, Source, World, messages_of
from benchmarks.worlds.provider import Provider


class Engine:
    """One DSPy attempt is one call of the provider."""

    def __init__(self, provider: Provider, model: str, temperature: float) -> None:
        self._provider, self._model, self._temperature = provider, model, temperature

    def __deepcopy__(self, memo: object) -> Engine:
        return self

    def complete(self, request: Any) -> Any:
        messages = [{"role": "system", "content": _text(request.system)}] if request.system else []
        for message in request.messages:
            role = "system" if message.role == "developer" else message.role
            messages.append({"role": role, "content": _text(message.parts)})
        temperature = request.config.temperature
        params = {"temperature": self._temperature if temperature is None else temperature}
        text = self._provider.chat(self._model, messages, params)
        return dspy.lm15.Response(
            id=None, model=self._model, message=dspy.lm15.Message.assistant([dspy.lm15.TextPart(text)]),
            finish_reason="stop", usage=dspy.lm15.Usage(input_tokens=1, output_tokens=1, total_tokens=2),
        )  # fmt: skip

    def stream(self, request: Any) -> Iterator[Any]:
        yield from dspy.lm15.response_to_events(self.complete(request))

    def close(self) -> None:
        """Nothing to close."""


def _text(parts: Any) -> str:
    return parts if isinstance(parts, str) else "\n".join(part.text for part in parts)


def lm(provider: Provider, model: str, *, temperature: float) -> Any:
    """A ``dspy.LM`` on the provider; no cache, so each call is counted where it is made."""
    return dspy.LM(f"bench/{model}", engine=Engine(provider, model, temperature), cache=False, num_retries=0)


class PlainAdapter(dspy.Adapter):  # type: ignore[misc]
    """Formats a request as the plain prompt."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world

    def format(self, signature: Any, demos: Sequence[Mapping[str, Any]], inputs: Mapping[str, Any]) -> Any:
        return messages_of(
            self.compose(signature.instructions, demos), {k: str(v) for k, v in inputs.items()}
        )

    def parse(self, signature: Any, completion: str) -> dict[str, Any]:
        return {"answer": completion}

    def compose(self, instructions: str, demos: Sequence[Mapping[str, Any]]) -> Source:
        names = self.world.row(10_000).inputs
        turns = [({n: str(d[n]) for n in names}, str(d["answer"])) for d in demos if d.get("answer")]
        return self.world.assemble(instructions, turns)


class PlainPredict(dspy.Predict):  # type: ignore[misc]
    """The one predictor; its adapter is its own."""

    def __init__(self, world: World) -> None:
        fields: dict[str, Any] = {name: (str, dspy.InputField()) for name in world.row(10_000).inputs}
        fields["answer"] = (str, dspy.OutputField())
        super().__init__(dspy.Signature(fields, world.task()))
        self.adapter = PlainAdapter(world)

    def forward(self, **inputs: Any) -> Any:
        with dspy.context(adapter=self.adapter):
            return super().forward(**inputs)


class WorldProgram(dspy.Module):  # type: ignore[misc]
    """Answers a row of a world."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.predict = PlainPredict(world)

    def forward(self, **inputs: Any) -> Any:
        return self.predict(**inputs)

    def source(self) -> Source:
        """The plain prompt that the program is now."""
        return self.predict.adapter.compose(self.predict.signature.instructions, self.predict.demos)


def examples(rows: Iterable[Row]) -> list[Any]:
    return [
        dspy.Example(**row.inputs, answer=row.truth, ref=row.ref).with_inputs(*row.inputs) for row in rows
    ]


def metric(world: World) -> Any:
    """Score and what is said about the answer."""

    def graded(gold: Any, pred: Any, trace: Any = None, pred_name: Any = None, pred_trace: Any = None) -> Any:
        score, said = world.grade(world.row(gold.ref), str(pred.answer))
        return dspy.Prediction(score=score, feedback=said)

    return graded
