"""The run's verdict.json is compared with the bundle beside it."""

import json

import pytest

from promptmigrate.decide import switch_if
from promptmigrate.proof import verify
from tests.proof.builder import copy, entries, evidence, forge
from tests.proof.bundles import KINDS, check, hashed, raw


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

    @pytest.mark.parametrize(
        "name,value", [("table.json", [1, 2]), ("verdict.json", {"rows": 5, "baseline": 1})]
    )
    def test_a_bundle_that_is_not_what_it_should_be_is_no_crash(self, tmp_path, name, value):
        data = forge(entries(raw("several")), lambda parsed: parsed.update({name: value}))
        assert self.told(tmp_path, self.shown(), data)

    def test_the_result_of_another_bundle_says_nothing(self, tmp_path):
        shown = self.shown() | {"bundle": {"path": "other.zip", "digest": "sha256:0"}}
        assert self.told(tmp_path, shown) == set()
