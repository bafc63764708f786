import math
import subprocess
import sys
import time
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promptmigrate.report import diff, examples, figures, fronts, wording
from promptmigrate.report.parts import TargetFigures
from promptmigrate.report.shapes import Answer, FrontFigures, TestRow, Turn, VariantFigures


def turns(*pairs):
    return [Turn(role=role, content=content) for role, content in pairs]


def plain(block, side):
    """The text of one side of a block, put together again."""
    other = "added" if side == "removed" else "removed"
    return "\n".join(
        "".join(piece.text for piece in line.pieces) for line in block.lines if line.kind != other
    )


class TestDiff:
    def test_an_edited_line_is_shown_word_by_word(self):
        (block,) = diff.compare("Answer in one word.\nBe kind.", "Answer in exactly one word.\nBe kind.")
        removed, added, same = block.lines
        assert [piece.text.strip() for piece in added.pieces if piece.kind == "added"] == ["exactly"]
        assert all(piece.kind == "same" for piece in removed.pieces)
        assert same.kind == "same"

    def test_each_edited_line_of_a_block_is_paired_with_its_own(self):
        (block,) = diff.compare(
            "Classify the ticket into one category.\nBe brief.",
            "Classify the ticket into exactly one category: bug or account.\nOnly lower case letters!",
        )
        assert [line.kind for line in block.lines] == ["removed", "added", "removed", "added"]
        assert any(piece.kind == "same" for piece in block.lines[1].pieces)
        assert all(piece.kind == "same" for piece in block.lines[2].pieces), "unlike lines are not confetti"

    def test_unchanged_prompts(self):
        (block,) = diff.compare("a\nb", "a\nb")
        assert block.kind == "same"

    def test_demonstrations_put_in_between_leave_the_other_messages_unchanged(self):
        before = turns(("system", "Triage."), ("user", "Ticket:\n{{ticket}}"))
        after = turns(
            ("system", "Triage."),
            ("user", "Ticket:\nHelp"),
            ("assistant", "bug"),
            ("user", "Ticket:\n{{ticket}}"),
        )
        assert [block.kind for block in diff.compare(before, after)] == ["same", "added", "added", "same"]
        assert [block.kind for block in diff.compare(after, before)] == ["same", "removed", "removed", "same"]

    def test_a_text_prompt_that_became_a_chat(self):
        blocks = diff.compare("Sort {{x}}", turns(("system", "Be exact."), ("user", "Sort {{x}} now")))
        assert [(block.role, block.kind) for block in blocks] == [("system", "added"), ("user", "changed")]

    @settings(max_examples=150, deadline=None)
    @given(st.text("ab \n.<", max_size=60), st.text("ab \n.<", max_size=60))
    def test_nothing_is_lost(self, before, after):
        (block,) = diff.compare(before, after)
        assert plain(block, "removed") == before
        assert plain(block, "added") == after

    def test_hostile_prompts_do_not_take_forever(self):
        started = time.process_time()
        diff.compare("a " * 50_000, "b a " * 25_000)
        diff.compare("\n" * 50_000, "x\n" * 50_000)
        many = [("user", f"text {k}") for k in range(1_000)]
        diff.compare(turns(*many), turns(*reversed(many)))
        assert time.process_time() - started < 20


def row(example="e", baseline=1.0, candidate=1.0, inputs=None, **fields):
    return TestRow(
        example=example,
        inputs={"q": "text"} if inputs is None else inputs,
        baseline=Answer(output="yes", score=baseline),
        candidate=Answer(output="no", score=candidate),
        **fields,
    )


