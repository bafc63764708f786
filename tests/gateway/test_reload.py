"""Hot reload: the good is taken up at once, the bad never."""

from __future__ import annotations

import re
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from promptmigrate.errors import RouteError
from promptmigrate.files import atomic_write, dump_yaml
from promptmigrate.gateway import Gateway
from tests.gateway.conftest import FakeTime, Open, route_data
from tests.gateway.upstream import Upstream


def rewrite(gateway: Gateway, upstream: Upstream, **changes: Any) -> None:
    atomic_write(gateway._file.path, dump_yaml(route_data(upstream.url, **changes)))


def test_a_new_revision_is_taken_up_within_a_second_without_being_told(
    open_gateway: Open, upstream: Upstream, fake: FakeTime
) -> None:
    gateway = open_gateway(fake.clock)
    rewrite(gateway, upstream, revision=5, traffic={"production": 0, "candidate": 10000})
    assert gateway.complete({"text": "a"}, user="u").revision == 4  # not looked at more than once a second
    fake.now += 1.01
    answer = gateway.complete({"text": "a"}, user="u")
    assert (answer.revision, answer.variant) == (5, "candidate")


def test_the_kill_switch_in_the_file_needs_no_new_revision(open_gateway: Open, upstream: Upstream) -> None:
    gateway = open_gateway(traffic={"production": 0, "candidate": 10000})
    assert gateway.complete({"text": "a"}, user="u").variant == "candidate"
    rewrite(gateway, upstream, traffic={"production": 0, "candidate": 10000}, state="killed")
    assert gateway.reload()
    assert gateway.complete({"text": "a"}, user="u").variant == "production"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lambda text: text + "x: [", "not valid YAML"),
        (lambda text: text[: len(text) // 2], "route.yaml|support.yaml"),
        (lambda text: "", "must be a mapping"),
        (lambda text: text.replace("10000", "9999"), "add up to 9999"),
        (lambda text: text.replace("New: ", "Newer: "), "does not match its digest"),
        (lambda text: text.replace("revision: 4", "revision: 3"), "revision 3 is older than the one served"),
        (lambda text: text.replace("route: support", "route: other"), "now for route 'other'"),
        (lambda text: text.replace("revision: 4", "revision: 4\nrevision: 5"), "appears twice"),
        (lambda text: text + "surprise: 1\n", "unknown key 'surprise'"),
        (lambda text: text.replace("GATEWAY_TEST_KEY", "NO_SUCH_KEY_SET"), "NO_SUCH_KEY_SET"),
        (lambda text: text.replace("acme/small", "acme/sm all"), "must be provider/model"),
        (lambda text: "\x00", "not valid YAML"),
    ],
)
def test_a_bad_file_leaves_the_last_good_route_in_use(
    open_gateway: Open, upstream: Upstream, content: Any, message: str
) -> None:
    gateway = open_gateway()
    path = gateway._file.path
    good = path.read_text()
    path.write_text(content(good))
    assert not gateway.reload()
    error = gateway.last_reload_error
    assert isinstance(error, RouteError)
    assert re.search(message, str(error))
    assert gateway.complete({"text": "a"}).revision == 4
    path.write_text(good.replace("revision: 4", "revision: 5"))
    assert gateway.reload()
    assert gateway.last_reload_error is None
    assert gateway.complete({"text": "a"}).revision == 5


def test_a_file_that_is_gone_or_unreadable_is_no_outage(open_gateway: Open, upstream: Upstream) -> None:
    gateway = open_gateway()
    content = gateway._file.path.read_bytes()
    gateway._file.path.unlink()
    assert not gateway.reload()
    assert "cannot be read" in str(gateway.last_reload_error)
    assert gateway.complete({"text": "a"}).revision == 4
    gateway._file.path.write_bytes(content)
    assert not gateway.reload()  # the same route as before
    assert gateway.last_reload_error is None


def test_a_change_within_the_clock_tick_of_the_last_one_is_seen(
    open_gateway: Open, upstream: Upstream
) -> None:
    import os

    gateway = open_gateway()
    path = gateway._file.path
    stamp = path.stat()
    path.write_text(path.read_text().replace("revision: 4", "revision: 5"))
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert gateway.reload()
    assert gateway.route.revision == 5


def test_calls_in_flight_keep_their_revision(open_gateway: Open, upstream: Upstream) -> None:
    upstream.plan("large", "hang")
    gateway = open_gateway()
    answers: list[Any] = []
    thread = threading.Thread(target=lambda: answers.append(gateway.complete({"text": "a"}, user="u")))
    thread.start()
    deadline = time.monotonic() + 25
    while not upstream.seen and time.monotonic() < deadline:
        time.sleep(0.01)
    rewrite(gateway, upstream, revision=9, traffic={"production": 0, "candidate": 10000})
    assert gateway.reload()
    assert gateway.complete({"text": "b"}, user="u").revision == 9
    upstream.let_go()
    thread.join(25)
    assert (answers[0].revision, answers[0].variant) == (4, "production")


def test_a_reload_forgets_neither_open_breakers_nor_connections(
    open_gateway: Open, upstream: Upstream, fake: FakeTime
) -> None:
    upstream.plan("small", 503)
    rules: dict[str, Any] = {
        "traffic": {"production": 0, "candidate": 10000},
        "fallbacks": {"default": ["production"]},
        "retry": {"max_attempts": 1},
        "breaker": {"failures": 1},
    }
    gateway = open_gateway(fake.clock, **rules)
    gateway.complete({"text": "a"}, user="u")
    assert upstream.count("small") == 1
    rewrite(gateway, upstream, revision=5, **rules)
    assert gateway.reload()
    assert gateway.complete({"text": "a"}, user="u").fallback
    assert upstream.count("small") == 1


def test_a_wrong_file_at_the_start_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "r.yaml"
    with pytest.raises(RouteError, match="cannot be read"):
        Gateway(path)
    path.write_text(dump_yaml(route_data()))
    monkeypatch.delenv("GATEWAY_TEST_KEY")
    with pytest.raises(RouteError, match=r"variant 'production'.*GATEWAY_TEST_KEY"):
        Gateway(path)
    data = route_data()
    del data["variants"]["candidate"]["endpoint"]
    monkeypatch.setenv("GATEWAY_TEST_KEY", "k")
    path.write_text(dump_yaml(data))
    with pytest.raises(RouteError, match="variant 'candidate': no endpoint for model 'acme/small'"):
        Gateway(path)
