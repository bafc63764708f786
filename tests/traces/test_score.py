"""promptmigrate traces score: on a real store, with a real endpoint for judges."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from promptmigrate.config import EndpointConfig
from promptmigrate.errors import ConfigError, DataError, EndpointError, StorageError, UsageError
from promptmigrate.traces import ScoreJob, ScoringFile, load_scoring, score
from promptmigrate.traces.store import TraceStore, rank
from scorers import Score, from_spec
from tests.harvest.conftest import tracked
from tests.lm.conftest import Provider, answer, completion, status
from tests.traces.conftest import feedback, log, make_store


@pytest.fixture
def provider() -> Iterator[Provider]:
    server = Provider()
    server.default = verdict
    yield server
    server.close()


async def verdict(_: web.Request, body: Any) -> web.StreamResponse:
    """A judge that likes billing."""
    material = body["messages"][-1]["content"]
    said = (
        "CORRECT" if "illing" in material.split("EXPECTED")[0] + material.split("OUTPUT")[1] else "INCORRECT"
    )
    return web.json_response(completion(f"Because. VERDICT: {said}"))


def job(uri: str, *specs: Any, **options: Any) -> ScoreJob:
    scoring = ScoringFile(
        scorers=tuple(from_spec(spec) for spec in specs), endpoints=options.pop("endpoints", {})
    )
    return ScoreJob(experiment="prod", scoring=scoring, tracking_uri=uri, **options)


def judged(uri: str, provider: Provider, **options: Any) -> ScoreJob:
    """A job with a judge that has to ask about three of the four rows with an expectation."""
    endpoints = {"acme": EndpointConfig(base_url=provider.url, check_models=False)}
    spec = {"use": "correctness", "judge": "acme/judge", "cascade": False}
    return job(uri, spec, endpoints=endpoints, **options)


def test_scores_become_assessments_that_tell_where_they_come_from(uri: str) -> None:
    report = score(job(uri, "label_match"))
    assert (report.traces, report.written, report.present) == (6, 4, 0)
    assert report.unscored == {"label_match: no_expected": 1}
    assert report.skipped == {"the call failed": 1}
    found = feedback(uri)
    assert {ticket: [item.value for item in items] for ticket, items in found.items() if items} == {
        "charged twice": [1.0],
        "it crashes": [0.0],
        "cannot log in": [1.0],
        "refund please": [1.0],
    }
    item = found["it crashes"][0]
    assert (item.name, item.source.source_type) == ("label_match", "CODE")
    assert item.source.source_id == "scorers/label_match@1"
    assert item.rationale == "expected 'technical', got 'billing'"
    assert item.metadata["scorers.spec_hash"].startswith("sha256:")
    assert json.loads(item.metadata["scorers.evidence"]) == {"kind": "other_answer"}
    assert found["hello"] == found["x"] == found["from evaluate"] == []


def test_the_summary_is_by_prompt_version_and_model(uri: str) -> None:
    first = score(job(uri, "label_match")).summary
    assert [(row["prompt"], row["model"], row["traces"]) for row in first] == [
        ("triage/1", "large", 2),
        ("triage/2", "small", 3),
    ]
    assert first[0]["scores"]["label_match"] == {"mean": 0.5, "scored": 2, "unscored": {}}
    assert first[1]["scores"]["label_match"] == {"mean": 1.0, "scored": 2, "unscored": {"no_expected": 1}}
    assert score(job(uri, "label_match")).summary == first


def test_a_second_run_adds_nothing_and_another_spec_does(uri: str) -> None:
    score(job(uri, "label_match"))
    before = feedback(uri)
    again = score(job(uri, "label_match"))
    assert (again.written, again.present) == (0, 4)
    after = feedback(uri)
    assert {t: [i.assessment_id for i in items] for t, items in after.items()} == {
        t: [i.assessment_id for i in items] for t, items in before.items()
    }
    strict = score(job(uri, {"use": "label_match", "strict": True}))
    assert (strict.written, strict.present) == (4, 0)
    assert [item.value for item in feedback(uri)["refund please"]] == [1.0, 0.0]


def test_new_traces_are_scored_by_the_next_run(uri: str) -> None:
    score(job(uri, "label_match"))
    with tracked(uri, "prod") as mlflow:
        log(mlflow, "new one", "bug", "bug", "2", "small")
    assert score(job(uri, "label_match")).written == 1


def test_sampling_is_deterministic_and_nested(uri: str) -> None:
    store = TraceStore("prod", uri)

    def chosen(**options: Any) -> list[str]:
        settings = {"since": None, "until": None, "filter_string": None, "sample": None, "limit": None}
        return [info.trace_id for info in store.infos(**{**settings, **options})]

    everything = chosen()
    assert len(everything) == 6
    assert chosen(sample=0.5) == [t for t in everything if rank(t) < 0.5]
    three = chosen(limit=3)
    assert set(three) == set(sorted(everything, key=rank)[:3])
    assert three == [t for t in everything if t in three]
    assert set(chosen(limit=2)) < set(three)
    assert chosen(limit=100) == everything


def test_a_window_and_a_filter(uri: str) -> None:
    assert score(job(uri, "label_match", since="1999-01-01", until="1999-02-01")).traces == 0
    assert score(job(uri, "label_match", filter_string="status = 'ERROR'")).traces == 1
    with pytest.raises(DataError, match="filter is refused by MLflow"):
        score(job(uri, "label_match", filter_string="nonsense ="))


def test_pages_by_time_without_doubling(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scorers._mlflow_traces.PAGE", 2)
    assert score(job(uri, "label_match")).written == 4


def test_a_judge_asks_through_the_door_and_is_paid_once(uri: str, provider: Provider, tmp_path: Path) -> None:
    cache = tmp_path / "calls.sqlite"
    report = score(judged(uri, provider, cache=cache))
    assert (report.written, report.calls, provider.calls) == (4, 4, 4)
    item = feedback(uri)["charged twice"][0]
    assert item.source.source_type == "LLM_JUDGE"
    assert item.metadata["scorers.judge"] == "acme/judge"
    assert item.metadata["mlflow.assessment.judgeInputTokens"] == "11"
    again = score(judged(uri, provider, cache=cache))
    assert (again.written, again.present, provider.calls) == (0, 4, 4)


def test_a_failed_judge_leaves_nothing_and_is_asked_again(
    uri: str, provider: Provider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("promptmigrate.lm.attempts.backoff_s", lambda attempt: 0.01)
    good = provider.default
    provider.default = answer("no verdict at all")
    first = score(judged(uri, provider))
    assert (first.written, first.unscored) == (0, {"correctness: off_menu": 4, "correctness: no_expected": 1})
    provider.default = status(500)
    second = score(judged(uri, provider))
    assert second.unscored == {"correctness: judge_failed": 4, "correctness: no_expected": 1}
    assert all(items == [] for items in feedback(uri).values())
    provider.default = good
    assert score(judged(uri, provider)).written == 4


def test_a_budget_ends_the_run_with_what_was_written(uri: str, provider: Provider) -> None:
    report = score(judged(uri, provider, budget_calls=2))
    assert report.stopped is not None and "2 calls" in report.stopped
    assert (report.written, report.calls) == (2, 2)
    assert sum(len(items) for items in feedback(uri).values()) == 2
    rest = score(judged(uri, provider))
    assert (rest.written, rest.present, rest.stopped) == (2, 2, None)


def test_recorded_and_replayed(uri: str, provider: Provider, tmp_path: Path, filled: Path) -> None:
    tape = tmp_path / "tape.jsonl"
    score(judged(uri, provider, record=tape))
    copy = tmp_path / "copy.db"
    copy.write_bytes(filled.read_bytes())
    replayed = score(judged(f"sqlite:///{copy}", provider, replay=tape))
    assert (replayed.written, replayed.calls, provider.calls) == (4, 0, 4)


def test_a_broken_plug_in_leaves_its_traces_unscored(uri: str) -> None:
    spec = {"use": "tests.traces.test_score:Fragile"}
    report = score(job(uri, spec))
    assert report.unscored == {"fragile: error": 1}
    assert report.written == 4


class Fragile:
    """A plug-in without a spec that breaks on one output."""

    name = "fragile"
    version = "3"

    def __call__(self, *, output: Any, expected: Any = None, inputs: Any = None, trace: Any = None) -> Score:
        if output == "chat":
            raise RuntimeError("cannot")
        return Score(name=self.name, version=self.version, value=0.25)


def test_nothing_is_sent_before_what_is_wrong_is_said(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DataError, match=r"'prodd' does not exist.*did you mean 'prod'"):
        score(ScoreJob(experiment="prodd", scoring=load_scoring("label_match"), tracking_uri=uri))
    with pytest.raises(StorageError, match="does not exist"):
        score(ScoreJob(experiment="e", scoring=load_scoring("label_match"), tracking_uri="sqlite:///no.db"))
    with pytest.raises(UsageError, match="--sample must be above 0"):
        score(job(uri, "label_match", sample=0))
    with pytest.raises(UsageError, match="--limit must be at least 1"):
        score(job(uri, "label_match", limit=0))
    with pytest.raises(UsageError, match="--since 'yesterday'"):
        score(job(uri, "label_match", since="yesterday"))
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(EndpointError, match="OPENAI_API_KEY"):
        score(job(uri, {"use": "correctness", "judge": "openai/gpt-5-mini"}))


# --- scorers from the command line and from files


def test_names_and_a_judge_for_those_that_need_one() -> None:
    found = load_scoring("label_match, correctness", judge="acme/judge").scorers
    assert [scorer.name for scorer in found] == ["label_match", "correctness"]
    assert found[1].model == "acme/judge"  # type: ignore[attr-defined]
    with pytest.raises(ConfigError, match="correctness asks a model"):
        load_scoring("label_match,correctness")
    with pytest.raises(ConfigError, match="option 'guidelines' needs at least one text"):
        load_scoring("guidelines", judge="acme/judge")
    with pytest.raises(ConfigError, match="did you mean 'label_match'"):
        load_scoring("label_mach")
    with pytest.raises(ConfigError, match="no scorer is given"):
        load_scoring(" , ")
    with pytest.raises(ConfigError, match="two scorers have the same name"):
        load_scoring("label_match,label_match")


def test_a_scorers_file(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(
        "scorers:\n  - label_match\n"
        "  - {use: correctness, judge: acme/j, params: {temperature: 0}, weight: 2}\n"
        "endpoints:\n  acme: {base_url: https://llm.example.com/v1}\n"
        "prices:\n  acme/j: {input_per_mtok: 1, output_per_mtok: 2}\n"
    )
    found = load_scoring(str(path))
    assert [scorer.name for scorer in found.scorers] == ["label_match", "correctness"]
    assert found.endpoints["acme"].base_url == "https://llm.example.com/v1"
    assert found.params == {"correctness": {"temperature": 0}}
    path.write_text("- {use: label_match, labels: [a, b]}\n")
    assert load_scoring(str(path)).scorers == (from_spec({"use": "label_match", "labels": ["a", "b"]}),)


def test_an_experiment_file_will_do(tmp_path: Path) -> None:
    path = tmp_path / "e.yaml"
    text = (
        "name: x\nprompt: {text: 'Sort {{ticket}}'}\ntargets: [{model: acme/small}]\n"
        "data: {traces: {file: calls.jsonl}}\ngate: {margin: 0.05}\n"
        "endpoints: {acme: {base_url: 'https://llm.example.com/v1'}}\n"
    )
    path.write_text(text + "scorers: [{use: label_match}, {use: correctness, judge: acme/j}]\n")
    found = load_scoring(str(path))
    assert [scorer.name for scorer in found.scorers] == ["label_match", "correctness"]
    assert list(found.endpoints) == ["acme"]
    path.write_text(text)
    with pytest.raises(ConfigError, match="'auto' is chosen from a dataset"):
        load_scoring(str(path))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("scorers: 3", "a list of scorers"),
        ("scorers: [label_match]\nmodels: []", "there is no key 'models'"),
        ("scorers: [label_match]\nendpoints: {a: {base: x}}", "base: Extra inputs"),
        ("scorers: [{labels: [a]}]", "a scorer needs 'use'"),
        ("scorers: []", "no scorer is given"),
        ("a: [", "not valid YAML"),
    ],
)
def test_a_wrong_file_is_told(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(text)
    with pytest.raises(UsageError, match=told):
        load_scoring(str(path))


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_scoring(str(tmp_path / "none.yaml"))


# --- the command


def command(*arguments: str, folder: Path, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "promptmigrate", "traces", "score", *arguments],
        capture_output=True, text=True, cwd=folder, check=False, **options,
    )  # fmt: skip


def test_the_command(uri: str, tmp_path: Path) -> None:
    given = ("--experiment", "prod", "--tracking-uri", uri, "--scorers", "label_match,contains")
    done = command(*given, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert "6 traces of prod: 8 assessments written" in done.stderr
    assert "triage/2" in done.stderr
    again = command(*given, "--json", "-q", folder=tmp_path)
    told = json.loads(again.stdout)
    assert (told["written"], told["present"], told["stopped"]) == (0, 8, None)
    wrong = command("--experiment", "prod", "--tracking-uri", uri, "--scorers", "x", folder=tmp_path)
    assert wrong.returncode == 2
    assert wrong.stderr.startswith("promptmigrate: --scorers: scorers.0: there is no scorer 'x'")


def test_an_unknown_price_is_said_and_a_known_one_is_told(
    uri: str, provider: Provider, tmp_path: Path, filled: Path
) -> None:
    file = tmp_path / "s.yaml"
    text = (
        "scorers: [{use: correctness, judge: acme/judge, cascade: false}]\n"
        f"endpoints: {{acme: {{base_url: '{provider.url}', check_models: false}}}}\n"
    )
    given = ("--experiment", "prod", "--scorers", str(file), "--tracking-uri")
    file.write_text(text)
    done = command(*given, uri, "--json", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["calls"] == told["usd_unknown_calls"] == 4
    assert told["usd"] is None
    copies = []
    for name in ("one.db", "two.db"):
        copy = tmp_path / name
        copy.write_bytes(filled.read_bytes())
        copies.append(f"sqlite:///{copy}")
    unknown = command(*given, copies[0], "--runs", "other", folder=tmp_path)
    assert "price unknown" in unknown.stderr and "$" not in unknown.stderr
    file.write_text(text + "prices: {acme/judge: {input_per_mtok: 1000, output_per_mtok: 1000}}\n")
    priced = command(*given, copies[1], "--runs", "third", "--json", folder=tmp_path)
    assert json.loads(priced.stdout)["usd"] > 0


@pytest.mark.slow
def test_a_killed_run_goes_on(tmp_path: Path, provider: Provider) -> None:
    """Killed without warning while a slow judge answers: no value is lost, doubled or paid twice."""
    uri = make_store(tmp_path)
    with tracked(uri, "prod") as mlflow:
        for number in range(40):
            log(mlflow, f"ticket {number}", "billing", f"billing {number}", "1", "large")

    async def slowly(request: web.Request, body: Any) -> web.StreamResponse:
        import asyncio

        await asyncio.sleep(0.02)
        return await verdict(request, body)

    provider.default = slowly
    file = tmp_path / "s.yaml"
    file.write_text(
        "scorers: [{use: correctness, judge: acme/judge}]\n"
        f"endpoints: {{acme: {{base_url: '{provider.url}', check_models: false, max_concurrency: 1}}}}\n"
    )
    given = ["--experiment", "prod", "--tracking-uri", uri, "--scorers", str(file), "--json", "-q"]
    running = subprocess.Popen(
        [sys.executable, "-m", "promptmigrate", "traces", "score", *given],
        cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while provider.calls < 8 and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    asked = provider.calls
    assert 8 <= asked < 40
    done = command(*given, folder=tmp_path)
    told = json.loads(done.stdout)
    assert told["written"] + told["present"] == 40
    # one question was under way; those that were answered are in the cache or on their trace
    assert provider.calls <= 40 + 2
    found = feedback(uri)
    assert sorted(len(items) for items in found.values()) == [1] * 40


def test_two_runs_at_the_same_time_double_nothing(uri: str, provider: Provider, tmp_path: Path) -> None:
    """Of one host the second is refused; of two hosts, the later one sees what the earlier has written."""
    given = judged(uri, provider, cache=tmp_path / "runs" / "calls.sqlite")
    refused: list[str] = []

    async def meanwhile(request: web.Request, body: Any) -> web.StreamResponse:
        if not refused:
            provider.default = verdict
            try:
                await asyncio.to_thread(score, given)
            except StorageError as error:
                refused.append(str(error))
        return await verdict(request, body)

    provider.default = meanwhile
    assert score(given).written == 4
    assert re.match("another process scores traces of 'prod' with correctness; wait for it", refused[0])
    assert score(given).present == 4
    assert sorted(len(items) for items in feedback(uri).values() if items) == [1] * 4


def test_what_another_host_scored_since_the_run_began_is_left_alone(
    uri: str, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = TraceStore.infos

    def late(store: TraceStore, **window: Any) -> Any:
        infos = found(store, **window)
        monkeypatch.setattr(TraceStore, "infos", found)
        assert score(judged(uri, provider)).written == 4
        return infos

    monkeypatch.setattr(TraceStore, "infos", late)
    report = score(judged(uri, provider))
    assert (report.written, report.present, report.calls) == (0, 4, 0)
