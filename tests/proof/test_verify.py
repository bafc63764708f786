"""Whatever is changed in a bundle is found: by hashes, and by recomputation where these were forged too."""

import hashlib
import io
import json
import zipfile
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promptmigrate.decide import switch_if
from promptmigrate.errors import DataError
from promptmigrate.proof import archive, verify, write_bundle
from promptmigrate.proof.archive import pack
from promptmigrate.proof.jsonl import dump
from promptmigrate.types import Prompt, Variant
from tests.proof.builder import copy, entries, evidence, forge, sealed

KINDS = {
    "plain": {},
    "judge": {"judge": True},
    "repeats": {"judge": True, "repeats": 2},
    "recorded": {"rerun": False, "judge": True},
    "several": {"targets": 2},
    "program": {"judge": True, "program": True},
}


@cache
def raw(kind="plain"):
    with TemporaryDirectory() as folder:
        path = Path(folder) / "bundle.zip"
        write_bundle(path, evidence(**KINDS[kind]))
        return path.read_bytes()


def hashed(data):
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def check(data, **options):
    with TemporaryDirectory() as folder:
        path = Path(folder) / "bundle.zip"
        path.write_bytes(data)
        return verify(path, **options)


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


# --- bytes ---------------------------------------------------------------------------------------------


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


# --- forgeries with hashes that fit --------------------------------------------------------------------


def first_wrong(parsed):
    """The first test row that the candidate got wrong."""
    return next(line for line in parsed["test_rows.jsonl"] if line["row"]["candidate"] == 0)


def mended_output(parsed):
    line = first_wrong(parsed)
    expected = next(r for r in parsed["dataset.jsonl"] if r["id"] == line["row"]["example"])["reference"]
    line["candidate"][0]["output"] = expected


def mended_output_and_call(parsed):
    line = first_wrong(parsed)
    before = line["candidate"][0]["output"]
    mended_output(parsed)
    for call in parsed["calls.jsonl"]:
        if call["reply"]["text"] == before:
            call["reply"]["text"] = line["candidate"][0]["output"]


def mended_score(parsed):
    for score in first_wrong(parsed)["candidate"][0]["scores"]:
        score["value"] = 1.0


def mended_row(parsed):
    first_wrong(parsed)["row"]["candidate"] = 1.0


def promoted(parsed):
    parsed["verdict.json"]["verdict"] = "PROMOTE"


def other_interval(parsed):
    parsed["verdict.json"]["interval"][0] += 0.001


def wider_margin(parsed):
    parsed["rules.json"]["margin"] = 0.2


def dropped_row(parsed):
    parsed["test_rows.jsonl"].remove(first_wrong(parsed))


def doubled_row(parsed):
    parsed["test_rows.jsonl"].append(copy(parsed["test_rows.jsonl"][0]))


def moved_row(parsed):
    example = first_wrong(parsed)["row"]["example"]
    next(row for row in parsed["dataset.jsonl"] if row["id"] == example)["split"] = "train"


def other_expectation(parsed):
    line = first_wrong(parsed)
    row = next(row for row in parsed["dataset.jsonl"] if row["id"] == line["row"]["example"])
    row["expectations"] = {"expected_response": line["candidate"][0]["output"]}


def other_inputs(parsed):
    parsed["dataset.jsonl"][0]["inputs"]["ticket"] += " please"


def other_group(parsed):
    parsed["dataset.jsonl"][0]["group"] = "elsewhere"


def other_weight(parsed):
    parsed["dataset.jsonl"][0]["weight"] = 2.0


def other_seed(parsed):
    parsed["manifest.json"]["split"]["seed"] = 4


def swapped_prompts(parsed):
    sides = parsed["variants.json"]
    sides["production"]["prompt"], sides["candidate"]["prompt"] = (
        sides["candidate"]["prompt"],
        sides["production"]["prompt"],
    )


def other_prompt(parsed):
    side = parsed["variants.json"]["candidate"]
    side["prompt"][0]["content"] += " Be quick."
    variant = Variant(prompt=Prompt.of(side["prompt"]), model=side["model"])
    side["prompt_digest"], side["digest"] = variant.prompt.digest, variant.digest
    parsed["openings.json"][0]["candidate_digest"] = variant.digest


