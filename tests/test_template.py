from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptmigrate.errors import TemplateError
from promptmigrate.template import check, is_literal, recover, render, variables

names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)
plain = st.text(max_size=40).filter(lambda text: "{" not in text and "}" not in text)


def test_variables_are_named_once_in_order():
    assert variables("{{b}} {{ a }} {{b}} {{x-y}} {{1a}} {single}") == ("b", "a")


def test_values_are_never_rescanned():
    assert render("A={{a}} B={{b}}", {"a": "{{b}}", "b": "SECRET"}) == "A={{b}} B=SECRET"


def test_values_that_are_not_text_are_written_as_json():
    assert render("{{a}}|{{b}}|{{c}}", {"a": None, "b": {"k": ["é"]}, "c": 3}) == 'null|{"k": ["é"]}|3'


def test_missing_value_is_named_with_what_is_given():
    with pytest.raises(TemplateError, match="variable 'b' of the prompt has no value \\(given: a\\)"):
        render("{{a}} {{b}}", {"a": 1})


@pytest.mark.parametrize("text", ["{% if x %}", "{# note #}", "x" * 100_001])
def test_text_that_means_something_else_elsewhere_is_refused(text: str):
    with pytest.raises(TemplateError):
        check(text)


@given(st.lists(st.tuples(plain, names), max_size=5), plain, st.data())
def test_render_puts_each_value_in_its_place(pieces: list[tuple[str, str]], tail: str, data: st.DataObject):
    values = {name: data.draw(st.text(max_size=20)) for _, name in pieces}
    template = "".join(f"{text}{{{{{name}}}}}" for text, name in pieces) + tail
    assert render(template, values) == "".join(text + values[name] for text, name in pieces) + tail


@given(st.lists(names, min_size=1, max_size=4, unique=True), st.data())
def test_recover_inverts_render(order: list[str], data: st.DataObject):
    # separators that occur in no value make the inverse unique
    words = st.text(alphabet="abc ", max_size=10)
    values = {name: data.draw(words) for name in order}
    template = "Start: " + " | ".join(f"{{{{{name}}}}}" for name in order) + " #end"
    assert recover(template, render(template, values)) == values


def test_recover_refuses_what_does_not_match():
    assert recover("Hi {{a}}!", "Hello Bob!") is None
    assert recover("{{a}} and {{a}}", "x and y") is None
    assert recover("{{a}} and {{a}}", "x and x") == {"a": "x"}
    assert recover("no variables", "no variables") == {}
    assert recover("aXa", "a") is None
    assert recover("ab{{x}}bc", "abc") is None


@given(st.text(max_size=60))
def test_literals_render_to_themselves(text: str):
    if is_literal(text):
        assert render(text, {}) == text
