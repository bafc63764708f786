"""Recording: what is kept of a call, and that it arrives in real MLflow stores, once."""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from promptmigrate.errors import CallFailed, RouteError
from promptmigrate.gateway.places import store_uri
from promptmigrate.gateway.record import encode, is_sampled
from promptmigrate.gateway.sections.traces import TraceSettings
from tests.gateway.conftest import Open
from tests.gateway.upstream import Upstream

MAIL = "I am bob@example.com, call +49 170 1234567, card 4111 1111 1111 1111, order 4155552671"
CLEAN = "I am [EMAIL], call [PHONE], card [CARD], order 4155552671"


def rows(folder: Path) -> list[dict[str, Any]]:
    texts = [path.read_text() for path in sorted(folder.rglob("*-*.jsonl"))]
    return [json.loads(line) for text in texts for line in text.split("\n") if line]


def test_a_jsonl_line_is_a_data_row_that_says_everything_about_the_call(
    open_gateway: Open, upstream: Upstream, tmp_path: Path
) -> None:
    gateway = open_gateway(trace={"sink": "jsonl", "folder": "kept"})
    answer = gateway.complete({"text": MAIL}, user="bob", session="s-1")
    assert gateway.flush(20)
    (row,) = rows(tmp_path)
    assert row["inputs"] == {"text": CLEAN}
    assert row["messages"] == [{"role": "system", "content": "Old."}, {"role": "user", "content": CLEAN}]
    assert row["reference"] == f"large: {CLEAN}"
    assert row["group"] == "s-1"
    found = row["metadata"]
    assert found["trace_id"] == answer.trace_id
    assert (found["variant"], found["assigned"], found["fallback"]) == ("production", "production", False)
    assert (found["model"], found["answered_by"], found["provider"]) == ("acme/large", "large-2026", "acme")
    assert (found["revision"], found["prompt_uri"]) == (4, "prompts:/support/3")
    assert found["prompt_digest"] == gateway.route.variants["production"].prompt.digest
    assert (found["input_tokens"], found["output_tokens"], found["kind"]) == (10, 4, "ok")
    assert found["redacted"] == {"email": 2, "phone": 2, "card": 2}
    assert len(found["user"]) == 16
    assert found["user"] != "bob"
    assert found["end_ns"] > found["start_ns"]
    assert gateway.traces.recorded == 1


def test_full_content_is_kept_only_on_request_and_none_means_none(
    open_gateway: Open, upstream: Upstream, tmp_path: Path
) -> None:
    full = open_gateway(trace={"sink": "jsonl", "folder": "full", "content": "full"})
    full.complete({"text": MAIL}, user="bob")
    assert full.flush(20)
    (row,) = rows(tmp_path / "routes" / "full")
    assert row["inputs"] == {"text": MAIL}
    assert row["metadata"]["user"] == "bob"
    none = open_gateway(trace={"sink": "jsonl", "folder": "none", "content": "none"})
    none.complete({"text": MAIL}, user="bob")
    assert none.flush(20)
    (row,) = rows(tmp_path / "routes" / "none")
    assert (row["inputs"], row["messages"], row["reference"]) == ({}, [], None)
    assert "bob" not in json.dumps(row)


def test_a_key_that_comes_back_in_an_answer_is_not_kept(
    open_gateway: Open, upstream: Upstream, tmp_path: Path
) -> None:
    gateway = open_gateway(trace={"sink": "jsonl", "folder": "kept", "content": "full"})
    answer = gateway.complete({"text": "echo test-key-abcdefgh"})
    assert "test-key-abcdefgh" in answer.text
    upstream.plan("large", (401, {}, "bad key test-key-abcdefgh"))
    with pytest.raises(CallFailed):
        gateway.complete({"text": "test-key-abcdefgh"})
    assert gateway.flush(20)
    kept = "".join(path.read_text() for path in tmp_path.rglob("*.jsonl"))
    assert kept.count("\n") == 2
    assert "test-key-abcdefgh" not in kept