def other_model(parsed):
    parsed["variants.json"]["candidate"]["model"] = "sim/triage-large"


def unrecorded_opening(parsed):
    parsed["openings.json"].clear()


def uncounted_openings(parsed):
    parsed["rules.json"]["test_openings"] = 2


def earlier_settings(parsed):
    earlier = copy(parsed["openings.json"][0]) | {"run": "earlier"}
    earlier["settings"]["gate"]["margin"] = 0.02
    parsed["openings.json"].insert(0, earlier)
    parsed["rules.json"] |= {"test_openings": 2, "changed_settings": ["gate.margin (0.09 -> 0.1)"]}


def other_settings(parsed):
    parsed["openings.json"][0]["settings"]["gate"]["margin"] = 0.02


def cheaper_row(parsed):
    parsed["test_rows.jsonl"][0]["row"]["candidate_cost_usd"] = 0.0


def other_slice(parsed):
    parsed["test_rows.jsonl"][0]["row"]["slices"]["tenant"] = "t9"


def other_config(parsed):
    parsed["config.json"]["gate"]["margin"] = 0.2


def other_scorer(parsed):
    parsed["scorers.json"][1]["spec"] = {"use": "contains", "name": "exact_match"}


def other_scorer_weight(parsed):
    parsed["scorers.json"][1]["weight"] = 0.0001


def undeclared_judge(parsed):
    parsed["scorers.json"][1]["asks"] = True


def missing_score(parsed):
    parsed["test_rows.jsonl"][0]["candidate"][0]["scores"].pop()


def hidden_failure(parsed):
    """A wrong answer declared to be an outage, so that its row does not count."""
    line = first_wrong(parsed)
    line["candidate"][0].update(kind="timeout", output=None, error="60 s", scores=[])
    line["row"].update(candidate=None, candidate_cost_usd=None, candidate_latency_s=None)


def broken(parsed, how="swapped"):
    """What the scorers said of the first answer that is broken so."""
    line = parsed["test_rows.jsonl"][0]
    return line, next(one for one in line["tried"] if one["how"] == how)


def flipped_broken_score(parsed):
    _, tried = broken(parsed)
    tried["scores"][0]["value"] = 1.0 - tried["scores"][0]["value"]


def flipped_broken_score_and_row(parsed):
    """Of the answer that stands in another row's place, with all that follows."""
    line, tried = broken(parsed)
    for score in tried["scores"]:
        score["value"] = 1.0 - score["value"]
        line["row"]["trial_scores"][score["name"]]["swapped"] = score["value"]
    line["row"]["trials"]["swapped"] = 1.0 - line["row"]["trials"]["swapped"]


def flipped_broken_quality(parsed):
    parsed["test_rows.jsonl"][0]["row"]["trials"]["emptied"] = 1.0


def flipped_broken_score_of_row(parsed):
    parsed["test_rows.jsonl"][0]["row"]["trial_scores"]["label_match"]["emptied"] = 1.0


def another_answer_in_its_place(parsed):
    line, tried = broken(parsed)
    tried["of"] = line["row"]["example"]


def unbroken(parsed):
    line, tried = broken(parsed)
    line["tried"].remove(tried)


def never_broken(parsed):
    """As if the scorers had not been tried at all."""
    for line in parsed["test_rows.jsonl"]:
        line["tried"] = []
        line["row"].update(trials={}, trial_scores={})


def scorer_spared(parsed):
    """As if a scorer had needed a model."""
    parsed["scorers.json"][0]["alone"] = False


