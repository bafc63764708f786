"""Calibration: what is measured, what is refused, and how the card is kept."""

import csv
import json
import random
from dataclasses import replace

import pytest

import scorers
from scorers import Answer, Labelled, Sample, Score, calibrate, fingerprint, load_card, load_labelled
from scorers._calibration import clustered_share
from scorers._stats import wilson


def says(verdict_of):
    async def complete(question):
        output = question.messages[1]["content"].rpartition("<<<OUTPUT ")[2].split(">>>\n", 1)[1]
        return Answer(text=f"VERDICT: {verdict_of(output)}", cost_usd=0.001, input_tokens=10, output_tokens=2)

    return complete


def judge(verdict_of=lambda output: "CORRECT" if "good" in output else "INCORRECT", **options):
    return scorers.correctness(model="openai/gpt-5-mini", complete=says(verdict_of), **options)


def rows(tp, fp, fn, tn):
    """Labelled rows with this confusion under :func:`judge`."""
    kinds = [("good", 1, tp), ("good", 0, fp), ("poor", 1, fn), ("poor", 0, tn)]
    return [
        {"output": f"a {word} answer {i}", "expected": "something else", "label": label}
        for word, label, count in kinds
        for i in range(count)
    ]


def test_the_numbers_are_those_of_scikit_learn():
    from sklearn.metrics import accuracy_score, cohen_kappa_score, recall_score

    card = calibrate(judge(), rows(40, 6, 4, 30))
    truth, said = [1] * 40 + [0] * 6 + [1] * 4 + [0] * 30, [1] * 46 + [0] * 34
    assert (card.true_positive, card.false_positive, card.false_negative, card.true_negative) == (
        40,
        6,
        4,
        30,
    )
    assert card.accuracy.value == pytest.approx(accuracy_score(truth, said))
    assert card.kappa.value == pytest.approx(cohen_kappa_score(truth, said))
    assert card.sensitivity.value == pytest.approx(recall_score(truth, said))
    assert card.specificity.value == pytest.approx(recall_score(truth, said, pos_label=0))
    assert (card.sensitivity.n, card.specificity.n, card.accuracy.n) == (44, 36, 80)
    assert (card.accuracy.low, card.accuracy.high) == (wilson(70, 80).low, wilson(70, 80).high)
    assert card.labelled_good.value == 44 / 80
    assert card.judged_good.value == 46 / 80
    assert card.exact is card.weighted_kappa is card.rank_correlation is card.position is None
    assert card.mean_absolute_error == pytest.approx(10 / 80)
    assert card.decided_by == {"judge": 80}
    assert (card.cost_usd, card.input_tokens, card.output_tokens) == (pytest.approx(0.08), 800, 160)


def test_more_labels_are_needed_for_a_tighter_statement():
    card = calibrate(judge(), rows(40, 6, 4, 30), half_width=0.05)
    tight = calibrate(judge(), rows(40, 6, 4, 30), half_width=0.02)
    for what in ("accuracy", "kappa", "sensitivity", "specificity"):
        assert card.labels_needed[what] > 80
        assert tight.labels_needed[what] > 4 * card.labels_needed[what]
    assert card.labels_needed["sensitivity"] == pytest.approx(
        card.labels_needed["specificity"] * 0.6, rel=0.5
    )
    kept = [round(v * card.labels_needed["accuracy"] / 80) for v in (40, 6, 4, 30)]
    again = calibrate(judge(), rows(*kept))
    assert (again.accuracy.high - again.accuracy.low) / 2 == pytest.approx(0.05, abs=0.003)


def test_unscored_rows_are_counted_and_left_out():
    async def complete(question):
        text = question.messages[1]["content"]
        if "poor" in text:
            return Answer(error="timeout: 60 s")
        return Answer(text="VERDICT: UNSURE" if "answer 1\n" in text else "VERDICT: CORRECT")

    card = calibrate(judge(), rows(3, 1, 1, 2), complete=complete)
    assert (card.rows, card.scored, card.unscored) == (7, 3, {"off_menu": 1, "judge_failed": 3})
    assert card.specificity.n == 1
    assert "unscored (off_menu 1, judge_failed 3)" in card.text()


def test_settled_rows_are_told_apart():
    data = [*rows(5, 0, 0, 5), {"output": "", "expected": "x", "label": 0}]
    card = calibrate(judge(), data)
    assert card.decided_by == {"judge": 10, "empty": 1}


