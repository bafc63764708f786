import json
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scorers import ScorerSpecError, from_spec, numeric_match, to_spec, tool_calls
from scorers._measures.tool_calls import _in_order, _matching

ROME = {"name": "weather", "arguments": {"city": "Rome"}}
OSLO = {"name": "weather", "arguments": {"city": "Oslo"}}
BOOK = {"name": "book", "arguments": {"seats": 2, "price": 10.0}}


def openai(*calls):
    made = [{"type": "function", "function": {**c, "arguments": json.dumps(c["arguments"])}} for c in calls]
    return {"role": "assistant", "content": None, "tool_calls": made}


@pytest.mark.parametrize(
    "output",
    [
        [ROME],
        ROME,
        json.dumps(ROME),
        "```json\n" + json.dumps([ROME]) + "\n```",
        openai(ROME),
        json.dumps(openai(ROME)),
        {"function": {"name": "weather", "arguments": '{"city": "Rome"}'}},
        {"content": [{"type": "text", "text": "Let me see"}, {"type": "tool_use", "name": "weather",
                                                              "input": {"city": "Rome"}}]},
        [{"name": "weather", "args": {"city": "Rome"}}],
        SimpleNamespace(model_dump=lambda: openai(ROME)),
        {"choices": [{"index": 0, "message": openai(ROME)}]},
        {"role": "assistant", "content": None, "function_call": {"name": "weather",
                                                                 "arguments": '{"city": "Rome"}'}},
        {"candidates": [{"content": {"role": "model", "parts": [
            {"text": "Let me see"}, {"functionCall": {"name": "weather", "args": {"city": "Rome"}}}]}}]},
        [{"function_call": {"name": "weather", "args": {"city": "Rome"}}}],
    ],
)  # fmt: skip
def test_shapes_of_calls(output):
    assert tool_calls()(output=output, expected=[ROME]).value == 1.0
    assert tool_calls()(output=[ROME], expected=output).value == 1.0


@pytest.mark.parametrize(
    ("made", "expected", "value", "kind"),
    [
        ([ROME, OSLO], [OSLO, ROME], 1.0, "match"),
        ([ROME], [ROME, OSLO], 2 / 3, "missing_calls"),
        ([ROME, OSLO], [ROME], 2 / 3, "extra_calls"),
        ([OSLO], [ROME], 0.0, "wrong_arguments"),
        ([BOOK], [ROME], 0.0, "missing_calls"),
        ("I do not know", [ROME], 0.0, "no_calls"),
        ("", [ROME], 0.0, "no_calls"),
        ("Hello!", [], 1.0, "match"),
        ([ROME], [], 0.0, "extra_calls"),
        ([ROME, ROME], [ROME], 2 / 3, "extra_calls"),
        ([{"name": "weather", "arguments": "{city"}], [ROME], 0.0, "invalid_arguments"),
        ([{"name": "now"}], [{"name": "now", "arguments": {}}], 1.0, "match"),
        ([{"name": "now", "arguments": ""}], [{"name": "now"}], 1.0, "match"),
    ],
)
def test_what_is_wrong_with_calls(made, expected, value, kind):
    score = tool_calls()(output=made, expected=expected)
    assert (score.value, score.evidence["kind"]) == (pytest.approx(value), kind)


@pytest.mark.parametrize(
    ("metric", "value"), [("precision", 1.0), ("recall", 0.5), ("f1", 2 / 3), ("exact", 0.0)]
)
def test_metrics(metric, value):
    assert tool_calls(metric=metric)(output=[ROME], expected=[ROME, BOOK]).value == pytest.approx(value)


def test_order_counts_if_asked():
    score = tool_calls(ordered=True)(output=[OSLO, ROME], expected=[ROME, OSLO])
    assert (score.value, score.evidence["kind"]) == (0.5, "wrong_order")
    assert tool_calls(ordered=True)(output=[ROME, OSLO], expected=[ROME, OSLO]).value == 1.0