FORGERIES = [
    (flipped_broken_score, "test_rows.jsonl", "tried.swapped.scores.label_match.value"),
    (flipped_broken_score_and_row, "test_rows.jsonl", "tried.swapped.scores.exact_match.value"),
    (flipped_broken_quality, "test_rows.jsonl", "row.trials.emptied"),
    (flipped_broken_score_of_row, "test_rows.jsonl", "row.trial_scores.label_match.emptied"),
    (another_answer_in_its_place, "test_rows.jsonl", "tried"),
    (unbroken, "test_rows.jsonl", "tried"),
    (never_broken, "test_rows.jsonl", "tried"),
    (scorer_spared, "scorers.json", "label_match.alone"),
    (mended_output, "test_rows.jsonl", "candidate[0].output"),
    (mended_output_and_call, "test_rows.jsonl", "candidate[0].scores"),
    (mended_score, "test_rows.jsonl", "candidate[0].scores"),
    (mended_row, "test_rows.jsonl", "row.candidate"),
    (promoted, "verdict.json", "verdict"),
    (other_interval, "verdict.json", "interval[0]"),
    (wider_margin, "rules.json", "margin"),
    (dropped_row, "test_rows.jsonl", ""),
    (doubled_row, "test_rows.jsonl", ""),
    (moved_row, "dataset.jsonl", "split"),
    (other_expectation, "manifest.json", "digests.dataset"),
    (other_inputs, "dataset.jsonl", "inputs"),
    (other_group, "manifest.json", "digests.dataset"),
    (other_weight, "manifest.json", "digests.dataset"),
    (other_seed, "dataset.jsonl", "split"),
    (swapped_prompts, "variants.json", "production.prompt_digest"),
    (other_prompt, "calls.jsonl", ""),
    (other_model, "variants.json", "candidate.digest"),
    (unrecorded_opening, "openings.json", ""),
    (uncounted_openings, "rules.json", "test_openings"),
    (earlier_settings, "rules.json", "changed_settings[0]"),
    (other_settings, "openings.json", "settings.gate.margin"),
    (cheaper_row, "test_rows.jsonl", "row.candidate_cost_usd"),
    (other_slice, "test_rows.jsonl", "row.slices.tenant"),
    (other_config, "manifest.json", "digests.config"),
    (other_scorer, "test_rows.jsonl", "scores.exact_match"),
    (other_scorer, "scorers.json", "exact_match.spec.use"),
    (other_scorer_weight, "scorers.json", "exact_match.weight"),
    (undeclared_judge, "scorers.json", "exact_match.asks"),
    (missing_score, "test_rows.jsonl", "candidate[0].scores"),
    (hidden_failure, "test_rows.jsonl", "candidate[0].kind"),
]


@pytest.mark.parametrize("change,entry,field", FORGERIES, ids=[f[0].__name__ for f in FORGERIES])
def test_a_forgery_with_fitting_hashes_is_found_where_it_is(change, entry, field):
    report = check(forge(entries(raw()), change))
    told = [f for f in report.findings if f.entry == entry and field in f.field]
    assert told, [str(finding) for finding in report.findings]
    assert not any("SHA-256" in finding.problem for finding in report.findings)


def test_the_row_that_was_changed_is_named():
    def change(parsed):
        change.example = first_wrong(parsed)["row"]["example"]
        mended_row(parsed)

    report = check(forge(entries(raw()), change))
    assert change.example in {finding.where for finding in report.findings}


def test_a_candidate_that_quotes_a_test_row_is_found(tmp_path):
    given = evidence()
    ticket = given.examples[3].inputs["ticket"]
    prompt = Prompt.of(
        [
            {"role": "user", "content": ticket},
            {"role": "assistant", "content": "billing"},
            {"role": "user", "content": "{{ticket}}"},
        ]
    )
    quoted = replace(given, candidate=Variant(prompt=prompt, model=given.candidate.model))
    write_bundle(tmp_path / "b.zip", quoted)
    told = [finding for finding in verify(tmp_path / "b.zip").findings if "quotes" in finding.problem]
    assert [finding.where for finding in told] == [given.examples[3].id]


def test_a_candidate_may_quote_train_rows(tmp_path):
    given = evidence()
    shown = given.dataset.split("train")[0].inputs["ticket"]
    prompt = Prompt.of(f"For example, {shown} is billing.\n{{{{ticket}}}}")
    write_bundle(
        tmp_path / "b.zip", replace(given, candidate=Variant(prompt=prompt, model=given.candidate.model))
    )
    assert not any("quotes" in finding.problem for finding in verify(tmp_path / "b.zip").findings)


