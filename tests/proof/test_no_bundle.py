"""What is no bundle is refused, and an entry that cannot be read is a finding."""

import io
import json
import zipfile

import pytest

from promptmigrate.errors import DataError
from promptmigrate.proof import archive, verify
from promptmigrate.proof.archive import pack
from promptmigrate.proof.jsonl import dump
from tests.proof.builder import entries, forge, sealed
from tests.proof.bundles import check, raw


def zipped(**files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as target:
        for name, content in files.items():
            target.writestr(name, content)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        raw()[:-30],
        zipped(**{"a.json": "{}"}),
        zipped(**{"manifest.json": "[]"}),
        zipped(**{"manifest.json": '{"schema": "promptmigrate.bundle/9"}'}),
        zipped(**{"manifest.json": "[" * 100_000}),
    ],
    ids=["empty", "text", "cut", "no manifest", "a list", "a later schema", "deep"],
)
def test_what_is_no_bundle_is_refused(data):
    with pytest.raises(DataError):
        check(data)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        verify(tmp_path / "nothing.zip")
    with pytest.raises(DataError, match="cannot be read"):
        verify(tmp_path)


class TestArchives:
    def test_bombs_are_refused_before_they_are_unpacked(self, monkeypatch):
        monkeypatch.setattr(archive, "MAX_TOTAL_BYTES", 1_000_000)
        with pytest.raises(DataError, match="unpack to more"):
            check(pack({**entries(raw()), "costs.json": b" " * 2_000_000}))
        with pytest.raises(DataError, match="unpack to more"):
            check(pack({f"{n}.json": b"" for n in range(100)}))

    def test_a_size_that_lies_does_not_help(self, monkeypatch):
        packed = bytearray(pack({**entries(raw()), "costs.json": b" " * 50_000}))
        for place in range(len(packed) - 4):
            if packed[place : place + 4] == (50_000).to_bytes(4, "little"):
                packed[place : place + 4] = (10).to_bytes(4, "little")
        assert not check(bytes(packed)).ok

    def test_large_files_are_refused_unread(self, monkeypatch):
        monkeypatch.setattr(archive, "MAX_ARCHIVE_BYTES", 1_000)
        with pytest.raises(DataError, match="more than any bundle"):
            check(raw())

    def test_a_file_without_an_end_is_not_read_to_it(self, tmp_path, monkeypatch):
        monkeypatch.setattr("promptmigrate.proof.archive.MAX_ARCHIVE_BYTES", 1_000)
        (tmp_path / "bundle.zip").symlink_to("/dev/zero")
        with pytest.raises(DataError, match="more than any bundle"):
            verify(tmp_path / "bundle.zip")

    def test_paths_lead_nowhere(self, tmp_path):
        inside = tmp_path / "a" / "b"
        inside.mkdir(parents=True)
        (inside / "bundle.zip").write_bytes(
            pack({**entries(raw()), "../../evil.json": b"{}", "/x.json": b"{}"})
        )
        before = sorted(tmp_path.rglob("*"))
        report = verify(inside / "bundle.zip", again=True)
        assert {f.entry for f in report.findings} == {"../../evil.json", "/x.json"}
        assert sorted(tmp_path.rglob("*")) == before

    @pytest.mark.parametrize("more", [lambda r: r + b"more", lambda r: b"more" + r])
    def test_bytes_that_belong_to_no_entry_are_found(self, more):
        try:
            report = check(more(raw()))
        except DataError:
            return
        assert "belong to no entry" in str(report.findings[0])

    def test_a_bundle_packed_by_others_is_told(self):
        report = check(zipped(**entries(raw())))
        assert [finding.entry for finding in report.findings] == ["(bundle)"]

    def test_missing_and_foreign_entries_are_named(self):
        found = entries(raw())
        found["more.json"] = found.pop("costs.json")
        told = {(finding.entry, finding.problem) for finding in check(pack(found)).findings}
        assert {("costs.json", "is missing"), ("more.json", "does not belong in a bundle")} <= told


def resealed(**changes):
    """A bundle with entries replaced as they are, and hashes that fit."""
    found = {**entries(raw()), **changes}
    manifest = json.loads(found.pop("manifest.json"))
    return pack({**found, "manifest.json": dump(sealed(manifest, found))})


CALL = b'{"key": "%s", "reply": %%s}\n' % (b"0" * 64)


@pytest.mark.parametrize(
    "name,content,message",
    [
        ("rules.json", b'{"margin": 0.1, "margin": 0.5}\n', "twice"),
        ("rules.json", b'{"margin": NaN}\n', "NaN"),
        ("rules.json", b'{"margin": 7}\n', "margin is 7"),
        ("rules.json", b'{"marjin": 0.1}\n', "marjin"),
        ("rules.json", b"[]\n", "not a JSON object"),
        ("scorers.json", b"{}\n", "not a JSON list"),
        ("dataset.jsonl", b"{}\n", "id: field required"),
        ("dataset.jsonl", b"1\n", "not a JSON object"),
        ("test_rows.jsonl", b"\xff\n", "not a JSON text"),
        ("calls.jsonl", b'{"key": "00", "reply": {}}\n', "key"),
        ("verdict.json", b"{" * 90_000, "not a JSON text"),
        ("costs.json", b'{"calls": {}, "usd": 1e999}\n', "larger than any number"),
        ("rules.json", b'{"margin": 0.1, "guardrails": null}\n', "guardrails of the gate's rules"),
        ("calls.jsonl", CALL % b'{"kind": "ok", "latency_s": [1]}', "latency_s"),
        ("calls.jsonl", CALL % b'{"kind": "odd"}', "kind"),
        ("config.json", b'{"endpoints": {"a": {"base_url": 1}}}\n', "endpoints"),
    ],
)
def test_an_entry_that_cannot_be_read_is_a_finding(name, content, message):
    report = check(resealed(**{name: content}))
    assert any(finding.entry == name and message in finding.problem for finding in report.findings)


@pytest.mark.parametrize("place", [-1, 5])
def test_a_place_that_there_is_not(place):
    report = check(forge(entries(raw()), lambda parsed: parsed["manifest.json"].update(place=place)))
    assert "place" in {finding.field for finding in report.findings}


@pytest.mark.parametrize(
    "name,path,value",
    [
        ("config.json", ("gate",), [1]),
        ("manifest.json", ("split", "seed"), 10**400),
        ("manifest.json", ("place",), 10**400),
        ("verdict.json", ("delta",), 10**400),
        ("test_rows.jsonl", (0, "row", "example"), [1]),
        ("test_rows.jsonl", (0, "row", "cluster"), 1),
        ("rules.json", ("scores",), "all"),
    ],
)
def test_a_value_that_breaks_a_check_is_a_finding(name, path, value):
    def change(parsed):
        inner = parsed[name]
        for step in path[:-1]:
            inner = inner[step]
        inner[path[-1]] = value

    assert not check(forge(entries(raw()), change), again=True).ok
