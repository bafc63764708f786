"""test_rows.jsonl shows the answers that a row's numbers come from."""

import json

from promptmigrate.evaluate import Evaluation
from promptmigrate.pipeline.pairs import write_rows
from promptmigrate.types import Example, Outcome, Prompt, Reply, Variant
from scorers import Score

PRODUCTION = Variant(prompt=Prompt.of("{{q}}"), model="a/large")
CANDIDATE = Variant(prompt=Prompt.of("{{q}}"), model="a/small")


def shown(tmp_path, before, after):
    """What is written of one row; ``before`` and ``after``: answers, None for a call that failed."""
    row = Example(id="r", inputs={"q": "x"}, reference="right")

    def outcome(variant, repeat, text):
        reply = Reply(kind="timeout", error="slow") if text is None else Reply(kind="ok", text=text)
        scores = () if text is None else (Score(name="same", value=float(text == "right")),)
        return Outcome(variant=variant.digest, example="r", repeat=repeat, reply=reply, scores=scores)

    measured = Evaluation(
        variants=(PRODUCTION, CANDIDATE),
        examples=(row,),
        weights={"same": 1.0},
        repeats=len(before),
        outcomes={
            (variant.digest, "r", repeat): outcome(variant, repeat, text)
            for variant, texts in ((PRODUCTION, before), (CANDIDATE, after))
            for repeat, text in enumerate(texts)
        },
    )
    path = tmp_path / "test_rows.jsonl"
    write_rows(path, [row], PRODUCTION, measured, CANDIDATE, measured)
    line = json.loads(path.read_text())
    return [(line[side]["output"], line[side]["score"]) for side in ("baseline", "candidate")]


def test_of_several_answers_those_that_broke_the_row_are_shown(tmp_path):
    assert shown(tmp_path, ["off", "right"], ["right", "wrong"]) == [("off", 0.5), ("right", 0.5)]
    assert shown(tmp_path, ["right", "right"], ["right", "wrong"]) == [("right", 1.0), ("wrong", 0.5)]
    assert shown(tmp_path, ["off", "right"], ["wrong", "awry"]) == [("right", 0.5), ("wrong", 0.0)]


def test_of_several_answers_those_that_mended_it_are_shown(tmp_path):
    assert shown(tmp_path, ["right", "off"], ["right", "right"]) == [("off", 0.5), ("right", 1.0)]


def test_an_answer_that_came_back_is_shown_rather_than_a_call_that_failed(tmp_path):
    assert shown(tmp_path, [None, "right"], [None, "wrong"]) == [("right", 1.0), ("wrong", 0.0)]
    assert shown(tmp_path, [None, None], [None, "wrong"]) == [(None, None), ("wrong", 0.0)]