class TestOtherCandidates:
    """Those that were decided together with this one."""

    def changed(self, change):
        return check(forge(entries(raw("several")), change))

    def test_a_changed_number_of_a_row_is_found_in_its_row(self):
        def change(parsed):
            line = parsed["others.jsonl"][4]
            change.example = line["row"]["example"]
            line["row"]["candidate"] = 1.0 - line["row"]["candidate"]

        told = [f for f in self.changed(change).findings if f.entry == "others.jsonl"]
        assert [(f.where, f.field.split()[-1]) for f in told] == [(change.example, "row.candidate")]

    def test_a_changed_score_with_its_row_is_found_by_its_answer(self):
        def change(parsed):
            line = next(line for line in parsed["others.jsonl"] if line["row"]["candidate"] == 0)
            change.example = line["row"]["example"]
            for score in line["answers"][0]["scores"]:
                score["value"] = 1.0
            line["row"].update(candidate=1.0)
            line["row"]["scores"] = {name: [b, 1.0] for name, (b, _) in line["row"]["scores"].items()}

        told = [f for f in self.changed(change).findings if f.entry == "others.jsonl"]
        assert {f.where for f in told} == {change.example}
        assert all("scores" in f.field for f in told)

    def test_a_mended_answer_is_found_by_its_recorded_reply(self):
        def change(parsed):
            parsed["others.jsonl"][0]["answers"][0]["output"] = "billing  "

        told = [f for f in self.changed(change).findings if f.entry == "others.jsonl"]
        assert any(f.field.endswith("[0].output") for f in told)

    def test_the_table_of_all_candidates_is_recomputed(self):
        def change(parsed):
            parsed["table.json"][1]["verdict"]["candidate"]["score"] = 0.99

        (finding,) = self.changed(change).findings
        assert (finding.entry, finding.field) == ("table.json", "table[1].verdict.candidate.score")

    def test_a_row_that_was_left_out_is_found(self):
        assert not self.changed(lambda parsed: parsed["others.jsonl"].pop(3)).ok

    def test_another_prompt_is_found(self):
        def change(parsed):
            parsed["variants.json"]["others"][0]["prompt"][0]["content"] += " Be quick."

        assert "others[0].digest" in {finding.field for finding in self.changed(change).findings}


class TestCosts:
    """A forger who makes everything fit but tokens and prices."""

    def cheaper(self, parsed, side="candidate"):
        line = parsed["test_rows.jsonl"][2]
        answer = line[side][0]
        before, after = answer["cost_usd"], answer["cost_usd"] / 2
        (call,) = [
            c
            for c in parsed["calls.jsonl"]
            if (c["reply"]["cost_usd"], c["reply"]["latency_s"]) == (before, answer["latency_s"])
        ]
        call["reply"]["cost_usd"] = answer["cost_usd"] = after
        line["row"]["candidate_cost_usd" if side == "candidate" else "baseline_cost_usd"] = after
        return line["row"]["example"]

    @pytest.mark.parametrize("side", ["production", "candidate"])
    def test_a_cost_that_is_changed_everywhere_is_not_that_of_its_tokens(self, side):
        def change(parsed):
            change.example = self.cheaper(parsed, side)

        told = [f for f in check(forge(entries(raw()), change)).findings if f.entry == "test_rows.jsonl"]
        assert [(f.where, f.field) for f in told] == [(change.example, f"{side}[0].cost_usd")]

    def test_a_changed_price_is_not_that_of_the_model(self):
        def change(parsed):
            parsed["costs.json"]["prices"]["sim/triage-small"]["output_per_mtok"] /= 2

        told = {(f.entry, f.field) for f in check(forge(entries(raw()), change)).findings}
        assert ("costs.json", "prices.sim/triage-small.output_per_mtok") in told

    def test_prices_that_were_taken_out_are_said_not_to_be_there(self):
        report = check(forge(entries(raw()), lambda parsed: parsed["costs.json"].update(prices={})))
        assert any("sim/triage-small" in note for note in report.notes)

    def test_the_parts_of_the_spending_make_up_the_whole(self):
        report = check(forge(entries(raw()), lambda parsed: parsed["costs.json"].update(usd=0.5)))
        assert [(f.entry, f.field) for f in report.findings] == [("costs.json", "usd")]

    def test_what_a_provider_states_itself_is_kept_as_it_is(self, tmp_path):
        dear = {model: replace(price, input_per_mtok=9.0) for model, price in evidence().prices.items()}
        write_bundle(tmp_path / "b.zip", replace(evidence(), prices=dear))
        report = verify(tmp_path / "b.zip")
        assert report.ok
        assert any("costs of" in note for note in report.notes)


