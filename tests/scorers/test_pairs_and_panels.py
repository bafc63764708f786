"""Judges that ask several questions, and how they are run."""

import asyncio

import pytest

import scorers
from scorers import (
    Answer,
    Question,
    Sample,
    Score,
    ScorerSpecError,
    most_questions,
    pairwise,
    panel,
    run_judge,
)

PAIR = Sample(output="a new answer", expected="the old answer", inputs={"text": "a question"})


class Scripted:
    """Answers by what a function says about the question; keeps what it was asked."""

    def __init__(self, say):
        self.say, self.asked = say, []

    async def __call__(self, question):
        self.asked.append(question)
        said = self.say(question)
        return (
            said
            if isinstance(said, Answer)
            else Answer(text=said, cost_usd=0.5, input_tokens=3, output_tokens=1)
        )


def shows_output_first(question):
    text = question.messages[1]["content"]
    return text.index("a new answer") < text.index("the old answer")


def preferring(wanted):
    """A judge that looks at the content: ``wanted`` is output, expected or tie."""

    def say(question):
        if wanted == "tie":
            return "VERDICT: TIE"
        return "Clear. VERDICT: " + (
            "FIRST" if shows_output_first(question) == (wanted == "output") else "SECOND"
        )

    return say


def score_of(judge, sample=PAIR):
    return judge(output=sample.output, expected=sample.expected, inputs=sample.inputs)


# --- pairwise


@pytest.mark.parametrize(
    ("wanted", "value", "kind"),
    [
        ("output", 1.0, "match"),
        ("expected", 0.0, "judged_worse"),
        ("tie", 0.5, "judged_tie"),
    ],
)
def test_a_preference_that_holds_in_both_orders_counts(wanted, value, kind):
    complete = Scripted(preferring(wanted))
    score = score_of(pairwise(model="x/y", complete=complete))
    assert (score.value, score.evidence["kind"], score.evidence["flip"]) == (value, kind, False)
    assert score.evidence["favoured"] is None
    assert (len(complete.asked), score.cost_usd, score.input_tokens) == (2, 1.0, 6)
    assert [shows_output_first(question) for question in complete.asked] == [True, False]


@pytest.mark.parametrize(("verdict", "favoured"), [("FIRST", "first"), ("SECOND", "second")])
def test_a_verdict_that_follows_the_order_is_a_flip_and_not_a_win(verdict, favoured):
    score = score_of(pairwise(model="x/y", complete=Scripted(lambda q: f"VERDICT: {verdict}")))
    assert (score.value, score.evidence["kind"], score.evidence["flip"]) == (0.5, "flip", True)
    assert (score.evidence["favoured"], score.evidence["decided_by"]) == (favoured, "judge")
    assert score.evidence["first_order"] == score.evidence["second_order"] == favoured


def test_a_win_in_one_order_and_a_tie_in_the_other_is_a_flip_too():
    score = score_of(
        pairwise(
            model="x/y",
            complete=Scripted(lambda q: "VERDICT: FIRST" if shows_output_first(q) else "VERDICT: TIE"),
        )
    )
    assert (score.value, score.evidence["flip"], score.evidence["favoured"]) == (0.5, True, "first")


@pytest.mark.parametrize("bad", ["VERDICT: BOTH", Answer(error="timeout: 60 s", cost_usd=0.25)])
@pytest.mark.parametrize("first", [True, False])
def test_half_a_pair_is_no_score(bad, first):
    complete = Scripted(lambda q: bad if shows_output_first(q) == first else "VERDICT: TIE")
    score = score_of(pairwise(model="x/y", complete=complete))
    assert score.unscored == ("off_menu" if isinstance(bad, str) else "judge_failed")
    assert score.cost_usd == (1.0 if isinstance(bad, str) else 0.75)


@pytest.mark.parametrize(
    ("output", "expected", "value"),
    [
        ("Yes.", "yes", 0.5),
        ("", "x", 0.0),
        ("x", " ", 1.0),
        ("", "", 0.5),
        ('{"a": 1}', '{"a":1.0}', 0.5),
    ],
)
def test_clear_pairs_need_no_judge(output, expected, value):
    score = pairwise(model="x/y").ask(Sample(output=output, expected=expected))
    assert isinstance(score, Score)
    assert score.value == value
    assert score.evidence["decided_by"] != "judge"
    assert score.evidence["flip"] is False