def test_recorded_scores_are_not_asked_again():
    async def complete(question):
        raise AssertionError("nothing must be asked")

    data = [Labelled(output="a", label=i % 2, score=Score(name="j", value=float(i % 2))) for i in range(10)]
    card = calibrate(judge(), data, complete=complete)
    assert card.accuracy.value == 1.0
    assert card.accuracy.low < 0.75


def test_rows_of_one_group_count_less():
    chance = random.Random(0)
    data = []
    for group in range(20):
        word, label = chance.choice([("good", 1), ("poor", 0), ("good", 0)])
        data += [
            {"output": f"{word} {i}", "expected": "x", "label": label, "group": group} for i in range(10)
        ]
    grouped = calibrate(judge(), data)
    plain = calibrate(judge(), [{**row, "group": None} for row in data])
    assert (grouped.groups, plain.groups) == (20, 200)
    assert grouped.accuracy.value == plain.accuracy.value
    assert grouped.accuracy.high - grouped.accuracy.low > 2 * (plain.accuracy.high - plain.accuracy.low)
    assert grouped.kappa.high - grouped.kappa.low > 1.5 * (plain.kappa.high - plain.kappa.low)
    assert "20 groups" in grouped.text()


def test_the_share_of_grouped_rows_covers_the_truth():
    chance = random.Random(1)
    hits = {"grouped": 0, "plain": 0}
    for _ in range(500):
        rate = {group: chance.betavariate(2, 1) for group in range(30)}
        told = [(group, chance.random() < rate[group]) for group in rate for _ in range(8)]
        share = clustered_share([hit for _, hit in told], [group for group, _ in told], confidence=0.95)
        plain = wilson(sum(hit for _, hit in told), len(told))
        hits["grouped"] += share.low <= 2 / 3 <= share.high
        hits["plain"] += plain.low <= 2 / 3 <= plain.high
    assert 0.92 <= hits["grouped"] / 500 <= 0.985
    assert hits["plain"] / 500 < 0.85


def test_length_bias_is_the_slope_of_the_error():
    chance = random.Random(2)
    data = [
        {"output": "x" * chance.randrange(10, 4000), "expected": "y", "label": chance.random() < 0.5}
        for _ in range(150)
    ]
    card = calibrate(judge(lambda output: "CORRECT" if len(output) > 2500 else "INCORRECT"), data)
    assert card.length_bias.low > 0.1
    assert card.length_slope.low > 0.1


# --- labels of other kinds


def test_a_rubric_is_calibrated_on_its_own_scale():
    from sklearn.metrics import cohen_kappa_score

    chance = random.Random(3)
    grades = [chance.randrange(1, 6) for _ in range(120)]
    given = [min(5, max(1, grade + chance.choice([-1, 0, 0, 0, 1]))) for grade in grades]
    data = [
        {"output": f"grade {g} row {i}", "label": h}
        for i, (g, h) in enumerate(zip(given, grades, strict=True))
    ]
    rubric = scorers.rubric(criteria="Good?", model="x/y", complete=says(lambda output: output[6]))
    card = calibrate(rubric, data)
    assert card.weighted_kappa.value == pytest.approx(cohen_kappa_score(grades, given, weights="quadratic"))
    assert card.exact.value == pytest.approx(sum(a == b for a, b in zip(grades, given, strict=True)) / 120)
    assert card.rank_correlation > 0.8
    assert card.mean_absolute_error == pytest.approx(
        sum(abs(a - b) for a, b in zip(grades, given, strict=True)) / 480
    )
    assert "weighted kappa" in card.text()
    scaled = calibrate(rubric, [{**row, "label": row["label"] * 20} for row in data], scale=(20, 100))
    assert scaled.weighted_kappa == card.weighted_kappa


def test_pairs_are_calibrated_with_the_order():
    async def complete(question):
        first = question.messages[1]["content"].split("<<<FIRST ")[1].split(">>>\n", 1)[1]
        if first.startswith("either"):
            return Answer(text="VERDICT: FIRST")
        return Answer(text="VERDICT: FIRST" if first.startswith("new") else "VERDICT: SECOND")

    pair = scorers.pairwise(model="x/y", complete=complete)
    data = [{"output": f"new {i}", "expected": f"old {i}", "label": "output"} for i in range(8)]
    data += [{"output": f"either {i}", "expected": f"either way {i}", "label": "tie"} for i in range(4)]
    data += [{"output": f"old {i}", "expected": f"new {i}", "label": "expected"} for i in range(4)]
    card = calibrate(pair, data)
    assert (card.threshold, card.accuracy.value, card.exact.value) == (1.0, 1.0, 1.0)
    assert (card.position.n, card.position.primacy, card.position.consistency.value) == (16, 4, 0.75)
    assert "order: consistent 0.750" in card.text()


