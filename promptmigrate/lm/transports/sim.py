"""The simulated provider, in process. Its latency is reported, not waited for."""

from __future__ import annotations

from promptmigrate.errors import CallFailed
from promptmigrate.lm.transports import _chat, _embeddings
from promptmigrate.lm.transports._base import WireError, WireReply, WireRequest


class SimTransport:
    """Asks :mod:`promptmigrate.simulate`."""

    async def send(self, request: WireRequest, /) -> WireReply:
        """Make one attempt.

        Raises:
            WireError: there is no such simulated model, or the request is longer than it can read.
        """
        from promptmigrate.simulate import respond

        if not is_simulated(request.model):
            raise WireError("not_found", f"there is no simulated model 'sim/{request.model}'", status=404)
        if _embeddings.wanted(request.messages):
            raise WireError("bad_request", "the simulated provider has no embedding models", status=400)
        try:
            answer = respond(f"sim/{request.model}", request.messages, request.params)
        except CallFailed as error:
            raise WireError("context_length", str(error), status=error.status) from None
        return _chat.reply(
            text=answer.text,
            finish_reason=answer.finish_reason,
            model=f"sim/{request.model}",
            usage={"prompt_tokens": answer.input_tokens, "completion_tokens": answer.output_tokens},
            messages=request.messages,
            latency_s=answer.latency_s,
        )

    async def aclose(self) -> None:
        """Nothing to close."""


def is_simulated(model: str) -> bool:
    """Whether the simulated provider has ``model`` (its name without ``sim/``)."""
    from promptmigrate.simulate import models

    return f"sim/{model}" in models()