def test_pairs_tell_length_and_family():
    judge = pairwise(
        model="openai/gpt-5-mini",
        candidate="azure/gpt-4.1",
        reference="mistral/mistral-large",
        complete=Scripted(preferring("output")),
    )
    evidence = score_of(judge).evidence
    assert evidence["length_difference"] == len("a new answer") - len("the old answer")
    assert evidence["same_family"] is True
    other = pairwise(
        model="openai/gpt-5", candidate="anthropic/claude-x", complete=Scripted(preferring("output"))
    )
    assert score_of(other).evidence["same_family"] is False
    unknown = pairwise(model="openai/gpt-5", candidate="acme/small", complete=Scripted(preferring("output")))
    assert score_of(unknown).evidence["same_family"] is None


def test_one_answer_of_two_is_no_score():
    judge = pairwise(model="x/y")
    assert isinstance(judge.ask(PAIR), Question)
    score = judge.conclude(PAIR, Answer(text="VERDICT: FIRST", cost_usd=0.25))
    assert (score.unscored, score.cost_usd) == ("error", 0.25)
    assert "run_judge" in score.rationale


# --- panel


def voices(**says):
    """A complete in which each model says its own."""
    return Scripted(lambda q: says[q.model.partition("/")[0]])


def three(**options):
    return {"judges": [{"use": "correctness", "judge": f"{name}/m"} for name in "abc"], **options}


YES, NO = "VERDICT: CORRECT", "It is Rome. VERDICT: INCORRECT"


@pytest.mark.parametrize(
    ("vote", "says", "value", "agreement"),
    [
        ("majority", (YES, YES, NO), 1.0, 2 / 3),
        ("majority", (YES, NO, NO), 0.0, 2 / 3),
        ("majority", (YES, YES, YES), 1.0, 1.0),
        ("mean", (YES, YES, NO), 2 / 3, 2 / 3),
        ("median", (NO, YES, NO), 0.0, 2 / 3),
    ],
)
def test_panel_votes(vote, says, value, agreement):
    judge = panel(**three(vote=vote), complete=voices(**dict(zip("abc", says, strict=True))))
    score = score_of(judge)
    assert (score.value, score.evidence["agreement"]) == (pytest.approx(value), pytest.approx(agreement))
    assert [vote["model"] for vote in score.evidence["votes"]] == ["a/m", "b/m", "c/m"]
    assert score.evidence["spread"] == (0.0 if agreement == 1 else 1.0)
    assert score.cost_usd == 1.5
    assert score.value == 1.0 or score.rationale


def test_a_judge_without_a_score_does_not_vote_and_without_a_quorum_there_is_no_score():
    broken = Answer(error="timeout")
    judge = panel(**three(), complete=voices(a=YES, b=broken, c=YES))
    score = score_of(judge)
    assert (score.value, score.evidence["agreement"]) == (1.0, 1.0)
    assert score.evidence["votes"][1]["unscored"] == "judge_failed"
    score = score_of(panel(**three(), complete=voices(a=YES, b=broken, c="VERDICT: MAYBE")))
    assert (score.value, score.unscored) == (None, "judge_failed")
    assert "1 of 3 judges" in score.rationale
    assert score_of(panel(**three(quorum=1), complete=voices(a=YES, b=broken, c=broken))).value == 1.0
    assert (
        score_of(panel(**three(quorum=3), complete=voices(a=YES, b=YES, c=broken))).unscored == "judge_failed"
    )


def test_a_split_majority_is_told():
    two = {"judges": three()["judges"][:2]}
    score = score_of(panel(**two, complete=voices(a=YES, b=NO)))
    assert (score.value, score.evidence["kind"], score.evidence["agreement"]) == (0.5, "split", 0.5)


def test_panels_hold_judges_of_any_kind_and_ask_at_once():
    complete = Scripted(lambda q: "VERDICT: TIE" if "SECOND" in q.messages[0]["content"] else "VERDICT: 5")
    judge = scorers.from_spec(
        {
            "use": "panel",
            "judge": "a/x",
            "vote": "mean",
            "judges": [{"use": "pairwise"}, {"use": "rubric", "criteria": "Good?", "judge": "b/y"}],
        }
    )
    assert most_questions(judge) == 3
    assert judge.models == ("a/x", "b/y")
    score = asyncio.run(run_judge(judge, PAIR, complete))
    assert (score.value, len(complete.asked)) == (0.75, 3)
    assert [question.model for question in complete.asked] == ["a/x", "a/x", "b/y"]


