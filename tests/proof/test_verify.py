"""Whatever is changed in a bundle is found; what cannot be recomputed is said, and no code of it runs."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promptmigrate.errors import DataError
from promptmigrate.proof import verify, write_bundle
from promptmigrate.proof.archive import pack
from promptmigrate.types import Prompt, Variant
from tests.proof.builder import entries, evidence, forge
from tests.proof.bundles import KINDS, check, hashed, raw


@pytest.mark.parametrize("kind", KINDS)
def test_an_honest_bundle_holds(kind, monkeypatch):
    monkeypatch.setattr("socket.socket.connect", None)  # nothing is sent
    report = check(raw(kind))
    assert report.findings == ()
    assert report.verdict == evidence(**KINDS[kind]).verdict.verdict
    again = check(raw(kind), again=True)
    assert again.findings == ()
    assert [note for note in again.notes if "program" not in note] == []
    assert len(again.checked) == len(report.checked) + 1


def test_the_digest_that_was_sealed_elsewhere(tmp_path):
    digest = write_bundle(tmp_path / "b.zip", evidence())
    assert verify(tmp_path / "b.zip", expected_digest=digest).ok
    (finding,) = verify(tmp_path / "b.zip", expected_digest="sha256:" + "0" * 64).findings
    assert "is sealed" in str(finding)


def test_what_is_served_is_what_was_judged():
    candidate = evidence().candidate
    assert check(raw(), served=candidate).ok
    other = Variant(prompt=Prompt.of("Other {{ticket}}"), model=candidate.model)
    (finding,) = check(raw(), served=other).findings
    assert "is not what is served" in str(finding)


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_any_changed_byte_of_any_entry_is_found(data):
    found = entries(raw("judge"))
    name = data.draw(st.sampled_from(sorted(name for name, content in found.items() if content)))
    place = data.draw(st.integers(0, len(found[name]) - 1))
    bit = data.draw(st.integers(0, 7))
    changed = bytearray(found[name])
    changed[place] ^= 1 << bit
    try:
        report = check(pack({**found, name: bytes(changed)}))
    except DataError:
        assert name == "manifest.json"
        return
    assert not report.ok
    assert name == "manifest.json" or report.findings[0].entry == name


@settings(max_examples=25, deadline=None)
@given(st.integers(0, len(raw()) - 1), st.integers(0, 7))
def test_any_changed_byte_of_the_file_is_found(place, bit):
    changed = bytearray(raw())
    changed[place] ^= 1 << bit
    try:
        report = check(bytes(changed))
    except DataError:
        return
    # Only a bit that compression does not read can go unseen, and the sealed digest sees that too.
    assert not report.ok or entries(bytes(changed)) == entries(raw())
    assert report.digest != hashed(raw())


def test_the_prompts_of_a_program_are_checked_and_its_answers_are_said_not_to_be():
    report = check(raw("program"))
    assert any("program" in note for note in report.notes)

    def change(parsed):
        parsed["variants.json"]["candidate"]["components"]["sort"][0]["content"] += " Be quick."
        parsed["variants.json"]["candidate"]["prompt"][0]["content"] += " Be quick."

    changed = check(forge(entries(raw("program")), change))
    assert "candidate.digest" in {finding.field for finding in changed.findings}


class TestJudges:
    def changed(self, change, **options):
        return check(forge(entries(raw("judge")), change), **options)

    def test_a_changed_score_is_found_when_run_again(self):
        def change(parsed):
            line = parsed["test_rows.jsonl"][0]
            line["candidate"][0]["scores"][2]["rationale"] = "because"

        assert self.changed(change).ok, "what a judge said is not recomputed without its reply"
        report = self.changed(change, again=True)
        assert [finding.field for finding in report.findings] == ["candidate[0].scores.equivalence.rationale"]

    def test_a_changed_value_shows_in_the_row_anyway(self):
        def change(parsed):
            score = parsed["test_rows.jsonl"][0]["candidate"][0]["scores"][2]
            score["value"] = 1.0 - score["value"]

        assert "row.candidate" in {finding.field for finding in self.changed(change).findings}

    def test_a_reply_that_is_not_there_is_found_when_run_again(self):
        def change(parsed):
            parsed["calls.jsonl"] = [c for c in parsed["calls.jsonl"] if "judge" not in c["reply"]["model"]]

        assert self.changed(change).ok
        report = self.changed(change, again=True)
        assert {finding.entry for finding in report.findings} == {"calls.jsonl"}
        assert all(finding.where for finding in report.findings)


class TestOwnScorers:
    def bundle(self, spec):
        def change(parsed):
            parsed["scorers.json"][1]["spec"] = spec

        return forge(entries(raw()), change)

    @pytest.mark.parametrize(
        "spec",
        [
            {"use": "bundled_code:check", "name": "exact_match"},
            {"use": "json_match", "name": "exact_match", "compare": {"a": " bundled_code : check "}},
            {"use": "json_match", "name": "exact_match", "compare": {"a": {"use": "bundled_code:check"}}},
        ],
    )
    def test_code_that_a_bundle_names_is_not_run(self, tmp_path, monkeypatch, spec):
        (tmp_path / "bundled_code.py").write_text(
            f"open({str(tmp_path / 'ran')!r}, 'w')\ndef check(output, expected): return 1.0\n"
        )
        monkeypatch.syspath_prepend(tmp_path)
        report = check(self.bundle(spec), again=True)
        assert not (tmp_path / "ran").exists()
        assert any("--own-scorers" in note for note in report.notes)

    def test_it_is_where_its_owner_asks_for_it(self, tmp_path, monkeypatch):
        (tmp_path / "my_code.py").write_text("def exact_match(output, expected): return 1.0\n")
        monkeypatch.syspath_prepend(tmp_path)
        report = check(self.bundle({"use": "my_code:exact_match"}), own_code=True)
        assert any("scores.exact_match.value" in finding.field for finding in report.findings)

    def test_one_that_breaks_leaves_unscored_as_it_does_in_a_run(self, tmp_path, monkeypatch):
        (tmp_path / "my_fragile_code.py").write_text(
            "class Fragile:\n"
            "    name, version = 'exact_match', '1'\n"
            "    def __call__(self, *, output, expected=None, inputs=None, trace=None):\n"
            "        raise KeyError(output)\n"
        )
        monkeypatch.syspath_prepend(tmp_path)
        report = check(self.bundle({"use": "my_fragile_code:Fragile"}), own_code=True)
        told = {finding.field for finding in report.findings}
        assert "candidate[0].scores.exact_match.unscored" in told
        assert "tried.again.scores.exact_match.unscored" in told

    def test_a_scorer_of_another_version_is_said_to_be_one(self):
        def change(parsed):
            parsed["scorers.json"][1]["version"] = "0"

        report = check(forge(entries(raw()), change))
        assert any("version" in note for note in report.notes)


def test_findings_do_not_steer_the_terminal():
    def change(parsed):
        parsed["verdict.json"]["verdict"] = "\x1b[2J\u202eOK"

    report = check(forge(entries(raw()), change))
    text = " ".join(str(finding) for finding in report.findings)
    assert "\x1b" not in text and "\u202e" not in text
    json.dumps(report.to_json())