def test_measures_can_be_calibrated_too():
    data = [{"output": word, "expected": "a", "label": word == "a"} for word in "abab"]
    card = calibrate(scorers.exact_match(), data)
    assert (card.accuracy.value, card.models) == (1.0, ())
    assert card.valid_for(scorers.exact_match())
    assert not card.valid_for(scorers.exact_match(ignore_case=True))


@pytest.mark.parametrize(
    ("label", "value"),
    [
        (True, 1.0),
        ("yes", 1.0),
        ("FAIL", 0.0),
        ("0", 0.0),
        (0.25, 0.25),
        ("correct", 1.0),
        ("INCORRECT", 0.0),
        (1.0, 1.0),
    ],
)
def test_labels_are_read(label, value):
    data = [{"output": "a good one", "expected": "x", "label": label}]
    assert calibrate(judge(), data).labelled_good.value == (value >= 0.5)


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        ([], {}, "no row with a label"),
        ([{"output": "a", "label": None}], {}, "no row with a label"),
        ([{"output": "a", "label": "perhaps"}], {}, "row 1: the label 'perhaps'"),
        ([{"output": "a", "label": 4}], {}, r"pass scale=\(1, 5\)"),
        ([{"output": "a", "label": 9}], {"scale": (1, 5)}, "from 1 to 5"),
        ([{"answer": "a", "label": 1}], {}, "no column 'output'"),
        ([5], {}, "an object"),
        ([{"output": "a", "label": 1}], {"scale": (1, 1)}, "no width"),
        ("labels.xlsx", {}, ".csv and .jsonl"),
    ],
)
def test_labels_that_cannot_be_read_are_refused(data, options, message):
    with pytest.raises(ValueError, match=message):
        calibrate(judge(), data, **options)


# --- files


def test_csv_and_jsonl_and_lists_give_the_same(tmp_path):
    data = [
        {
            "output": 'good, "really"\nso',
            "expected": "x",
            "inputs": {"q": "a b", "n": "2"},
            "label": "1",
            "group": "s1",
        },
        {"output": "", "expected": "y", "inputs": {"q": "c", "n": "3"}, "label": "no", "group": "s2"},
        {"output": "é", "expected": "", "inputs": {"q": "d", "n": ""}, "label": "", "group": ""},
    ]
    with (tmp_path / "labels.csv").open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(
            file, ["answer", "expected", "inputs.q", "inputs.n", "label", "group", "note"]
        )
        writer.writeheader()
        for row in data:
            spread = {f"inputs.{k}": v for k, v in row["inputs"].items()}
            rest = {k: v for k, v in row.items() if k not in ("output", "inputs")}
            writer.writerow({"answer": row["output"], **rest, **spread, "note": "n"})
    (tmp_path / "labels.jsonl").write_text("\n".join(map(json.dumps, data)) + "\n\n", encoding="utf-8")
    from_list = load_labelled(data)
    assert load_labelled(tmp_path / "labels.csv", columns={"output": "answer"}) == from_list
    assert load_labelled(str(tmp_path / "labels.jsonl")) == from_list
    assert from_list[1].output == ""
    assert (from_list[2].label, from_list[2].group, from_list[2].expected) == (None, None, None)
    card = calibrate(judge(), tmp_path / "labels.jsonl")
    assert (card.rows, card.unlabelled, card.accuracy.value) == (2, 1, 1.0)


def test_a_csv_cell_may_be_long(tmp_path):
    (tmp_path / "long.csv").write_text("output,label\n" + "x" * 300_000 + ",1\n", encoding="utf-8")
    limit = csv.field_size_limit()
    assert len(load_labelled(tmp_path / "long.csv")[0].output) == 300_000
    assert csv.field_size_limit() == limit


def test_a_broken_line_is_named(tmp_path):
    (tmp_path / "broken.jsonl").write_text('{"output": "a", "label": 1}\n{"output"\n', encoding="utf-8")
    with pytest.raises(ValueError, match=r"broken\.jsonl, line 2 is not JSON"):
        load_labelled(tmp_path / "broken.jsonl")


# --- the card