def test_failed_and_fallback_calls_are_recorded_for_their_assigned_variant(
    open_gateway: Open, upstream: Upstream, tmp_path: Path
) -> None:
    upstream.plan("small", 503)
    gateway = open_gateway(
        traffic={"production": 0, "candidate": 10000}, retry={"max_attempts": 1},
        fallbacks={"default": ["production"]}, trace={"sink": "jsonl", "folder": "kept"},
    )  # fmt: skip
    gateway.complete({"text": "a"}, user="u")
    upstream.plan("large", 500)
    with pytest.raises(CallFailed):
        gateway.complete({"text": "a"}, user="u")
    assert gateway.flush(20)
    served, failed = (row["metadata"] for row in rows(tmp_path))
    assert (served["assigned"], served["variant"], served["fallback"]) == ("candidate", "production", True)
    assert [step["fault"] for step in served["attempts"]] == ["server", None]
    assert (failed["assigned"], failed["kind"]) == ("candidate", "provider_error")
    assert "got no answer" in failed["error"]


def test_a_sample_is_a_share_of_the_calls(open_gateway: Open, upstream: Upstream, tmp_path: Path) -> None:
    gateway = open_gateway(trace={"sink": "jsonl", "folder": "kept", "sample": 0.5})
    ids = [gateway.complete({"text": "a"}).trace_id for _ in range(60)]
    assert gateway.flush(20)
    assert {row["metadata"]["trace_id"] for row in rows(tmp_path)} == {one for one in ids if one}
    assert 5 < sum(one is not None for one in ids) < 55
    assert is_sampled("f" * 32, 1.0)
    assert not is_sampled("0" * 32, 0.0)


def test_a_long_record_is_cut_to_size_and_says_so() -> None:
    record = {
        "inputs": {"text": "x" * 100_000, "list": ["y" * 50_000]},
        "messages": [{"role": "user", "content": "x" * 100_000}],
        "reference": "z" * 1000,
        "group": "",
        "metadata": {"trace_id": "tr-1"},
    }
    line = encode(record, 10_000)
    cut = json.loads(line)
    assert len(line) <= 10_000
    assert cut["metadata"]["cut"] > 250_000
    assert cut["inputs"]["text"].endswith("[…cut]")
    assert (
        json.loads(encode({**record, "inputs": {f"k{n}": "v" * 99 for n in range(999)}}, 5000))["inputs"]
        == {}
    )
    assert len(record["messages"]) == 1


def test_where_traces_go() -> None:
    assert store_uri(TraceSettings(tracking_uri="http://h:5000")) == "http://h:5000"
    assert store_uri(TraceSettings(tracking_uri="sqlite:////abs/m.db")) == "sqlite:////abs/m.db"
    assert store_uri(TraceSettings(tracking_uri="sqlite:///m.db")) == f"sqlite:///{Path('m.db').resolve()}"


def test_a_store_that_cannot_take_traces_is_refused_at_the_start(
    open_gateway: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "./mlruns")
    with pytest.raises(RouteError, match="traces need an MLflow server"):
        open_gateway(trace={"sink": "mlflow"})


# --- delivery to a server that misbehaves ------------------------------------------------------------------