class TestBesideTheRun:
    """verdict.json of the run: what people and tables read."""

    def shown(self, kind="several"):
        given = evidence(**KINDS[kind])
        verdict = given.verdict.to_json()
        rows = [given.verdict, *(verdict for _, _, verdict in given.others)]
        names = ("score", "interval", "cost_per_call_usd", "p95_latency_s")
        return copy(
            {
                **verdict,
                "warnings": ["of the data"],
                "rows": {"train": 30, **verdict["rows"]},
                "spend": {**given.costs, "seconds": 3.0},
                "bundle": {"path": "runs/x/bundle.zip", "digest": hashed(raw(kind))},
                "targets": [
                    {
                        **{k: v for k, v in one.to_json().items() if k not in ("candidate", "baseline")},
                        "model": model,
                        "switch_if": switch_if(model, one),
                        "joint_interval": one.to_json()["joint"]["interval"],
                        "candidate": {k: v for k, v in one.to_json()["candidate"].items() if k in names},
                    }
                    for one, model in zip(rows, ["sim/triage-small", "sim/triage-tiny"], strict=True)
                ],
            }
        )

    def told(self, folder, shown, data=None):
        (folder / "bundle.zip").write_bytes(raw("several") if data is None else data)
        (folder / "verdict.json").write_text(json.dumps(shown))
        report = verify(folder / "bundle.zip")
        return {f.field for f in report.findings if f.entry == "verdict.json beside it"}

    def test_what_is_true_holds(self, tmp_path):
        assert self.told(tmp_path, self.shown()) == set()

    @pytest.mark.parametrize(
        "path",
        [
            ("candidate", "cost_per_call_usd"),
            ("baseline", "p95_latency_s"),
            ("delta",),
            ("rows", "test"),
            ("targets", 1, "candidate", "score"),
            ("targets", 1, "delta"),
            ("targets", 0, "candidate", "p95_latency_s"),
            ("targets", 0, "cost_ratio", "value"),
            ("targets", 1, "p95_latency_ratio", "value"),
            ("spend", "usd"),
            ("spend", "calls", "task"),
        ],
    )
    def test_a_changed_number_is_named(self, tmp_path, path):
        shown = self.shown()
        inner = shown
        for step in path[:-1]:
            inner = inner[step]
        inner[path[-1]] = (inner[path[-1]] or 0) + 0.5
        (field,) = self.told(tmp_path, shown)
        assert field.endswith(str(path[-1]))

    def test_a_bundle_in_which_everything_fits_is_not_the_one_that_was_sealed(self, tmp_path):
        def change(parsed):
            parsed["openings.json"][0]["at"] = "2020-01-01T00:00:00+00:00"

        forged = forge(entries(raw("several")), change)
        assert check(forged).ok
        assert self.told(tmp_path, self.shown(), forged) == {"bundle.digest"}

    def test_the_result_of_another_bundle_says_nothing(self, tmp_path):
        shown = self.shown() | {"bundle": {"path": "other.zip", "digest": "sha256:0"}}
        assert self.told(tmp_path, shown) == set()


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