def test_the_card_is_kept_as_json_and_text(tmp_path):
    card = calibrate(judge(), rows(40, 6, 4, 30))
    path = card.save(tmp_path / "cards" / "correctness.json")
    assert load_card(path) == card
    text = path.with_suffix(".md").read_text(encoding="utf-8")
    assert text == str(card)
    for part in ("accuracy: 0.875 [", "Cohen's kappa: 0.", "labels needed for +-0.05", card.fingerprint):
        assert part in text
    assert sorted(p.name for p in path.parent.iterdir()) == ["correctness.json", "correctness.md"]
    pair = scorers.pairwise(model="x/y", complete=says(lambda output: "TIE"))
    card = replace(card, position=scorers.positional_bias(["A"], ["A"]), judge=pair.name)
    assert load_card(card.save(tmp_path / "pair.json")) == card


@pytest.mark.parametrize(
    "content", ["[]", "{}", "{", '{"format": "scorers.calibration/1"}', '{"format": "other"}']
)
def test_what_is_no_card_is_refused(content, tmp_path):
    (tmp_path / "card.json").write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=r"card\.json cannot be read as a calibration card"):
        load_card(tmp_path / "card.json")


def test_the_card_holds_for_one_judge_only():
    base = scorers.rubric(criteria="Kind?", model="a/x")
    card = calibrate(replace(base, complete=says(lambda output: "5")), [{"output": "a", "label": 5}])
    assert card.valid_for(base)
    assert card.valid_for(replace(base, name="kindness"))
    assert card.valid_for(scorers.from_spec({"use": "rubric", "criteria": "Kind?", "judge": "a/x"}))
    for other in (
        replace(base, model="a/y"),
        replace(base, criteria="Kind? "),
        replace(base, high=10),
        replace(base, steps=("Read it",)),
        replace(base, structured=True),
        replace(base, checks=("empty",)),
        scorers.correctness(model="a/x"),
    ):
        assert not card.valid_for(other)


def test_the_fingerprint_covers_the_wording(monkeypatch):
    before = fingerprint(scorers.relevance(model="a/x"))
    monkeypatch.setattr("scorers._judge.DATA_RULE", "Other words.")
    assert fingerprint(scorers.relevance(model="a/x")) != before


def test_the_fingerprint_covers_all_judges_of_a_panel():
    def panel(second):
        return scorers.panel(judges=[{"use": "safety", "judge": "a/x"}, {"use": "safety", "judge": second}])

    assert fingerprint(panel("b/y")) == fingerprint(panel("b/y")) != fingerprint(panel("b/z"))


def test_plug_in_judges_have_a_fingerprint():
    class Mine:
        name, version, model = "mine", "1", "a/x"

        def __call__(self, *, output, expected=None, inputs=None, trace=None):
            return Score(name="mine", value=1.0)

        def ask(self, sample):
            return Score(name="mine", value=1.0)

        def conclude(self, sample, answer):
            return Score(name="mine", value=1.0)

    assert fingerprint(Mine()).startswith("sha256:")
    card = calibrate(Mine(), [{"output": "a", "label": 1}, {"output": "b", "label": 0}], complete=says(str))
    assert (card.accuracy.value, card.spec) == (0.5, None)


async def test_in_a_running_loop():
    assert (await scorers.calibrate_async(judge(), rows(3, 0, 0, 3))).accuracy.value == 1.0
    assert calibrate(judge(), rows(3, 0, 0, 3)).accuracy.value == 1.0


def test_a_complete_that_raises_costs_its_rows_only():
    async def flaky(question):
        if "poor" in question.messages[1]["content"]:
            raise RuntimeError("refused")
        return Answer(text="VERDICT: CORRECT")

    card = calibrate(judge(), rows(2, 0, 0, 2), complete=flaky)
    assert (card.scored, card.unscored, card.accuracy.value) == (2, {"judge_failed": 2}, 1.0)
    card = calibrate(judge(), rows(0, 0, 0, 2), complete=flaky)
    assert (card.scored, card.accuracy.value) == (0, None)
    assert "not determined" in card.text()


def test_without_a_way_to_the_model_nothing_is_calibrated(monkeypatch):
    from scorers import _complete

    monkeypatch.setattr(_complete, "_chosen", None)
    monkeypatch.setattr(_complete, "_found", None)
    monkeypatch.setattr(_complete, "module", lambda name: None)
    with pytest.raises(scorers.NoCompleteError):
        calibrate(scorers.safety(model="a/x"), [{"output": "a", "label": 1}])


def test_calibration_is_the_same_each_time():
    data = [{**row, "group": i % 7} for i, row in enumerate(rows(20, 5, 5, 20))]
    assert calibrate(judge(), data) == calibrate(judge(), data)
    sample = Sample(output="a good answer", expected="x")
    assert judge().ask(sample) == judge().ask(sample)