class Collector:
    """Speaks the two MLflow endpoints that the gateway uses; answers ``/v1/traces`` as told."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.poison = b""
        self.bodies: list[bytes] = []
        self.taken: dict[bytes, str] = {}
        self.headers: list[Any] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *args: Any) -> None:
                pass

            def do_GET(self) -> None:
                self._say(404, b"{}")

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.path.endswith("/experiments/create"):
                    self._say(200, json.dumps({"experiment_id": "7"}).encode())
                    return
                self._say(collector.take(body, self.headers), b"")

            def _say(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.uri = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def take(self, body: bytes, headers: Any) -> int:
        import gzip

        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

        self.headers.append(headers)
        request = ExportTraceServiceRequest.FromString(gzip.decompress(body))
        spans = [span for r in request.resource_spans for s in r.scope_spans for span in s.spans]
        status = self.statuses.pop(0) if self.statuses else 200
        if self.poison and any(self.poison in span.SerializeToString() for span in spans):
            status = 422
        if status == 200:
            for span in spans:
                assert span.trace_id not in self.taken
                self.taken[span.trace_id] = span.name
        self.bodies.append(body)
        return status

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def collector() -> Iterator[Collector]:
    server = Collector()
    yield server
    server.close()


def trace_ids(answers: Sequence[Any]) -> set[bytes]:
    return {bytes.fromhex(answer.trace_id.removeprefix("tr-")) for answer in answers}


def test_traces_go_to_a_server_in_batches_with_the_experiment_in_the_header(
    open_gateway: Open, upstream: Upstream, collector: Collector, tmp_path: Path
) -> None:
    gateway = open_gateway(trace={"tracking_uri": collector.uri, "experiment": "support prod"})
    answers = [gateway.complete({"text": "a"}) for _ in range(30)]
    assert gateway.flush(30)
    assert set(collector.taken) == trace_ids(answers)
    assert len(collector.bodies) < 10
    assert collector.headers[0]["x-mlflow-experiment-id"] == "7"
    assert gateway.close()
    assert not list((tmp_path / "routes" / ".spool").rglob("*.*"))


def test_an_outage_of_the_server_loses_nothing_and_calls_do_not_notice(
    open_gateway: Open, upstream: Upstream, collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    collector.statuses = [503, 500, 429]
    gateway = open_gateway(trace={"tracking_uri": collector.uri})
    with caplog.at_level(logging.WARNING, "promptmigrate.gateway"):
        answers = [gateway.complete({"text": "a"}) for _ in range(3)]
        while collector.statuses:
            gateway.flush(10)
    assert gateway.flush(30)
    assert set(collector.taken) == trace_ids(answers)
    assert gateway.traces.delivered == 3
    assert gateway.traces.last_error is None
    assert "answered 503" in caplog.text


def test_a_server_that_is_down_is_told_and_its_traces_wait_for_the_next_start(
    open_gateway: Open, upstream: Upstream, collector: Collector
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nowhere = f"http://127.0.0.1:{closed.getsockname()[1]}"
    gateway = open_gateway(trace={"tracking_uri": nowhere})
    answers = [gateway.complete({"text": "a"}) for _ in range(5)]
    assert not gateway.close(20)
    assert gateway.traces.delivered == 0
    assert "cannot be reached" in str(gateway.traces.last_error)
    after = open_gateway(trace={"tracking_uri": collector.uri})
    assert after.flush(30)
    assert set(collector.taken) == trace_ids(answers)


def test_a_trace_that_the_server_refuses_is_put_aside_and_the_others_go_through(
    open_gateway: Open, upstream: Upstream, collector: Collector, tmp_path: Path
) -> None:
    collector.poison = b"poison"
    gateway = open_gateway(trace={"tracking_uri": collector.uri})
    answers = [gateway.complete({"text": "poison" if n == 3 else "a"}) for n in range(8)]
    gateway.flush(30)
    assert set(collector.taken) == trace_ids(answers) - trace_ids(answers[3:4])
    assert (gateway.traces.delivered, gateway.traces.refused) == (7, 1)
    (aside,) = tmp_path.rglob("refused.jsonl")
    assert json.loads(aside.read_text())["metadata"]["trace_id"] == answers[3].trace_id


def test_credentials_of_the_server_come_from_the_environment(
    open_gateway: Open, upstream: Upstream, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "tok-123")
    gateway = open_gateway(trace={"tracking_uri": collector.uri})
    gateway.complete({"text": "a"})
    assert gateway.flush(30)
    assert collector.headers[0]["Authorization"] == "Bearer tok-123"


def test_a_reload_that_changes_the_store_delivers_to_both(
    open_gateway: Open, upstream: Upstream, collector: Collector
) -> None:
    second = Collector()
    try:
        gateway = open_gateway(trace={"tracking_uri": collector.uri})
        first_answer = gateway.complete({"text": "a"})
        assert gateway.flush(30)
        text = gateway._file.path.read_text()
        gateway._file.path.write_text(
            text.replace(collector.uri, second.uri).replace("revision: 4", "revision: 5")
        )
        assert gateway.reload()
        second_answer = gateway.complete({"text": "b"})
        assert gateway.close(30)
        assert set(collector.taken) == trace_ids([first_answer])
        assert set(second.taken) == trace_ids([second_answer])
    finally:
        second.close()


def _child(results: Any, gateway: Any) -> None:
    results.put(gateway.complete({"text": "child"}).text)
    gateway.close(20)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_serves_and_records_on_its_own(
    open_gateway: Open, upstream: Upstream, tmp_path: Path
) -> None:
    gateway = open_gateway(trace={"sink": "jsonl", "folder": "kept"})
    gateway.complete({"text": "parent"})
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    child = context.Process(target=_child, args=(results, gateway))
    child.start()
    assert results.get(timeout=30) == "large: child"
    child.join(30)
    assert child.exitcode == 0
    gateway.complete({"text": "parent again"})
    assert gateway.flush(20)
    texts = sorted(row["inputs"]["text"] for row in rows(tmp_path))
    assert texts == ["child", "parent", "parent again"]


# --- real MLflow stores ------------------------------------------------------------------------------------


def check_traces(uri: str, answers: Sequence[Any], *, by_prompt: bool) -> None:
    """Read the traces back with MLflow in a process of its own and check them."""
    code = """
