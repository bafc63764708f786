"""The judge compares by content, errs in about one case of twenty, and answers in the form asked for."""

import json

import pytest

from promptmigrate.simulate import respond, worlds
from promptmigrate.simulate._opinion import same
from tests.simulate.helpers import outputs

WORDINGS = {
    "correct": "You grade answers.\n\nExpected answer:\n{expected}\n\nModel answer:\n{answer}\n\n"
    "Is the answer right? Answer with exactly one word: CORRECT or INCORRECT.",
    "yes": "Question: {question}\n\nReference: {expected}\nResponse: {answer}\n\n"
    "Does the response say the same as the reference? Reply yes or no.",
    "tags": "<question>{question}</question>\n<reference>{expected}</reference>\n"
    '<response>{answer}</response>\n\nRespond with a JSON object: {{"rationale": "why", "result": "yes|no"}}',
    "markdown": "## Reference answer\n{expected}\n\n## Submission\n{answer}\n\n## Task\n"
    "Say PASS if they are equivalent, else FAIL.",
    "fields": "[[ ## expected ## ]]\n{expected}\n\n[[ ## output ## ]]\n{answer}\n\nRespond with the "
    "corresponding output fields, starting with the field `[[ ## reasoning ## ]]`, then "
    "`[[ ## correct ## ]]` (must be formatted as a valid Python bool), and then ending with the marker for "
    "`[[ ## completed ## ]]`.",
    "json": 'Judge this pair: {pair}\nReturn JSON like {{"equivalent": true|false, "score": 0.0}}',
}


def judged(text: str, **params) -> str:
    return respond("sim/judge", [{"role": "user", "content": text}], params).text


def verdict(name: str, said: str) -> bool:
    if name == "tags":
        return json.loads(said)["result"] == "yes"
    if name == "json":
        value = json.loads(said)
        assert (value["score"] == 1.0) == value["equivalent"]
        return value["equivalent"]
    if name == "fields":
        assert said.startswith("[[ ## reasoning ## ]]")
        assert said.endswith("[[ ## completed ## ]]")
        return {"True": True, "False": False}[
            said.rsplit("[[ ## correct ## ]]\n", maxsplit=1)[-1].split("\n", maxsplit=1)[0]
        ]
    assert said in ("CORRECT", "INCORRECT", "yes", "no", "PASS", "FAIL")
    return said in ("CORRECT", "yes", "PASS")


def request(name, question, answer, expected):
    pair = json.dumps({"reference": expected, "answer": answer})
    return WORDINGS[name].format(question=question, answer=answer, expected=expected, pair=pair)


@pytest.mark.parametrize("name", WORDINGS)
@pytest.mark.parametrize("world", worlds().values(), ids=lambda w: w.name)
def test_it_agrees_with_the_content_in_any_wording(name, world):
    rows = world.rows(120, seed=21)
    said = outputs(world, world.rescuable[0], world.prompt, rows)
    agreed = total = 0
    for row, answer in zip(rows, said, strict=True):
        for given in (answer, row.expected):
            text = request(name, row.inputs[world.variable], given, row.expected)
            agreed += verdict(name, judged(text)) == same(given, row.expected)
            total += 1
    assert 0.9 <= agreed / total < 1.0


@pytest.mark.parametrize(
    ("answer", "expected", "right"),
    [
        ("**Billing**", "billing", True),
        ("The category is account access.", "account_access", True),
        ("refund", "billing", False),
        ("", "billing", False),
        ('```json\n{"a": "X", "n": 2.0}\n```', '{"n": 2, "a": "x"}', True),
        ('{"a": "X"}', '{"n": 2, "a": "x"}', False),
        ('{"a": "X", "n": true}', '{"n": 1, "a": "x"}', False),
        ("Step 1: 6 × 7 = 42\nAnswer: 42", "42", True),
        ("Answer: 42, out of 50", "42", False),
        ("It costs 1,249.50", "1249.5", True),
        ("The parcel arrives on Monday at the office.", "At the office the parcel arrives on Monday.", True),
        ("The parcel arrives on 3 May.", "The parcel arrives on 4 May.", False),
    ],
)
def test_what_counts_as_the_same(answer, expected, right):
    assert same(answer, expected) is right


def test_guidelines_are_judged_by_form_where_it_can_be_told():
    frame = "Guidelines: the reply must be valid JSON and must not refuse.\nResponse: {}\n\nAnswer yes or no."
    good = [judged(frame.format(json.dumps({"n": n}))) for n in range(60)]
    bad = [judged(frame.format(f"I am sorry, I can't help with number {n}.")) for n in range(60)]
    assert 0.8 * 60 <= good.count("yes") < 60
    assert 0.8 * 60 <= bad.count("no") < 60


def test_the_schema_of_the_request_is_filled():
    schema = {
        "type": "object",
        "properties": {
            "verdict": {"enum": ["equivalent", "different"]},
            "score": {"type": "integer", "minimum": 1, "maximum": 5},
            "why": {"type": "string"},
        },
    }
    form = {"type": "json_schema", "json_schema": {"name": "v", "schema": schema}}
    right = 0
    for number in range(40):
        for answer in (number, number + 1):
            said = json.loads(
                judged(f"Reference: {number}\nAnswer: {answer}\n\nJudge.", response_format=form)
            )
            assert (said["verdict"] == "equivalent") == (said["score"] == 5)
            right += (said["verdict"] == "equivalent") == (answer == number)
    assert right >= 68


def test_the_same_comparison_has_the_same_verdict_in_every_wording():
    by_wording = []
    for name in ("yes", "tags"):
        texts = [request(name, f"What is thing {n}?", f"It is item {n}.", f"item {n}") for n in range(120)]
        by_wording.append([verdict(name, judged(text)) for text in texts])
    assert by_wording[0] == by_wording[1]
    assert 0 < by_wording[0].count(False) < 25


def test_equal_texts_are_hardly_ever_called_different():
    labels = [f"label_{number}" for number in range(500)]
    assert sum(not verdict("correct", judged(request("correct", "", label, label))) for label in labels) < 8