class TestExamples:
    def test_rows_are_sorted_into_kinds_largest_change_first(self):
        chosen = examples.choose(
            [
                row("a", 1.0, 0.5),
                row("b", 1.0, 0.0),
                row("c", 0.0, 1.0),
                row("d", 0.4, 0.4),
                row("e", None, 1.0),
            ]
        )
        assert [case.id for case in chosen.broken.cases] == ["b", "a"]
        assert [case.id for case in chosen.fixed.cases] == ["c"]
        assert [case.id for case in chosen.failed.cases] == ["e"]
        assert chosen.same == 1
        assert chosen.broken.cases[0].candidate.score == "0%"

    def test_the_number_shown_is_limited_and_the_total_is_kept(self):
        chosen = examples.choose([row(str(n), 1.0, 0.0) for n in range(50)])
        assert (chosen.broken.total, len(chosen.broken.cases)) == (50, examples.LIMIT)

    def test_long_texts_are_cut_and_said_to_be(self):
        (case,) = examples.choose([row(baseline=0.0, inputs={"q": "x" * 10_000})]).fixed.cases
        assert len(case.inputs[0][1].text) + case.inputs[0][1].left_off == 10_000
        assert len(case.title) <= 110 and case.title.endswith("…")

    def test_values_that_are_not_texts_are_shown_as_json(self):
        (case,) = examples.choose([row(baseline=0.0, inputs={"q": {"b": [1, "ä"]}})]).fixed.cases
        assert case.inputs[0][1].text == '{\n  "b": [\n    1,\n    "ä"\n  ]\n}'


class Positions(HTMLParser):
    """Every horizontal position of a figure, in percent, and its text."""

    def __init__(self, svg):
        super().__init__()
        self.values, self.text = [], ""
        self.feed(str(svg))

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if name in ("x", "x1", "x2", "cx") and value.endswith("%"):
                self.values.append(float(value[:-1]))

    def handle_data(self, data):
        self.text += data + " "


class TestFigures:
    @settings(max_examples=80, deadline=None)
    @given(
        st.floats(-1, 1), st.floats(0, 1), st.floats(0, 1), st.sampled_from([0.0, 0.02, 0.5]), st.booleans()
    )
    def test_the_difference_stays_inside_and_says_its_numbers(self, delta, below, above, margin, superiority):
        interval = (max(-1.0, delta - below), min(1.0, delta + above))
        svg = figures.difference(delta, interval, margin=margin, superiority=superiority, confidence=0.9)
        found = Positions(svg)
        assert all(0 <= value <= 100 for value in found.values)
        assert f"90% interval {wording.points(interval[0])} to {wording.points(interval[1])}" in found.text

    def test_the_status_of_the_difference_is_that_of_the_gate(self):
        def drawn(interval, **settings):
            return figures.difference(
                sum(interval) / 2,
                interval,
                **{"margin": 0.05, "superiority": False, "confidence": 0.95, **settings},
            )

        assert 'class="bar good"' in drawn((-0.04, 0.02))
        assert 'class="bar open"' in drawn((-0.06, 0.02))
        assert 'class="bar bad"' in drawn((-0.2, -0.06))
        assert 'class="bar open"' in drawn((-0.04, 0.02), superiority=True)

    def points(self, *pairs):
        return [
            FrontFigures(label=f"v{n}", quality=quality, cost_per_call_usd=cost, chosen=n == 1)
            for n, (cost, quality) in enumerate(pairs)
        ]

    @pytest.mark.parametrize(
        "pairs",
        [
            [(0.001, 0.5), (0.002, 0.9)],
            [(0.001, 0.9), (0.001, 0.9)],
            [(0.0, 0.0), (0.0, 1.0)],
            [(1e-7, 0.2), (3.0, 0.8), (0.01, 0.8)],
        ],
    )
    def test_the_front_is_drawn_for_any_costs(self, pairs):
        found = Positions(fronts.front(self.points(*pairs)))
        assert found.values and all(math.isfinite(v) and 0 <= v <= 100 for v in found.values)
        assert "v1, quality" in found.text and "(chosen)" in found.text

    def test_the_front_needs_two_priced_variants(self):
        assert fronts.front(self.points((0.1, 0.5))) is None
        assert fronts.front(self.points((None, 0.5), (0.1, 0.6))) is None

    def test_dominated_variants_are_off_the_line(self):
        svg = fronts.front(self.points((0.001, 0.9), (0.002, 0.5), (0.003, 0.95)))
        assert str(svg).count('class="edge"') == 2

    def targets(self, *costs, **changes):
        return [
            TargetFigures(
                model=f"m/{n}",
                verdict=("PROMOTE", "REJECT", "INCONCLUSIVE")[n % 3],
                candidate={"score": 0.5 + n / 10, "cost_per_call_usd": cost, "p95_latency_s": 1.0},
                interval=(-0.1, 0.1),
                **changes,
            )
            for n, cost in enumerate(costs)
        ]

    @pytest.mark.parametrize("superiority", [True, False])
    @pytest.mark.parametrize("costs", [(0.001, 0.002), (0.0, 0.0), (1e-6, 2.0, 0.3), (0.1, None, 0.1)])
    @pytest.mark.parametrize("production", [{"score": 0.6, "cost_per_call_usd": 0.01}, {}])
    def test_targets_are_drawn_inside_with_their_numbers(self, costs, superiority, production):
        known = VariantFigures(model="m/p", **production)
        found = Positions(fronts.targets(self.targets(*costs), known, margin=0.05, superiority=superiority))
        assert found.values and all(math.isfinite(v) and 0 <= v <= 100 for v in found.values)
        assert "1: m/0, quality 50.0%" in found.text

    def test_targets_show_the_interval_that_decided_upon_productions_quality(self):
        known = VariantFigures(model="m/p", score=0.5, cost_per_call_usd=0.1)
        svg = fronts.targets(self.targets(0.1, 0.2), known, margin=0.05, superiority=False)
        assert "40.0% to 60.0%" in svg
        assert fronts.targets(self.targets(0.1), known, margin=0.05, superiority=False) is None

    def test_targets_show_the_joint_intervals_of_cost_and_latency_beside_production(self):
        known = VariantFigures(model="m/p", score=0.5, cost_per_call_usd=0.1, p95_latency_s=2.0)
        found = self.targets(
            0.05,
            0.2,
            joint_interval=(-0.2, 0.2),
            cost_ratio={"value": 0.5, "interval": (0.4, 0.6)},
            p95_latency_ratio={"value": 0.5, "interval": (0.25, 0.75)},
        )
        svg = str(fronts.targets(found, known, margin=0.05, superiority=False))
        assert "at $0.05 per call ($0.04 to $0.06), 95th percentile latency 1.00 s (0.50 to 1.50 s)" in svg
        assert svg.count('class="cap') == 4  # of quality and of cost, of both targets
        assert all(0 <= value <= 100 for value in Positions(svg).values)

    def test_ticks_keep_apart(self):
        for high in (0.002, 0.01, 0.07, 0.9, 40.0):
            found = figures.log_axis([0.001, high], start=9, end=95)
            places = [found.at(tick) for tick in found.ticks]
            assert all(after - before > 15 for before, after in pairwise(places))

    def test_labels_are_escaped(self):
        estimates = [
            figures.Estimate(label="<b>&", score=0.5, interval=None, style="production"),
            figures.Estimate(label="x", score=1.0, interval=(0.9, 1.0), style="candidate"),
        ]
        svg = str(figures.scores(estimates, title='"><script>'))
        assert "<b>" not in svg and "<script>" not in svg and "&lt;b&gt;&amp;" in svg