def test_a_panel_in_a_panel_and_judges_that_settle_without_asking():
    inner = {"use": "panel", "judges": three()["judges"][:2]}
    judge = panel(
        judges=[inner, {"use": "equivalence", "judge": "c/m"}],
        vote="mean",
        complete=voices(a=YES, b=YES, c="VERDICT: DIFFERENT"),
    )
    assert score_of(judge).value == 0.5
    settled = judge(output="Yes.", expected="yes")
    assert (settled.value, settled.cost_usd) == (1.0, None)
    assert settled.evidence["decided_by"] == "identical"


def test_plug_in_judges_with_only_ask_and_conclude_sit_on_a_panel():
    class Plain:
        name, version, model = "plain", "1", "p/m"

        def __call__(self, *, output, expected=None, inputs=None, trace=None):
            raise NotImplementedError

        def ask(self, sample):
            return Question(messages=({"role": "user", "content": "?"},), model=self.model)

        def conclude(self, sample, answer):
            return Score(name="plain", value=float(answer.text == "ja"))

    judge = panel(judges=[Plain(), *three()["judges"][:1]], vote="mean", complete=voices(p="ja", a=NO))
    assert score_of(judge).value == 0.5
    assert most_questions(Plain()) == 1
    assert most_questions(scorers.exact_match()) == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"judges": []}, "two judges or more"),
        ({"judges": [{"use": "safety", "judge": "a/x"}] * 2}, "one and the same"),
        ({"judges": [{"use": "exact_match"}, {"use": "safety", "judge": "a/x"}]}, "is no judge"),
        (three(quorum=4), "between 1 and 3"),
        (three(vote="loudest"), "one of majority"),
        ({"judges": [{"use": "safety"}, {"use": "relevance"}]}, "asks a model"),
    ],
)
def test_panel_options_are_checked(options, message):
    with pytest.raises(ScorerSpecError, match=message):
        panel(**options)


# --- running


async def test_what_complete_raises_stops_the_run_after_the_calls_under_way():
    class BudgetError(RuntimeError):
        pass

    finished = []

    async def complete(question):
        if not shows_output_first(question):
            raise BudgetError("spent")
        await asyncio.sleep(0.01)
        finished.append(question)
        return Answer(text="VERDICT: FIRST")

    with pytest.raises(BudgetError):
        await run_judge(pairwise(model="x/y"), PAIR, complete)
    assert len(finished) == 1


async def test_called_plainly_a_broken_complete_leaves_the_sample_unscored():
    async def complete(question):
        raise ConnectionError("refused")

    score = await pairwise(model="x/y", complete=complete).score_async(output="a", expected="b")
    assert (score.unscored, score.rationale) == ("judge_failed", "ConnectionError: refused")


def test_a_deliberation_can_be_driven_by_hand():
    steps = scorers.deliberate(pairwise(model="x/y"), PAIR)
    questions = next(steps)
    assert len(questions) == 2
    with pytest.raises(StopIteration) as done:
        steps.send([Answer(text="VERDICT: FIRST"), Answer(text="VERDICT: SECOND")])
    assert done.value.value.value == 1.0
    with pytest.raises(StopIteration) as done:
        next(scorers.deliberate(scorers.correctness(model="x/y"), Sample(output="a", expected="a")))
    assert done.value.value.value == 1.0


# --- rubric


def graded(text, **options):
    judge = scorers.rubric(criteria="Is it kind?", model="x/y", complete=Scripted(lambda q: text), **options)
    return judge(output="Hi").value


@pytest.mark.parametrize(
    ("text", "options", "value"),
    [
        ("VERDICT: 1", {}, 0.0),
        ("VERDICT: 5", {}, 1.0),
        ("VERDICT: 2/5", {}, 0.25),
        ("VERDICT: 3.5", {}, None),
        ("VERDICT: 6", {}, None),
        ("VERDICT: 10", {"low": 0, "high": 10}, 1.0),
        ("VERDICT: -1", {"low": -1, "high": 1}, 0.0),
        ("VERDICT: fair", {"scale": ["poor: bad", "fair: so so", "great"]}, 0.5),
        ("VERDICT: GREAT", {"scale": ["poor", "great"]}, 1.0),
        ("VERDICT: not good", {"scale": ["good", "not good"]}, 1.0),
    ],
)
def test_rubric_scales(text, options, value):
    assert graded(text, **options) == value


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"criteria": " "}, "criteria"),
        ({"low": 5, "high": 5}, "'high' must be above"),
        ({"scale": ["a"]}, "two grades"),
        ({"scale": ["a", "A"]}, "all different"),
        ({"scale": ["a", "<b>"]}, "no grade"),
        ({"steps": [""]}, "steps"),
        ({"high": 200}, "at most"),
    ],
)
def test_rubric_options_are_checked(options, message):
    with pytest.raises(ScorerSpecError, match=message):
        scorers.rubric(**{"criteria": "x", "model": "x/y", **options})


