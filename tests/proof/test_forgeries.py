"""Forgeries whose hashes fit are found by recomputation, where they are."""

from dataclasses import replace

import pytest

from promptmigrate.proof import verify, write_bundle
from promptmigrate.types import Prompt, Variant
from tests.proof.builder import copy, entries, evidence, forge
from tests.proof.bundles import check, raw


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
    parsed["rules.json"] |= {"test_openings": 2, "test_seen": 1.0}
    parsed["rules.json"] |= {"changed_settings": ["gate.margin (0.09 -> 0.1)"]}


def other_settings(parsed):
    parsed["openings.json"][0]["settings"]["gate"]["margin"] = 0.02


def other_split_opened(parsed):
    parsed["openings.json"][0]["split_digest"] = "sha256:" + "0" * 64


def other_rows_opened(parsed):
    parsed["openings.json"][0]["rows"][0] = "0" * 16


def foreign_opening(parsed):
    other = copy(parsed["openings.json"][0]) | {"run": "other", "split_digest": "sha256:" + "0" * 64}
    parsed["openings.json"].insert(0, other | {"rows": other["rows"][:1]})


def fewer_rows_seen(parsed):
    parsed["rules.json"]["test_seen"] = 0.5


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
    (other_split_opened, "openings.json", "split_digest"),
    (other_rows_opened, "openings.json", "rows[0]"),
    (foreign_opening, "openings.json", ""),
    (fewer_rows_seen, "rules.json", "test_seen"),
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
