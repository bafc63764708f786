"""The direct transport: every OpenAI-compatible endpoint, over aiohttp."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any

from promptmigrate.errors import UsageError
from promptmigrate.lm.redact import brief
from promptmigrate.lm.transports import _chat, _embeddings
from promptmigrate.lm.transports._base import Fault, Usage, WireError, WireReply, WireRequest
from promptmigrate.lm.transports._http import client_error, environment_proxy, let_go, read
from promptmigrate.lm.transports._sse import EventParser, EventTooLong

if TYPE_CHECKING:
    import aiohttp

    from promptmigrate.lm.endpoints import Endpoint

MAX_BODY_BYTES = 16_000_000
_MAX_ERROR_BYTES = 100_000
CONNECT_S = 10.0
_SAY: Mapping[Fault, str] = {
    "rate_limited": "is limiting the rate of requests",
    "server": "failed",
    "bad_request": "refused the request",
    "context_length": "says the request is longer than the model can read",
    "billing": "says there is no credit left for the key in {key}; add credit and run the same command again",
    "moved": "answers with a redirect, which is not followed; set base_url to the final address",
}


class OpenAITransport:
    """``POST {base_url}/chat/completions``, one attempt each, exactly the parameters given.

    The key goes to this endpoint only (redirects are not followed) and into no message. Belongs to the event
    loop of its first call.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._url = f"{endpoint.base_url}/chat/completions"
        self._session: aiohttp.ClientSession | None = None
        self._headers: tuple[str | None, dict[str, str]] | None = None

    def __repr__(self) -> str:
        return f"OpenAITransport({self._endpoint.base_url!r})"

    async def send(self, request: WireRequest, /) -> WireReply:
        """Make one attempt.

        Raises:
            WireError: it ended without an answer.
            EndpointError: the key is not set.
        """
        started = asyncio.get_running_loop().time()
        embedding = _embeddings.wanted(request.messages)
        url = f"{self._endpoint.base_url}/embeddings" if embedding else self._url
        response, raw = await self._exchange("POST", url, _body(request), request.timeout_s)
        latency_s = asyncio.get_running_loop().time() - started
        if not 200 <= response.status < 300:
            return self._refused(response.status, raw, response.headers, request, latency_s)
        body: Any = None
        try:
            body = json.loads(raw)
            status = _chat.status_inside(body)
            if status is not None:
                return self._refused(status, raw, response.headers, request, latency_s)
            if embedding:
                return _embeddings.read(body, request, latency_s=latency_s)
            return _chat.read_completion(
                body, model=request.model, messages=request.messages, latency_s=latency_s
            )
        except (_chat.BadBody, ValueError, RecursionError) as error:
            raise self._bad_body(error, _chat.usage_of(body)) from None

    async def stream(self, request: WireRequest, /) -> AsyncGenerator[str | WireReply, None]:
        """Make one attempt, giving text as it comes and the whole answer as the last item.

        ``timeout_s`` bounds the time to the end of the stream.

        Raises:
            WireError: it ended without a complete answer, perhaps after some text.
            EndpointError: the key is not set.
        """
        loop = asyncio.get_running_loop()
        started = loop.time()
        deadline = started + request.timeout_s
        response: aiohttp.ClientResponse | None = None
        try:
            async with asyncio.timeout_at(deadline):
                response = await self._start("POST", self._url, _body(request, stream=True))
                if not 200 <= response.status < 300:
                    raw = await read(response, _MAX_ERROR_BYTES) or b""
            if not 200 <= response.status < 300:
                yield self._refused(response.status, raw, response.headers, request, loop.time() - started)
                return
            answer = _chat.StreamedAnswer(request.model)
            async for chunk in self._chunks(response, deadline):
                if text := answer.add(chunk):
                    yield text
            yield answer.reply(messages=request.messages, latency_s=loop.time() - started)
        except _chat.BadBody as error:
            raise self._bad_body(error) from None
        except (OSError, client_error()) as error:
            raise self._broken(error, response is not None, request.timeout_s) from None
        finally:
            let_go(response)

    async def models(self, model: str | None = None, *, timeout_s: float = 10.0) -> tuple[int, Any, str]:
        """``GET {base_url}/models`` or ``/models/{model}``: status, body (None if not JSON), what it says.

        Raises:
            WireError: unreachable, or silent.
            EndpointError: the key is not set.
        """
        from urllib.parse import quote

        path = "/models" if model is None else f"/models/{quote(model, safe='/:@')}"
        response, raw = await self._exchange("GET", self._endpoint.base_url + path, None, timeout_s)
        try:
            body = json.loads(raw)
        except (ValueError, RecursionError):
            body = None
        return response.status, body, brief(_chat.error_text(raw)[0], self._endpoint.secrets())

    async def aclose(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            # Lets the loop run the transports' closing callbacks before it stops.
            await asyncio.sleep(0)
            self._session = None

    # --- one exchange ------------------------------------------------------------------------------------

    async def _exchange(
        self, method: str, url: str, body: bytes | None, timeout_s: float
    ) -> tuple[aiohttp.ClientResponse, bytes]:
        response: aiohttp.ClientResponse | None = None
        try:
            async with asyncio.timeout(timeout_s):
                response = await self._start(method, url, body)
                raw = await read(response, MAX_BODY_BYTES)
        except (OSError, client_error()) as error:
            raise self._broken(error, response is not None, timeout_s) from None
        finally:
            let_go(response)
        if raw is None:
            raise self._error("bad_body", response.status, f"answered with more than {MAX_BODY_BYTES} bytes")
        return response, raw

    async def _start(self, method: str, url: str, body: bytes | None) -> aiohttp.ClientResponse:
        session = self._session or self._open()
        headers = self._header(self._endpoint.key())
        return await session.request(method, url, data=body, headers=headers, allow_redirects=False)

    def _broken(self, error: Exception, answering: bool, timeout_s: float) -> WireError:
        """What it means that an exchange did not come to its end."""
        import aiohttp

        if isinstance(error, aiohttp.ServerTimeoutError):
            return self._error("unreachable", None, f"could not be connected within {CONNECT_S:g} s")
        if isinstance(error, TimeoutError):
            what = "did not finish its answer" if answering else "sent nothing"
            return self._error("slow" if answering else "silent", None, f"{what} within {timeout_s:.3g} s")
        detail = getattr(error, "strerror", None) or str(error) or type(error).__name__
        if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ClientHttpProxyError):
            return self._error("unreachable", None, f"cannot be reached: {detail}")
        return self._error("reset", None, f"broke the connection: {detail}")

    def _open(self) -> aiohttp.ClientSession:
        import aiohttp

        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._endpoint.max_concurrency, ttl_dns_cache=300),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S),
            cookie_jar=aiohttp.DummyCookieJar(),
            proxy=environment_proxy(self._endpoint.base_url),
            trust_env=False,  # which would also take logins from .netrc
        )
        return self._session

    def _header(self, key: str | None) -> dict[str, str]:
        if self._headers is None or self._headers[0] != key:
            headers = {"Content-Type": "application/json", "Accept": "application/json"}
            if key is not None:
                headers["Authorization"] = f"Bearer {key}"
            self._headers = (key, headers)
        return self._headers[1]

    async def _chunks(
        self, response: aiohttp.ClientResponse, deadline: float
    ) -> AsyncIterator[dict[str, Any]]:
        parser = EventParser()
        ended = False
        while not ended:
            # The time limit is set around each read, not around the reader's own work in between.
            async with asyncio.timeout_at(deadline):
                raw = await response.content.readany()
            ended = not raw
            try:
                events = parser.feed(raw) if raw else parser.finish()
            except EventTooLong as error:
                raise _chat.BadBody(str(error)) from None
            for event in events:
                if event.data.strip() == "[DONE]":
                    return
                yield self._chunk(event.type, event.data)

    def _chunk(self, event: str, data: str) -> dict[str, Any]:
        try:
            chunk = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise _chat.BadBody(f"a chunk is not JSON ({error})") from None
        if not isinstance(chunk, dict):
            raise _chat.BadBody("a chunk is not a JSON object")
        if event == "error" or chunk.get("error"):
            message, _ = _chat.error_text(data.encode())
            raise self._error("server", None, f"broke off the answer: {message}")
        return chunk

    # --- what went wrong ---------------------------------------------------------------------------------

    def _refused(
        self, status: int, raw: bytes, headers: Mapping[str, str], request: WireRequest, latency_s: float
    ) -> WireReply:
        """The filtered answer that an error status may stand for; any other is raised."""
        said, text = _chat.error_text(raw)
        fault = _chat.classify(status, text)
        if fault == "filtered":
            return WireReply(
                kind="filtered", text="", model=request.model, finish_reason="content_filter",
                input_tokens=0, output_tokens=0, cost_usd=0.0, latency_s=latency_s, status=status,
            )  # fmt: skip
        key = self._endpoint.key_name
        if fault == "auth":
            what = (
                f"refused the key in {key}"
                if self._endpoint.key_env
                else "wants a key; name it in api_key_env"
            )
        elif fault == "not_found":
            what = f"does not know the model '{request.model}'; check the model's name and base_url"
        else:
            what = _SAY[fault].format(key=key)
        raise self._error(fault, status, what, said, _chat.retry_after_s(headers))

    def _bad_body(self, error: object, usage: Usage | None = None) -> WireError:
        what = f"answered with something that is no chat completion: {error}"
        return self._error("bad_body", 200, what, usage=usage)

    def _error(
        self,
        fault: Fault,
        status: int | None,
        what: str,
        said: str = "",
        retry_after_s: float | None = None,
        usage: Usage | None = None,
    ) -> WireError:
        code = f" ({status})" if status is not None else ""
        quote = f": {said}" if said.strip() else ""
        message = brief(f"{self._endpoint.base_url} {what}{code}{quote}", self._endpoint.secrets(), limit=500)
        return WireError(fault, message, status=status, retry_after_s=retry_after_s, usage=usage)


def _body(request: WireRequest, *, stream: bool = False) -> bytes:
    payload: dict[str, Any] = {
        "model": request.model,
        "messages": list(map(dict, request.messages)),
        **request.params,
    }
    if _embeddings.wanted(request.messages):
        payload = _embeddings.payload(request)
    if stream:
        payload["stream"] = True
        payload["stream_options"] = {"include_usage": True, **(request.params.get("stream_options") or {})}
    try:
        return json.dumps(payload, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"a message or parameter for '{request.model}' cannot be sent as JSON: {error}"
        ) from error