def leaves(value, path=()):
    if isinstance(value, dict):
        for key in sorted(value):
            yield from leaves(value[key], (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from leaves(item, (*path, index))
    else:
        yield path


def altered(value):
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1 if value == int(value) else value * 1.001
    return "other" if value is None else f"{value}x"


FREE = ("costs.json", "calls.jsonl")
"""Entries that are recorded facts: of a forger who refits the seals too, what follows is checked only."""


def lines(parsed, name):
    """What can be changed in an entry as a whole: its rows or values."""
    return list(parsed[name]) if isinstance(parsed[name], dict) else list(range(len(parsed[name])))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_change_of_a_number_row_or_text_is_found_and_named(data):
    """Whatever the entry, costs, latencies and other candidates among them; the manifest's hashes fit."""
    kind = data.draw(st.sampled_from(["judge", "several", "recorded", "repeats"]))
    found = entries(raw(kind))
    free = ("manifest.json", "seals.json")
    name = data.draw(st.sampled_from(sorted(n for n, content in found.items() if content and n not in free)))
    deed = data.draw(st.sampled_from(["value", "swap", "drop", "double"]))

    def change(parsed):
        entry = parsed[name]
        places = lines(parsed, name)
        one = data.draw(st.sampled_from(places))
        if deed == "value" or isinstance(entry, dict):
            inner = entry
            place = data.draw(st.sampled_from(list(leaves(entry))))
            for step in place[:-1]:
                inner = inner[step]
            inner[place[-1]] = altered(inner[place[-1]])
        elif deed == "swap":
            other = data.draw(st.sampled_from(places))
            for key in ("row", "candidate", "reply", "reference", "answers", "metadata", "at"):
                if key in entry[one]:
                    entry[one][key], entry[other][key] = entry[other][key], entry[one][key]
        elif deed == "drop":
            del entry[one]
        else:
            entry.append(copy(entry[one]))

    before = {n: content for n, content in found.items() if n not in free}
    changed = forge(found, change, seals=False)
    if {n: content for n, content in entries(changed).items() if n not in free} == before:
        return  # two equal rows, or parts of them, changed places
    report = check(changed)
    assert name in {finding.entry for finding in report.findings}
    named = [f for f in report.findings if f.entry == name and "seal" in f.problem]
    assert named and all(finding.where for finding in named)


def test_a_seal_that_was_changed_is_found():
    def change(parsed):
        parsed["seals.json"]["costs.json"]["usd"] = "0" * 64

    (finding,) = check(forge(entries(raw()), change, seals=False)).findings
    assert (finding.entry, finding.where) == ("costs.json", "usd")


def test_the_seal_names_a_judges_reply_that_nothing_else_looks_at():
    def change(parsed):
        call = next(c for c in parsed["calls.jsonl"] if "judge" in c["reply"]["model"])
        change.key = call["key"]
        call["reply"]["latency_s"] += 1

    (finding,) = check(forge(entries(raw("judge")), change, seals=False)).findings
    assert (finding.entry, finding.where) == ("calls.jsonl", change.key)


def test_a_flipped_row_is_named_by_its_example_even_where_the_hashes_do_not_fit():
    found = entries(raw())
    rows = found["test_rows.jsonl"].split(b"\n")
    rows[7] = rows[7].replace(b'"kind":"ok"', b'"kind":"truncated"')
    report = check(pack({**found, "test_rows.jsonl": b"\n".join(rows)}))
    assert json.loads(rows[7])["row"]["example"] in {finding.where for finding in report.findings}


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_any_changed_value_is_found_although_the_hashes_fit(data):
    found = entries(raw())
    name = data.draw(
        st.sampled_from(
            sorted(name for name, content in found.items() if content and name not in (*FREE, "seals.json"))
        )
    )

    def change(parsed):
        place = data.draw(st.sampled_from(list(leaves(parsed[name]))))
        change.place = place
        inner = parsed[name]
        for step in place[:-1]:
            inner = inner[step]
        inner[place[-1]] = altered(inner[place[-1]])

    try:
        report = check(forge(found, change))
    except DataError:
        return  # no bundle any more
    place = change.place
    free = (
        place[0] in ("versions", "entries")  # of the manifest: entries are made anew by the forger
        or place[-1] in ("at", "max_concurrency")  # when, and how fast: neither changes a result
        or (name == "scorers.json" and place[1] == "version")  # noted: it is another scorer than today's
    )
    assert free or not report.ok, place


# --- what is no bundle ---------------------------------------------------------------------------------


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


def test_a_value_that_breaks_a_check_is_a_finding():
    def change(parsed):
        parsed["config.json"]["gate"] = [1]

    assert not check(forge(entries(raw()), change)).ok


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
