import json
from html.parser import HTMLParser
from itertools import pairwise

import pytest

from promptmigrate import report
from tests.report.builder import write_run
from tests.report.hostile import PAYLOADS, write_hostile_run

VOID = {"meta", "line", "rect", "circle", "br"}


class Document(HTMLParser):
    """The elements of a page in order, with attributes and text; complains about tags that do not match."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.elements, self.open, self.texts = [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.texts.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def shape(self):
        """Element and attribute names: what hostile text must not change."""
        return {(tag, name) for tag, attributes in self.elements for name in (*attributes, "")}


def document(folder):
    return Document(report.write(folder).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def promoted(tmp_path_factory):
    return document(write_run(tmp_path_factory.mktemp("run")))


class TestContent:
    def test_the_verdict_comes_first(self, promoted):
        text = promoted.text
        assert text.index("PROMOTE") < text.index("Safe to ship") < text.index("Quality holds")
        assert text.index("Quality holds") < text.index("Before and after") < text.index("What changed")

    def test_everything_is_there(self, promoted):
        for piece in (
            "Simulated models.",
            "sim/triage-large",
            "Old prompt, new model",
            "measured on the validation rows",
            "41.2%",
            "34.7% to 48.1%",
            "Registered as prompts:/support_triage/4",
            "within limit",
            "equivalence",
            "Broken by the candidate",
            "generation 2, proposal 3",
            "no improvement in 2 generations",
            "Production answers with one of 4 labels",
            "2,813",
            "$1.83",
            "1 min 14 s",
            "180 train, 210 validation, 210 test in 105 groups",
            "opened once",
            "not worse than production by 5.0 points",
            "sha256:" + "c3" * 32,
            "mlflow 3.17.2",
            "exact McNemar",
        ):
            assert piece in promoted.text, piece

    def test_rejected(self, tmp_path):
        page = document(write_run(tmp_path, broken=0.4, fixed=0.1))
        assert "REJECT Do not ship this Quality drops" in page.text.replace("✕", "").replace("  ", " ")
        assert "Nothing was registered" in page.text
        assert "The first 20 of" in page.text

    def test_inconclusive_with_unknown_prices(self, tmp_path):
        run = write_run(
            tmp_path,
            rows=60,
            prices=False,
            changes={"simulated": False, "test_openings": 3, "warnings": ["Something odd."]},
        )
        page = document(run)
        assert "Not proven yet" in page.text
        assert "Simulated models" not in page.text
        assert "price unknown" in page.text and "not measurable" in page.text
        assert "decided on 3 times" in page.text
        assert "Worth knowing Something odd." in page.text

    def test_where_a_judges_mistakes_were_taken_out_that_difference_is_shown(self, tmp_path):
        run = write_run(tmp_path)
        seen = document(run)
        assert "mistakes" not in seen.text
        path = run / "verdict.json"
        corrected = {"method": "rogan_gladen", "delta": -0.031, "interval": [-0.0731, 0.0112]}
        path.write_text(json.dumps({**json.loads(path.read_text()), "corrected": corrected}))
        page = document(run)
        assert "95% interval −7.3 to +1.1, the judge's mistakes taken out" in page.text
        assert "candidate minus production: −3.1 points, 95% interval −7.3 points to +1.1 points" in page.text

    def test_same_model_and_superiority(self, tmp_path):
        side = {"model": "openai/gpt-5-mini", "score": 0.9}
        run = write_run(
            tmp_path, changes={"baseline": side, "candidate": side, "before": None, "superiority": True}
        )
        page = document(run)
        assert "new prompt, same model" in page.text
        assert "better than production" in page.text
        assert "right of zero" in page.text
        assert "Old prompt, new model" not in page.text

    def test_spend_without_a_price(self, tmp_path):
        spend = {"calls": {"task": 10}, "usd": None}
        page = document(write_run(tmp_path, changes={"spend": spend}))
        assert "In all 10 price unknown" in page.text

    def test_an_empty_answer_and_a_failed_call_are_told_apart(self, tmp_path):
        write_run(tmp_path, rows=12)
        right = {"output": "x", "score": 1}
        rows = [
            {
                "example": "a",
                "inputs": {"q": "one"},
                "baseline": right,
                "candidate": {"output": "", "score": 0},
            },
            {
                "example": "b",
                "inputs": {"q": "two"},
                "baseline": right,
                "candidate": {"error": "timeout: 60 s"},
            },
        ]
        (tmp_path / "test_rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
        page = document(tmp_path)
        assert "empty answer" in page.text
        assert "Not measured 1" in page.text and "timeout: 60 s" in page.text


class TestSections:
    def test_what_a_run_with_everything_shows(self, promoted):
        for piece in (
            # targets
            "The targets",
            "sim/triage-tiny ✕ reject 71.0% −21.4 points −28.0 to −15.0",
            "+1.4 points −2.1 to +4.9 (−2.4 to +5.2)",
            "hold for all targets at once: each is at 98.33%",
            "0.12× to 0.13×",
            "0.33× to 0.52×",
            "Switch to sim/triage-small if a cost per call of 0.13x production's (0.12x to 0.13x)",
            "Switch to sim/triage-large only after about 140 more test rows",
            # slices
            "Slice by slice",
            "label billing",
            "tenant globex",
            # trust
            "production against itself: promote",
            "answers broken on purpose (a loss of 10.0 points): reject",
            "Asked twice, production differs from itself by",
            "promptmigrate verify runs/support_triage/ab12/bundle.zip",
            "sha256:" + "f6" * 32,
            # guardrail scores
            "Scores that must not be lost",
            "json_valid 0.0 points",
            # broken rows
            "What broken rows have in common",
            "Written as tests to regressions/test_support_triage_broken_1.py",
            "rows that did not break",
            # search
            "What turned out not to be needed",
            "If you are unsure, think again.",
            "no loss on 210 validation rows",
            # spend
            "Judges 380 $0.234",
            "2,300; 900 to 4,100 $1.70; $0.61 to $3.40",
            "at 41,000 calls a day it is earned back in 3 hours.",
        ):
            assert piece in promoted.text, piece

    def test_production_that_repeats_itself_is_not_said_to_differ(self, tmp_path):
        noise = {"delta": 0.0, "interval": [-0.01, 0.01], "rows": 40, "changed": 0}
        page = document(write_run(tmp_path, rows=40, changes={"noise": noise}))
        assert "Asked twice, production scores the same on all 40 rows." in page.text
        assert "differs from itself" not in page.text[page.text.index("Production's own noise") :]

    def test_slices_that_break_are_named_first(self, tmp_path):
        verdict = {"rows": 60, "clusters": 30, "fixed": 0, "broken": 12, "interval": [-0.3, -0.1]}
        slices = [
            {**verdict, "name": "language", "value": "en", "delta": 0.01, "status": "holds"},
            {**verdict, "name": "language", "value": "de", "delta": -0.2, "status": "worse"},
            {**verdict, "name": "tenant", "value": "x", "delta": -0.1, "interval": None, "status": "too_few"},
        ]
        page = document(write_run(tmp_path, rows=40, changes={"slices": slices}))
        assert "1 of 3 slices breaks or may break: language = de" in page.text
        table = page.text[page.text.index("Fixed / broken") :]
        assert table.index("de ✕ breaks") < table.index("too few rows") < table.index("en ✓ holds")

    def test_a_gate_that_failed_its_own_test_says_so(self, tmp_path):
        tested = {"identical": "REJECT", "passed": False, "problems": ["It rejects itself."]}
        page = document(write_run(tmp_path, rows=40, changes={"self_test": tested}))
        assert "The gate failed its own test on these rows" in page.text
        assert "It rejects itself." in page.text
        assert "✕ production against itself: reject" in page.text

    def test_how_answers_were_broken_and_what_was_seen_of_it(self, tmp_path):
        breakage = {"loss": 0.9, "noticed": True, "decision": "REJECT", "broken_by": 0.1, "broken_rows": 1200}
        unseen = {"how": "swapped", "loss": 0.0, "noticed": False, "broken_by": 0.0, "broken_rows": 0}
        tested = {
            "identical": "PROMOTE",
            "passed": True,
            "breakages": [{"how": "emptied", **breakage}, unseen],
            "unasked": ["equivalence"],
        }
        page = document(write_run(tmp_path, rows=40, changes={"self_test": tested}))
        assert "✓ production with 1,200 answers emptied on purpose (a loss of 10.0 points): rej" in page.text
        assert "? production with all answers swapped for those of other rows on purpose: " in page.text
        assert "scores 0.0 points: not noticed" in page.text
        assert "Broken answers were not shown to equivalence" in page.text

    def test_what_is_not_there_leaves_no_trace(self, tmp_path):
        absent = dict.fromkeys(("self_test", "noise", "bundle", "forecast", "break_even"))
        page = document(
            write_run(
                tmp_path,
                rows=40,
                changes={
                    **absent,
                    "targets": [],
                    "slices": [],
                    "guardrail_scores": [],
                    "broken_clusters": [],
                },
            )
        )
        for piece in (
            "The targets", "Slice by slice", "Why believe it", "Forecast", "earned back", "must not be lost",
            "have in common",
        ):  # fmt: skip
            assert piece not in page.text
        links = {a["href"] for a in page.all("a")}
        assert not links & {"#targets", "#slices", "#trust"}

    def test_a_break_even_may_be_a_sentence_alone(self, tmp_path):
        page = document(write_run(tmp_path, rows=40, changes={"break_even": "It pays at once."}))
        assert "It pays at once." in page.text


class TestSafety:
    def test_nothing_from_outside_and_no_script(self, promoted):
        assert promoted.all("script") == [] and promoted.all("link") == [] and promoted.all("img") == []
        for tag, attributes in promoted.elements:
            assert not {"src", "srcset", "action", "style", "background"} & set(attributes), tag
            assert not any(name.startswith("on") for name in attributes), tag
            if "href" in attributes:
                assert attributes["href"].startswith("#")
        policy = next(a for a in promoted.all("meta") if a.get("http-equiv") == "Content-Security-Policy")
        assert policy["content"].startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:")

    def test_the_style_sheet_asks_for_nothing(self, tmp_path):
        text = report.write(write_run(tmp_path)).read_text()
        style = text.split("<style>")[1].split("</style>")[0]
        assert "url(" not in style and "@import" not in style

    @pytest.mark.parametrize("payload", PAYLOADS, ids=range(len(PAYLOADS)))
    def test_hostile_text_stays_text(self, tmp_path, payload):
        harmless = document(write_hostile_run(tmp_path / "a", "harmless"))
        hostile = document(write_hostile_run(tmp_path / "b", payload))
        assert hostile.shape == harmless.shape
        assert sorted(
            tag for tag, _ in hostile.elements if tag not in ("ins", "del", "div", "span")
        ) == sorted(tag for tag, _ in harmless.elements if tag not in ("ins", "del", "div", "span"))
        shown = " ".join("".join(ch if ch >= " " and ch != "\x7f" else "\ufffd" for ch in payload).split())
        assert hostile.text.count(shown) > 30, "it is shown as it is"


class TestAccessibility:
    def test_headings_go_down_one_level_at_a_time(self, promoted):
        levels = [int(tag[1]) for tag, _ in promoted.elements if tag in ("h1", "h2", "h3", "h4", "h5")]
        assert levels[0] == 1 and levels.count(1) == 1
        for before, after in pairwise(levels):
            assert after <= before + 1

    def test_tables_say_what_their_heads_belong_to(self, promoted):
        assert promoted.all("th")
        assert all(attributes.get("scope") in ("row", "col") for attributes in promoted.all("th"))
        regions = [a for a in promoted.all("div") if "scroll" in a.get("class", "").split()]
        assert len(regions) == len(promoted.all("table"))
        assert all(
            a.get("role") == "region" and a.get("aria-label") and a.get("tabindex") == "0" for a in regions
        )

    def test_figures_have_words(self, promoted):
        ids = {a["id"] for _, a in promoted.elements if "id" in a}
        figures = promoted.all("svg")
        assert len(figures) == 4
        for attributes in figures:
            assert attributes["role"] == "img"
            assert set(attributes["aria-labelledby"].split()) <= ids

    def test_ids_are_unique_and_links_lead_somewhere(self, promoted):
        ids = [a["id"] for _, a in promoted.elements if "id" in a]
        assert len(ids) == len(set(ids))
        assert {a["href"][1:] for a in promoted.all("a")} <= set(ids)

    def test_language_and_viewport(self, promoted):
        assert promoted.all("html")[0]["lang"] == "en"
        assert any(a.get("name") == "viewport" for a in promoted.all("meta"))
