from dataclasses import replace

import numpy as np
import pytest

from promptmigrate.decide import Rules, decide, slices_of
from promptmigrate.types import Example
from tests.decide.paired import counts, paired


def tagged(rows, **slices):
    return [replace(row, slices=slices) for row in rows]


def world(german_broken, german=80, english=400, **fields):
    """English holds; of the German rows so many break."""
    rows = tagged(counts(english - 4, fixed=2, broken=2), language="en")
    rows += tagged(counts(german - german_broken, broken=german_broken), language="de")
    return [replace(row, example=str(n), cluster=str(n), **fields) for n, row in enumerate(rows)]


def found(verdict, value):
    (one,) = [one for one in verdict.slices if one.value == value]
    return one


class TestVerdict:
    def test_a_slice_that_breaks_is_named_though_the_mean_is_fine(self):
        verdict = decide(world(16), Rules(margin=0.08))
        assert verdict.verdict == "PROMOTE"
        german = found(verdict, "de")
        assert (german.status, german.rows, german.fixed, german.broken) == ("worse", 80, 0, 16)
        assert german.delta == pytest.approx(-0.2) and german.interval.high < -0.08
        assert found(verdict, "en").status == "holds"
        assert verdict.warnings[0].startswith("Slice language=de breaks: 16 of 80 rows broken")
        assert verdict.to_json()["slices"][0]["value"] == "de"

    def test_and_blocks_where_the_rules_say_so(self):
        verdict = decide(world(16), Rules(margin=0.08, slices="block"))
        assert verdict.verdict == "REJECT"
        assert verdict.reasons[0].startswith("Slice language=de breaks")

    def test_a_suspect_slice_neither_rejects_nor_passes(self):
        rules = Rules(margin=0.08, slices="block")
        verdict = decide(world(10), rules)
        assert found(verdict, "de").status == "suspect"
        assert verdict.verdict == "INCONCLUSIVE"
        assert verdict.reasons[0].startswith("Slice language=de may break")
        reported = decide(world(10), replace(rules, slices="report"))
        assert reported.verdict == "PROMOTE"
        assert any("may break" in warning for warning in reported.warnings)

    def test_an_open_slice_does_not_block_and_is_no_alarm(self):
        verdict = decide(world(1, german=40), Rules(margin=0.08, slices="block"))
        assert found(verdict, "de").status == "open"
        assert verdict.verdict == "PROMOTE"
        assert not any("language=de" in warning for warning in verdict.warnings)

    @pytest.mark.parametrize("broken", [0, 1])
    def test_a_slice_with_too_few_rows_is_said_to_be_unjudgeable_where_one_broke(self, broken):
        verdict = decide(world(broken, german=8), Rules(margin=0.08, slices="block"))
        assert found(verdict, "de").status == "too_few"
        assert found(verdict, "de").p_worse is None
        assert verdict.verdict == "PROMOTE"
        warnings = [w for w in verdict.warnings if "cannot be judged" in w]
        assert len(warnings) == broken
        assert all("language=de (1 of 8 rows)" in w for w in warnings)

    def test_but_eight_broken_rows_of_eight_do_not_pass(self):
        verdict = decide(world(8, german=8, english=600), Rules(margin=0.08, slices="block"))
        assert found(verdict, "de").status == "suspect"
        assert verdict.verdict == "INCONCLUSIVE"

    def test_a_slice_of_one_tenant_who_is_one_group_is_unjudgeable(self):
        rows = [
            replace(r, cluster="one" if r.slices["language"] == "de" else r.cluster)
            for r in world(8, german=40)
        ]
        assert found(decide(rows, Rules(margin=0.08)), "de").status == "too_few"

    def test_among_many_fine_slices_one_is_seldom_accused(self):
        """150 gates of 12 slices that all lose the margin: 2.5 % nominal, above 6 % by chance in 1 %."""
        rng = np.random.default_rng(1)
        from promptmigrate.decide.slices import judge_slices

        accused = 0
        for _ in range(150):
            rows = [
                paired(n, 1.0, float(rng.random() >= 0.1), slices={"tenant": str(n % 12)}) for n in range(480)
            ]
            judged = judge_slices(rows, Rules(margin=0.1), confidence=0.95)
            accused += any(one.status == "worse" for one in judged)
        assert accused / 150 <= 0.06


def example(number, text="Where is my parcel?", expected="shipping", **metadata):
    inputs = {"text": f"{text}"}
    return Example(
        id=str(number), inputs=inputs, expectations={"expected_response": expected}, metadata=metadata
    )


class TestSlicesOf:
    def test_label_is_the_expected_class(self):
        examples = [example(n, expected="Billing" if n % 2 else "bug") for n in range(10)]
        assert slices_of(examples, ["label"])["1"] == {"label": "billing"}

    def test_free_texts_are_no_labels(self):
        examples = [example(n, expected=f"An answer of its own, number {n}") for n in range(10)]
        assert slices_of(examples, ["label"]) == {str(n): {} for n in range(10)}

    def test_length_is_in_thirds_of_all_rows(self):
        examples = [example(n, text="x" * (n + 1)) for n in range(9)]
        lengths = [found["length"] for found in slices_of(examples, ["length"]).values()]
        assert lengths == ["short"] * 3 + ["medium"] * 3 + ["long"] * 3
        assert slices_of([example(n) for n in range(9)], ["length"])["0"] == {}

    @staticmethod
    def languages(*texts):
        examples = [example(n, text=text) for n, text in enumerate(texts)]
        return [found.get("language") for found in slices_of(examples, ["language"]).values()]

    def test_language_of_the_inputs(self):
        english = "Where is the parcel that I have ordered from your shop?"
        german = "Wo ist das Paket, das ich bei Ihnen bestellt habe?"
        french = "Où est le colis que j'ai commandé chez vous ?"
        assert self.languages(*[english] * 5, *[german] * 5, "42", french) == (
            ["en"] * 5 + ["de"] * 5 + ["unknown"] * 2
        )

    def test_one_language_beside_rows_that_are_too_short_to_tell_is_no_slice(self):
        short = ["the API gives error 96. Regards, Ben", "I cannot log in since April. Regards, Mia"]
        assert self.languages(*["Where is the parcel that I ordered?"] * 5, *short * 4) == [None] * 13

    def test_metadata_wins_and_gives_any_other_slice(self):
        examples = [example(1, tenant="acme", language="fr"), example(2, tenant=7), example(3)]
        found = slices_of(examples, ["tenant", "language"])
        assert found["1"] == {"tenant": "acme", "language": "fr"}
        assert found["2"]["tenant"] == "7"
        assert "tenant" not in found["3"]

    def test_does_not_depend_on_the_order_of_rows(self):
        examples = [example(n, text="x" * (n * 7 % 11)) for n in range(11)]
        assert slices_of(examples, ["length"]) == slices_of(examples[::-1], ["length"])