@pytest.mark.parametrize(
    "value,shown",
    [
        (0, "$0"),
        (None, "price unknown"),
        (1234.5, "$1,234.50"),
        (0.0041234, "$0.00412"),
        (0.000000123456, "$0.000000123"),
        (0.5, "$0.5"),
    ],
)
def test_money(value, shown):
    assert wording.usd(value) == shown


def test_numbers():
    assert wording.points(0.0104) == "+1.0 point"
    assert wording.points(-0.0004) == "0.0 points"
    assert wording.span((-0.012, 0.034)) == "−1.2 to +3.4"
    assert wording.points(-0.0214) == "−2.1 points"
    assert wording.seconds(0.9996) == "1.00 s"
    assert wording.seconds(0.012) == "12 ms"
    assert wording.duration(3_725) == "1 h 02 min"
    assert wording.times(0.0123) == "0.012×"
    assert wording.when("2026-11-21T20:56:02.123+00:00") == "2026-11-21 20:56:02 UTC"
    assert wording.when("soon") == "soon"
    assert wording.score(2 / 3) == "66.7%" and wording.score(1.0) == "100%"


def test_control_characters_are_made_visible():
    assert wording.clean("a\x00b\x1b[31m\ud800\r\nc\td") == "a\ufffdb\ufffd[31m\ufffd\nc\td"


def test_importing_the_report_loads_no_heavy_library():
    code = (
        "import sys, promptmigrate.report as r; r.write;"
        "print(sorted({'jinja2', 'pydantic', 'numpy', 'mlflow'} & set(sys.modules)))"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
