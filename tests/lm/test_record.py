"""Recording a run and giving it again, bit for bit, without any connection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from promptmigrate.config import EndpointConfig, PriceConfig
from promptmigrate.errors import EndpointError, StorageError
from promptmigrate.lm import Door
from promptmigrate.types import Reply
from tests.lm.conftest import Provider, answer, ask, lines, raw, status

Opened = Callable[..., Door]
PRICES = {"acme/large": PriceConfig(input_per_mtok=0.3, output_per_mtok=0.7)}


def _requests() -> list[Any]:
    return [ask(f"q{i}", params={"temperature": i / 10}, repeat=i % 2) for i in range(12)]


async def _run(door: Door, model: str = "acme/large") -> list[Reply]:
    return await asyncio.gather(*(door.acomplete(replace(r, model=model)) for r in _requests()))


def test_replay_bit_for_bit(
    provider: Provider, opened: Opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider.plan = [answer("é\u2028\ud83d\ude00\n", finish_reason="length"), status(400, "bad"), raw(b"{}")]
    record = tmp_path / "record.jsonl"
    with opened(record=record, prices=PRICES, max_attempts=1) as door:
        first = door.run(_run(door))
        assert {reply.kind for reply in first} == {"ok", "truncated", "provider_error", "parse_error"}
    assert len(lines(record)) == 12
    calls = provider.calls
    monkeypatch.delenv("ACME_API_KEY")  # no key is needed
    for options in (
        {"replay": record},
        {"replay": record, "cache": None, "record": tmp_path / "again.jsonl"},
    ):
        with opened(**options) as door:
            door.preflight(["acme/large"])
            again = door.run(_run(door))
            assert again == [replace(reply, cached=True, attempts=0) for reply in first]
            assert door.spend.usd == 0
            assert door.spend.calls["task"] == 0
            assert door.spend.cached == 10
    assert provider.calls == calls
    assert provider.gets == []
    assert sorted((tmp_path / "again.jsonl").read_text().splitlines()) == sorted(
        record.read_text().splitlines()
    )


def test_replay_by_model_name(provider: Provider, opened: Opened, tmp_path: Path) -> None:
    record = tmp_path / "record.jsonl"
    with opened(record=record) as door:
        first = door.run(_run(door))
    with opened(replay=record) as door:
        assert [r.text for r in door.run(_run(door, "replay/acme/large"))] == [r.text for r in first]
    with opened(cache=None) as door:
        model = f"replay/{record}/acme/large"
        door.preflight([model])
        assert [r.text for r in door.run(_run(door, model))] == [r.text for r in first]
        assert door.price("replay/openai/gpt-4.1") is not None
    assert provider.calls == 12


def test_what_is_not_recorded_is_named(provider: Provider, opened: Opened, tmp_path: Path) -> None:
    record = tmp_path / "record.jsonl"
    with opened(record=record) as door:
        door.complete(ask("known"))
    door = opened(replay=record)
    with pytest.raises(EndpointError, match=r"no reply of 'acme/large' \(repeat 3, .*'unknown'"):
        door.complete(ask("unknown", repeat=3))
    assert provider.calls == 1


def test_answers_from_the_cache_are_recorded_too(provider: Provider, opened: Opened, tmp_path: Path) -> None:
    record = tmp_path / "record.jsonl"
    opened().complete(ask())
    with opened(record=record) as door:
        for _ in range(3):
            door.complete(ask())
    assert len(lines(record)) == 1
    assert opened(replay=record).complete(ask()).text == "echo: hi"


def test_a_recording_goes_on_after_a_crash(provider: Provider, opened: Opened, tmp_path: Path) -> None:
    record = tmp_path / "record.jsonl"
    provider.plan = [status(400)]
    with opened(record=record) as door:
        door.complete(ask("a"))
        door.complete(ask("b"))
    with record.open("a") as file:
        file.write('{"key":"00ab","repl')  # killed in the middle of a line
    with opened(record=record) as door:
        door.complete(ask("a"))
        door.complete(ask("b"))
    door = opened(replay=record)
    assert door.complete(ask("a")).kind == "ok"  # an answer goes before a failure
    assert door.complete(ask("b")).kind == "ok"


def test_recordings_that_cannot_be_used(opened: Opened, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="no recording at"):
        opened(replay=tmp_path / "none.jsonl")
    with pytest.raises(StorageError, match="no recording at"):
        opened().complete(ask(model=f"replay/{tmp_path}/none.jsonl/acme/large"))
    (tmp_path / "bad.jsonl").write_text("{}\nnonsense\n{}\n")
    with pytest.raises(StorageError, match=r"bad\.jsonl, line 1 is not a recorded reply"):
        opened(replay=tmp_path / "bad.jsonl")
    with pytest.raises(StorageError, match="recording"):
        opened(record=tmp_path)


def test_a_file_without_any_reply_is_no_recording(opened: Opened, tmp_path: Path) -> None:
    path = tmp_path / "garbage.jsonl"
    path.write_text("not a recording\n")
    with pytest.raises(StorageError, match="holds no recorded reply"):
        opened(replay=path)


def test_another_address_is_another_recording(provider: Provider, opened: Opened, tmp_path: Path) -> None:
    record = tmp_path / "record.jsonl"
    with opened(record=record) as door:
        door.complete(ask())
    elsewhere = {"acme": EndpointConfig(base_url="https://elsewhere.example/v1")}
    with pytest.raises(EndpointError, match="has no reply"):
        opened(replay=record, endpoints=elsewhere).complete(ask())