def test_how_arguments_compare():
    assert tool_calls(arguments=False)(output=[OSLO], expected=[ROME]).value == 1.0
    assert tool_calls(ignore=["city"])(output=[OSLO], expected=[ROME]).value == 1.0
    near = [{"name": "book", "arguments": {"seats": 2, "price": "10.004 EUR"}}]
    assert tool_calls(tolerance=0.01)(output=near, expected=[BOOK]).value == 0.0
    for path in ("price", "book.price"):
        scorer = tool_calls(compare={path: numeric_match(tolerance=0.01)})
        assert scorer(output=near, expected=[BOOK]).value == 1.0
    assert tool_calls(compare={"weather.price": "numeric_match"})(output=near, expected=[BOOK]).value == 0.0
    nested = [{"name": "f", "arguments": {"a": {"b": ["X", "y"]}}}]
    other = [{"name": "f", "arguments": {"a": {"b": ["Y", "x"]}}}]
    scorer = tool_calls(compare={"a.b[]": {"use": "label_match"}}, ignore_order=True)
    assert scorer(output=other, expected=nested).value == 1.0


def test_expected_that_is_no_call():
    for expected in ("weather", 3, {"a": 1}, [{"arguments": {}}], [{"name": "x", "arguments": "{"}]):
        assert tool_calls()(output=[ROME], expected=expected).unscored == "bad_expected"
    assert tool_calls()(output=[ROME] * 101, expected=[ROME]).unscored == "timeout"


def test_comparers_are_part_of_the_spec():
    scorer = tool_calls(compare={"price": numeric_match(tolerance=0.01)})
    spec = {"use": "tool_calls", "compare": {"price": {"use": "numeric_match", "tolerance": 0.01}}}
    assert to_spec(scorer) == spec
    assert from_spec(spec) == scorer
    assert hash(from_spec(spec)) == hash(scorer)
    with pytest.raises(ScorerSpecError, match="there is no scorer 'numeric'"):
        tool_calls(compare={"price": "numeric"})


GRID = st.integers(1, 5).flatmap(
    lambda m: st.lists(st.lists(st.booleans(), min_size=m, max_size=m), min_size=1, max_size=5)
)


def most(grid, ordered, row=0, used=()):
    if row == len(grid):
        return 0
    found = most(grid, ordered, row + 1, used)
    for column, fits in enumerate(grid[row]):
        if fits and column not in used and not (ordered and used and column < max(used)):
            found = max(found, 1 + most(grid, ordered, row + 1, (*used, column)))
    return found


@given(GRID)
def test_pairs_are_as_many_as_can_be(grid):
    for find, ordered in ((_matching, False), (_in_order, True)):
        pairs = find(grid)
        assert all(grid[row][column] for row, column in pairs.items())
        assert len(set(pairs.values())) == len(pairs) == most(grid, ordered)
        if ordered:
            assert sorted(pairs.values()) == [pairs[row] for row in sorted(pairs)]


OPENAI = [{"type": "function", "function": {"name": "weather", "arguments": '{"city": "Rome"}'}}]
WANTED = [{"name": "weather", "arguments": {"city": "Rome"}}]
COMPLETION = {"choices": [{"message": {"role": "assistant", "content": None, "tool_calls": OPENAI}}]}
SPAN = {"attributes": {"mlflow.spanOutputs": json.dumps(COMPLETION)}}
OTHER = {"attributes": {"mlflow.spanOutputs": json.dumps("It rains."), "mlflow.spanInputs": "{}"}}


@pytest.mark.parametrize(
    "trace",
    [
        {"tool_calls": OPENAI},
        {"message": {"role": "assistant", "tool_calls": OPENAI}},
        SimpleNamespace(reply=SimpleNamespace(tool_calls=OPENAI)),
        {"info": {}, "data": {"spans": [OTHER, SPAN]}},
        {"spans": [SPAN]},
        SimpleNamespace(data=SimpleNamespace(spans=[SimpleNamespace(attributes={}, outputs=COMPLETION)])),
    ],
)
def test_calls_that_only_the_trace_tells(trace):
    score = tool_calls()(output="It rains in Rome.", expected=WANTED, trace=trace)
    assert score.value == 1.0
    assert tool_calls()(output="It rains.", expected=[], trace=trace).evidence["kind"] == "extra_calls"


def test_what_the_output_tells_goes_before_the_trace():
    told_none = {"role": "assistant", "content": "It rains.", "tool_calls": []}
    assert tool_calls()(output=told_none, expected=WANTED, trace={"tool_calls": OPENAI}).value == 0.0
    for trace in ({"tool_calls": None}, {"name": "weather"}, {"spans": [OTHER]}, {"spans": "x"}, "x", 3):
        assert tool_calls()(output="x", expected=WANTED, trace=trace).evidence["kind"] == "no_calls"
