"""The key goes to its endpoint and nowhere else."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from promptmigrate.errors import EndpointError
from promptmigrate.lm import Door
from promptmigrate.lm.redact import brief
from tests.lm.conftest import KEY, Provider, answer, ask, raw, status

Opened = Callable[..., Door]
ECHO = f"your header was Authorization: Bearer {KEY} and key {KEY}"


@pytest.mark.parametrize(
    "fault",
    [
        *[status(code, ECHO) for code in (400, 401, 403, 404, 413, 422, 429, 500, 302)],
        raw(ECHO.encode()),
        raw(ECHO.encode(), 500),
        raw(f'{{"error": {{"message": "{KEY}", "code": 500}}}}'.encode()),
    ],
)
def test_no_error_repeats_the_key(
    provider: Provider, opened: Opened, caplog: pytest.LogCaptureFixture, tmp_path: Path, fault: Any
) -> None:
    caplog.set_level(logging.DEBUG)
    provider.default = fault
    door = opened(max_attempts=2, ledger=tmp_path / "ledger", record=tmp_path / "record")
    try:
        said = repr(door.complete(ask()))
    except EndpointError as error:
        said = "".join(traceback.format_exception(error))
    assert provider.headers[0]["Authorization"] == f"Bearer {KEY}"
    door.close()
    written = b"".join(path.read_bytes() for path in tmp_path.iterdir()).decode("utf-8", "replace")
    for text in (said, caplog.text, repr(door), written):
        assert KEY not in text
        assert "SECRET-0123" not in text


def test_a_redirect_does_not_carry_the_key_away(provider: Provider, opened: Opened) -> None:
    other = Provider()
    try:
        provider.default = status(307, location=f"{other.url}/chat/completions")
        with pytest.raises(EndpointError, match="redirect"):
            opened().complete(ask())
        assert other.calls == 0
    finally:
        other.close()


def test_no_key_is_sent_where_none_is_named(
    provider: Provider, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    from promptmigrate.config import EndpointConfig

    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    opened(endpoints={"openai": EndpointConfig(base_url=provider.url)}).complete(ask(model="openai/gpt"))
    assert "Authorization" not in provider.headers[0]


def test_the_environment_does_not_redirect_or_sign(
    provider: Provider, opened: Opened, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password hush")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    provider.default = answer("direct")
    assert opened().complete(ask()).text == "direct"
    assert provider.headers[0]["Authorization"] == f"Bearer {KEY}"


def test_a_proxy_is_used_for_https_and_sees_no_key(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket
    import threading

    from promptmigrate.config import EndpointConfig

    seen: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def refuse() -> None:
            connection, _ = listener.accept()
            with connection:
                seen.append(connection.recv(4096))
                connection.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")

        thread = threading.Thread(target=refuse)
        thread.start()
        monkeypatch.setenv("ACME_API_KEY", KEY)
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{listener.getsockname()[1]}")
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        acme = {"acme": EndpointConfig(base_url="https://api.example.com/v1", api_key_env="ACME_API_KEY")}
        with pytest.raises(EndpointError, match="cannot be reached"):
            opened(endpoints=acme).complete(ask())
        thread.join()
    assert seen[0].startswith(b"CONNECT api.example.com:443")
    assert KEY.encode() not in seen[0]


@pytest.mark.parametrize(
    ("text", "gone"),
    [
        ("key sk-abcd***wxyz is wrong", "wxyz"),
        ("gsk_abcdefghijklmnopqrst1234", "gsk_"),
        ("x " * 5000 + "exact-value", "exact-value"),
        ("exact-value again", "exact-value"),
        ("https://me:hush12345@host/", "hush12345"),
    ],
)
def test_brief_takes_keys_out(text: str, gone: str) -> None:
    line = brief(text, ["exact-value"])
    assert gone not in line
    assert len(line) <= 300


def test_brief_is_one_printable_line() -> None:
    assert brief("a\n\tb\x1b[31m\x00  c") == "a b[31m c"
    assert brief("x" * 400, limit=10) == "x" * 9 + "…"