import json, sys, warnings
warnings.simplefilter("ignore")
import mlflow
mlflow.set_tracking_uri(sys.argv[1])
experiment = mlflow.get_experiment_by_name("support-prod").experiment_id
def search(filter_string=None):
    return mlflow.search_traces(
        locations=[experiment], filter_string=filter_string, return_type="list", max_results=500
    )
found = {}
for trace in search():
    span = trace.data.spans[0]
    found[trace.info.trace_id] = {
        "spans": len(trace.data.spans), "inputs": span.inputs, "outputs": span.outputs,
        "state": str(trace.info.state), "tags": trace.info.tags, "metadata": trace.info.trace_metadata,
        "tokens": trace.info.token_usage, "cost": trace.info.cost, "name": span.name,
        "start": trace.info.request_time,
    }
print(json.dumps({
    "traces": found,
    "by_variant": len(search("tags.`promptmigrate.variant` = 'production'")),
    "by_name": len(search("name = 'support'")),
    "by_prompt": len(search("prompt = 'support/3'")),
    "errors": len(search("status = 'ERROR'")),
}))
"""
    environment = {**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True", "MLFLOW_DISABLE_TELEMETRY": "true"}
    shown = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, uri],
        capture_output=True, text=True, check=True, env=environment,
    ).stdout  # fmt: skip
    seen = json.loads(shown.strip().splitlines()[-1])
    traces = seen["traces"]
    assert set(traces) >= {answer.trace_id for answer in answers}
    assert len(traces) == len(answers) + 1
    assert seen["by_variant"] == seen["by_name"] == len(answers) + 1
    assert seen["by_prompt"] == (len(answers) + 1 if by_prompt else 0)
    assert seen["errors"] == 1
    first = traces[answers[0].trace_id]
    assert first["spans"] == 1
    assert first["inputs"] == {
        "variables": {"text": CLEAN},
        "messages": [{"role": "system", "content": "Old."}, {"role": "user", "content": CLEAN}],
    }
    assert first["outputs"] == f"large: {CLEAN}"
    assert first["tokens"] == {"input_tokens": 10, "output_tokens": 4, "total_tokens": 14}
    assert first["cost"]["total_cost"] == pytest.approx(answers[0].cost_usd)
    assert abs(first["start"] / 1000 - time.time()) < 600
    tags, metadata = first["tags"], first["metadata"]
    assert tags["promptmigrate.route"] == "support"
    assert tags["promptmigrate.assigned"] == "production"
    assert tags["promptmigrate.revision"] == "4"
    assert tags["promptmigrate.prompt_digest"].startswith("sha256:")
    assert json.loads(tags["mlflow.linkedPrompts"]) == [{"name": "support", "version": "3"}]
    assert metadata["mlflow.trace.session"] == "s0"
    assert len(metadata["mlflow.trace.user"]) == 16


def call_all(gateway: Any, upstream: Upstream) -> list[Any]:
    answers = [
        gateway.complete({"text": MAIL if n == 0 else f"n {n}"}, user=f"u{n % 3}", session=f"s{n}")
        for n in range(25)
    ]
    upstream.plan("large", 500)
    with pytest.raises(CallFailed):
        gateway.complete({"text": "a"}, user="u")
    return answers


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # MLflow's own, on its libraries
def test_traces_arrive_in_a_sqlite_store_once(open_gateway: Open, upstream: Upstream, tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    gateway = open_gateway(trace={"tracking_uri": uri, "experiment": "support-prod"})
    answers = call_all(gateway, upstream)
    assert gateway.flush(120)
    # Delivering the same records again (a crash before the offset was written) changes nothing.
    from promptmigrate.gateway.ship import DatabaseStore

    store = DatabaseStore(uri)
    store.send([_record(answers[0], gateway)])
    assert gateway.close(30)
    check_traces(uri, answers, by_prompt=True)


def _record(answer: Any, gateway: Any) -> dict[str, Any]:
    """The record of the first call, as its spool line was."""
    variant = gateway.route.variants["production"]
    return {
        "inputs": {"text": CLEAN},
        "messages": list(variant.prompt.prompt.render({"text": CLEAN})),
        "reference": f"large: {CLEAN}",
        "group": "s0",
        "metadata": {
            "trace_id": answer.trace_id, "start_ns": time.time_ns(), "end_ns": time.time_ns() + 10**7,
            "experiment": "support-prod", "route": "support", "revision": 4, "variant": "production",
            "assigned": "production", "fallback": False, "model": "acme/large", "provider": "acme",
            "answered_by": "large-2026", "params": {}, "prompt_digest": variant.prompt.digest,
            "prompt_uri": "prompts:/support/3", "input_tokens": 10, "output_tokens": 4,
            "input_usd": 10 / 1e6, "output_usd": 8 / 1e6, "latency_s": 0.01, "finish_reason": "stop",
            "kind": "ok", "error": None, "attempts": [], "user": "0" * 16, "session": "s0", "redacted": {},
        },
    }  # fmt: skip


@pytest.mark.slow
def test_traces_arrive_at_an_mlflow_server(open_gateway: Open, upstream: Upstream, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True", "MLFLOW_DISABLE_TELEMETRY": "true"}
    command = [
        sys.executable, "-m", "mlflow", "server", "--backend-store-uri", f"sqlite:///{tmp_path}/server.db",
        "--default-artifact-root", str(tmp_path / "artifacts"), "--host", "127.0.0.1", "--port", str(port),
        "--workers", "1",
    ]  # fmt: skip
    with (tmp_path / "server.log").open("wb") as log:
        server = subprocess.Popen(
            command, env=environment, stdout=log, stderr=log, cwd=tmp_path, start_new_session=True
        )
    try:
        uri = f"http://127.0.0.1:{port}"
        gateway = open_gateway(trace={"tracking_uri": uri, "experiment": "support-prod"})
        answers = call_all(gateway, upstream)  # the server is not up yet: the traces wait
        deadline = time.monotonic() + 180
        while not _is_up(uri):
            assert server.poll() is None, (tmp_path / "server.log").read_text()[-2000:]
            assert time.monotonic() < deadline, (tmp_path / "server.log").read_text()[-2000:]
            time.sleep(0.3)
        assert gateway.flush(60), gateway.traces
        assert gateway.traces.delivered == 26
        check_traces(uri, answers, by_prompt=False)
    finally:
        os.killpg(server.pid, 15)
        server.wait(60)


def _is_up(uri: str) -> bool:
    try:
        with urlopen(f"{uri}/health", timeout=2) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def test_a_program_that_ends_without_closing_leaves_its_traces_for_the_next_start(
    open_gateway: Open, upstream: Upstream, tmp_path: Path, collector: Collector
) -> None:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    open_gateway(trace={"tracking_uri": uri}).close()
    code = (
        "import sys; from promptmigrate.gateway import Gateway; "
        "print(*[Gateway(sys.argv[1]).complete({'text': 'a'}).trace_id for _ in range(3)])"
    )
    path = tmp_path / "routes" / "support.yaml"
    ended = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True, timeout=60
    )
    assert "close the gateway before the program ends" in ended.stderr
    assert "Traceback" not in ended.stderr
    gateway = open_gateway(trace={"tracking_uri": collector.uri})
    assert gateway.flush(30)
    assert {f"tr-{one.hex()}" for one in collector.taken} == set(ended.stdout.split())
    # To a server, what is left at the end is delivered on the way out.
    ended = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True, timeout=60
    )
    assert {f"tr-{one.hex()}" for one in collector.taken} >= set(ended.stdout.split())
