from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptmigrate.pipeline.habits import grown
from promptmigrate.pipeline.tokens import expected
from promptmigrate.tokens import tokens_in
from tests.pipeline.test_forecast import timed
from tests.pipeline.test_plan import PROMPT, config, dataset


@pytest.mark.parametrize(
    ("text", "real"),  # by OpenAI's cl100k_base
    [
        ("Please pay back what I was charged twice.", 9),
        ('{"order_id": "PO-49929", "total": 1290.5, "paid": false}', 23),
        ("退货吗", 4),
        ("Здравствуйте, мой заказ не доставлен.", 15),
    ],
)
def test_texts_of_several_kinds(text: str, real: int):
    assert 0.7 * real < tokens_in(text) < 1.4 * real


@given(st.text(), st.text())
def test_more_text_has_no_fewer_tokens(one: str, two: str):
    assert 0 <= tokens_in(one) <= tokens_in(f"{one} {two}")


def test_a_prompt_grows_no_further_than_it_may():
    known = expected(timed(150, 24, input_tokens=1000, output_tokens=100), PROMPT)
    free, tight = (
        grown(config(search={"max_prompt_tokens": room}), known).input - known.call.input
        for room in (9000, 1000)
    )
    assert 0 < tight <= 1000 < free
    kept = grown(config(search={"may_change": ["temperature"]}), known)
    assert kept.input == known.call.input


def test_recorded_answers_tell_how_long_answers_are():
    short, long, none = (
        expected(data, PROMPT).call.output
        for data in (dataset(30, "yes"), dataset(30, "yes " * 300), dataset(30, ""))
    )
    assert short < 5
    assert long > 250
    assert short < none < long


def test_what_traces_counted_goes_before_texts():
    counted = expected(timed(30, 24, input_tokens=1000, output_tokens=100), PROMPT)
    assert (counted.call.input, counted.call.output) == (1000, 100)
    assert counted.counted
