"""The event-stream parser, and streaming through the direct transport."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptmigrate.config import EndpointConfig
from promptmigrate.lm.endpoints import resolve
from promptmigrate.lm.transports import WireError, WireReply, WireRequest
from promptmigrate.lm.transports._sse import MAX_EVENT_CHARS, Event, EventParser, EventTooLong
from promptmigrate.lm.transports.openai import OpenAITransport
from tests.lm.conftest import KEY, Provider, chunks, reset, slow, status


def parse(data: bytes, cuts: list[int] | None = None) -> list[Event]:
    parser = EventParser()
    events = []
    position = 0
    for cut in sorted({cut % (len(data) + 1) for cut in cuts or []}):
        events += parser.feed(data[position:cut])
        position = cut
    return events + parser.feed(data[position:]) + parser.finish()


def test_the_format() -> None:
    stream = (
        b"\xef\xbb\xbf: a comment\n\ndata: one\n\nevent: error\ndata:two\ndata:  three\r\n\r\n"
        b"id: 7\nretry: 10\nnonsense\n\ndata\n\nevent: lost\n\ndata: last"
    )
    assert parse(stream) == [
        Event("message", "one"),
        Event("error", "two\n three"),
        Event("message", ""),
        Event("message", "last"),
    ]


lines = st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=12)
events = st.lists(st.lists(lines, min_size=1, max_size=3), max_size=5)


@given(
    events=events,
    newline=st.sampled_from(["\n", "\r\n", "\r"]),
    cuts=st.lists(st.integers(0, 500), max_size=40),
)
def test_cuts_and_newlines_change_nothing(events: list[list[str]], newline: str, cuts: list[int]) -> None:
    text = "".join(
        f": note{newline}" + "".join(f"data: {line}{newline}" for line in event) + newline for event in events
    )
    expected = [Event("message", "\n".join(event)) for event in events]
    assert parse(text.encode(), cuts) == expected
    assert parse(text.encode(), list(range(len(text.encode())))) == expected


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=20))
def test_any_bytes_are_survived_and_cuts_do_not_matter(data: bytes, cuts: list[int]) -> None:
    assert parse(data, cuts) == parse(data)


def test_an_endless_event_is_refused() -> None:
    for piece in (b"data: " + b"x" * 100_000, b"data: " + b"x" * 100_000 + b"\n"):
        parser = EventParser()
        with pytest.raises(EventTooLong):
            for _ in range(MAX_EVENT_CHARS // 100_000 + 1):
                parser.feed(piece)


# --- through the transport -------------------------------------------------------------------------------


def chunk(text: str | None = None, finish: str | None = None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": {} if text is None else {"content": text}, "finish_reason": finish}
    body = {"model": "served", "choices": [choice], **more}
    return b"data: " + json.dumps(body, ensure_ascii=False).encode() + b"\n\n"


USAGE = b'data: {"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 2}}\n\n'
DONE = b"data: [DONE]\n\n"


async def stream(provider: Provider, timeout_s: float = 5, **params: Any) -> tuple[list[str], WireReply]:
    config = EndpointConfig(base_url=provider.url, api_key_env="ACME_API_KEY")
    transport = OpenAITransport(resolve("acme/m", {"acme": config})[0])
    texts: list[str] = []
    last: WireReply | None = None
    try:
        request = WireRequest(
            model="m",
            messages=[{"role": "user", "content": "hi"}],
            params=params,
            timeout_s=timeout_s,
        )
        async for item in transport.stream(request):
            assert last is None
            if isinstance(item, WireReply):
                last = item
            else:
                texts.append(item)
    finally:
        await transport.aclose()
    assert last is not None
    return texts, last


async def test_a_stream(provider: Provider) -> None:
    whole = chunk("héllo ") + b": ping\n\n" + chunk("wörld") + chunk(None, "stop") + USAGE + DONE
    provider.plan = [chunks(*(whole[i : i + 7] for i in range(0, len(whole), 7)))]
    texts, reply = await stream(provider, temperature=0)
    assert texts == ["héllo ", "wörld"]
    assert (reply.text, reply.kind, reply.model) == ("héllo wörld", "ok", "served")
    assert (reply.input_tokens, reply.output_tokens) == (5, 2)
    assert provider.requests[0]["stream"] is True
    assert provider.requests[0]["stream_options"] == {"include_usage": True}
    assert provider.requests[0]["temperature"] == 0


async def test_a_stream_without_its_end_mark_and_usage(provider: Provider) -> None:
    provider.plan = [chunks(chunk("abcdefgh"), chunk(None, "length"))]
    texts, reply = await stream(provider)
    assert (texts, reply.kind, reply.output_tokens) == (["abcdefgh"], "truncated", 2)


@pytest.mark.parametrize(
    ("handler", "fault"),
    [
        (chunks(chunk("a")), "bad_body"),
        (chunks(chunk("a"), DONE), "bad_body"),
        (chunks(chunk("a"), b"data: {not json\n\n"), "bad_body"),
        (chunks(chunk("a"), b"data: [1]\n\n"), "bad_body"),
        (chunks(chunk("a"), b'event: error\ndata: {"message": "overloaded"}\n\n'), "server"),
        (chunks(chunk("a"), b'data: {"error": {"message": "overloaded"}}\n\n'), "server"),
        (chunks(chunk("a"), chunk("b"), pause=1.0), "slow"),
        (slow(30), "silent"),
        (reset, "reset"),
        (status(429, retry_after="7"), "rate_limited"),
        (status(401), "auth"),
    ],
)
async def test_streams_that_fail(provider: Provider, handler: Any, fault: str) -> None:
    provider.plan = [handler]
    with pytest.raises(WireError) as caught:
        await stream(provider, timeout_s=0.5)
    assert caught.value.fault == fault
    assert KEY not in str(caught.value)
    if fault == "rate_limited":
        assert caught.value.retry_after_s == 7