def test_rubric_shows_steps_and_the_meaning_of_grades():
    judge = scorers.rubric(
        criteria="Kind?", steps=["Look for thanks"], scale=["rude: insults", "kind"], model="x/y"
    )
    system = judge.ask(Sample(output="Hi")).messages[0]["content"]
    assert "1. Look for thanks" in system
    assert "rude: insults" in system
    assert "from worst (rude) to best (kind)" in system


# --- material of the other judges


def test_faithfulness_finds_its_context():
    judge = scorers.faithfulness(model="x/y")
    for sample in (
        Sample(output="o", inputs={"question": "q", "context": "CTX"}),
        Sample(
            output="o", inputs={"question": "q"}, expected={"context": "CTX", "expected_response": "other"}
        ),
        Sample(output="o", inputs={"question": "q"}, expected="CTX"),
    ):
        text = judge.ask(sample).messages[1]["content"]
        assert "CTX" in text.split("<<<CONTEXT")[1]
        assert text.count("CTX") == 1
        assert "other" not in text
    passages = judge.ask(Sample(output="o", inputs={"documents": ["one", "two"]})).messages[1]["content"]
    assert "[1] one\n\n[2] two" in passages
    assert judge.ask(Sample(output="o", inputs={"question": "q"})).unscored == "no_expected"
    keyed = scorers.faithfulness(model="x/y", context_key="facts")
    assert (
        "F1" in keyed.ask(Sample(output="o", inputs={"facts": "F1", "context": "CTX"})).messages[1]["content"]
    )
    assert "'facts'" in keyed.ask(Sample(output="o", inputs={"context": "CTX"})).rationale


def test_faithfulness_lists_what_is_not_supported_first():
    answer = "\n".join(f"ITEM {i}: claim {i}\nVERDICT {i}: SUPPORTED" for i in range(1, 80))
    answer += "\nITEM 80: invented\nVERDICT 80: CONTRADICTED"
    score = scorers.faithfulness(model="x/y").conclude(Sample(output="o", expected="c"), Answer(text=answer))
    assert score.value == pytest.approx(79 / 80)
    assert score.evidence["items"][0] == {"item": "invented", "verdict": "CONTRADICTED"}
    assert (score.evidence["count"], len(score.evidence["items"])) == (80, 50)
    assert (score.evidence["kind"], score.rationale) == ("contradicted_claim", "contradicted: invented")


@pytest.mark.parametrize(
    "text",
    [
        "ITEM 1: a\nVERDICT 1: SUPPORTED\nITEM 2: b",
        "VERDICT 2: SUPPORTED",
        "ITEM 1: a\nVERDICT 1: PERHAPS",
        '{"items": [{"item": "a"}]}',
        '{"items": ["a"]}',
        '{"items": "none"}',
        "VERDICT: SUPPORTED",
        "\n".join(f"ITEM {i}: x\nVERDICT {i}: SUPPORTED" for i in range(1, 300)),
        "VERDICT 9999: SUPPORTED",
    ],
)
def test_a_list_with_a_missing_verdict_is_unscored(text):
    score = scorers.faithfulness(model="x/y").conclude(Sample(output="o", expected="c"), Answer(text=text))
    assert score.unscored == "off_menu"


def test_summary_quality_grades_four_aspects():
    judge = scorers.summary_quality(model="x/y")
    answer = Answer(text="VERDICT 1: 5\nVERDICT 2: 4\nVERDICT 3: 2\nVERDICT 4: 5")
    score = judge.conclude(Sample(output="s", expected="d"), answer)
    assert (score.value, score.evidence["kind"]) == (0.75, "low_coherence")
    assert score.evidence["grades"] == {"consistency": 5, "relevance": 4, "coherence": 2, "fluency": 5}
    text = judge.ask(Sample(output="s", inputs={"text": "LONG", "style": "formal"})).messages[1]["content"]
    assert text.count("LONG") == 1
    assert "formal" in text
    only = judge.ask(Sample(output="s", inputs={"mail": "LONG"})).messages[1]["content"]
    assert only.count("LONG") == 1
