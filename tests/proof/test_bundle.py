import json
from dataclasses import replace

import pytest

from promptmigrate.errors import StorageError
from promptmigrate.harvest import splits
from promptmigrate.proof import verify, write_bundle
from promptmigrate.proof.archive import pack, unpack
from promptmigrate.proof.identity import bucket
from promptmigrate.proof.shapes import ENTRIES
from tests.proof.builder import entries, evidence, forge


@pytest.fixture
def raw(tmp_path):
    write_bundle(tmp_path / "bundle.zip", evidence(judge=True))
    return (tmp_path / "bundle.zip").read_bytes()


def test_it_holds_json_only_and_everything_that_is_promised(raw):
    found = entries(raw)
    assert sorted(found) == sorted([*ENTRIES, "manifest.json"])
    for name, data in found.items():
        for line in data.decode().splitlines() if name.endswith(".jsonl") else [data.decode()]:
            json.loads(line)


def test_the_same_evidence_gives_the_same_bytes(raw, tmp_path):
    digest = write_bundle(tmp_path / "again.zip", evidence(judge=True))
    assert (tmp_path / "again.zip").read_bytes() == raw
    assert verify(tmp_path / "again.zip", expected_digest=digest).ok


def test_it_tells_no_more_than_the_dataset_does(raw, tmp_path):
    text = b"".join(entries(raw).values()).decode()
    assert "OTHER_KEY" in text, "keys are named"
    assert "agent-4711" not in text, "metadata that no slice is cut by stays outside"
    plain = evidence()
    key = "sk-proj-" + "a1B2c3D4" * 6
    config = {**plain.config, "source": {"model": "sim/triage-large", "params": {"api_key": key}}}
    write_bundle(tmp_path / "keyed.zip", replace(plain, config=config))
    assert key not in b"".join(entries((tmp_path / "keyed.zip").read_bytes()).values()).decode()
    report = verify(tmp_path / "keyed.zip")
    assert report.ok
    assert any("redacted" in note for note in report.notes)


def test_judges_replies_are_among_the_calls_and_nobody_is_asked(raw):
    calls = [json.loads(line) for line in entries(raw)["calls.jsonl"].splitlines()]
    answers = len(evidence(judge=True).rows) * 2
    assert len(calls) > answers, "task and judge replies"
    assert {call["reply"]["kind"] for call in calls} == {"ok"}


def test_a_judge_that_failed_is_recorded_as_failed(tmp_path):
    write_bundle(tmp_path / "b.zip", replace(evidence(judge=True), recall=lambda request: None))
    calls = [
        json.loads(line) for line in entries((tmp_path / "b.zip").read_bytes())["calls.jsonl"].splitlines()
    ]
    assert "no answer was recorded" in {call["reply"]["error"] for call in calls}
    assert verify(tmp_path / "b.zip").ok
    again = verify(tmp_path / "b.zip", again=True)
    assert not again.ok, "the sealed scores of the judge rest on nothing"


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError):
        write_bundle(tmp_path / "file" / "bundle.zip", evidence())


def test_packing_is_read_back(tmp_path):
    given = {"b.json": b"{}" * 5_000, "a.jsonl": b"", "c.json": bytes(range(256))}
    (tmp_path / "x.zip").write_bytes(pack(given))
    _, archive = unpack(tmp_path / "x.zip")
    assert archive.entries == given and not archive.damaged and not archive.foreign
    assert entries(pack(given)) == given, "and by the standard library"


def test_the_split_is_read_as_harvest_makes_it():
    for cluster in ("", "s1", "ä", "\ud800"):
        for seed in (0, 7):
            assert bucket(cluster, seed=seed) == splits.bucket(cluster, seed=seed)


def test_a_bundle_of_another_version_is_read_as_far_as_it_can_be(raw, tmp_path):
    def change(parsed):
        parsed["manifest.json"]["versions"]["promptmigrate"] = "0.0.1"
        parsed["config.json"]["an_older_key"] = 1

    (tmp_path / "b.zip").write_bytes(forge(entries(raw), change))
    report = verify(tmp_path / "b.zip")
    assert report.ok
    assert any("another version" in note for note in report.notes)
