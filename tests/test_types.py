from __future__ import annotations

import pytest

from promptmigrate.errors import TemplateError
from promptmigrate.types import Dataset, Example, Prompt, Variant


def example(text: str, **more: object) -> Example:
    return Example(id=Example.content_id({"x": text}), inputs={"x": text}, **more)  # type: ignore[arg-type]


def test_a_text_prompt_is_one_user_message_and_keeps_its_source():
    prompt = Prompt.of("Say {{x}}")
    assert prompt.render({"x": "hi"}) == ({"role": "user", "content": "Say hi"},)
    assert prompt.source == "Say {{x}}"
    assert Prompt.of([{"role": "user", "content": "Say {{x}}"}]).digest != prompt.digest


@pytest.mark.parametrize(
    "source",
    [
        "",
        [],
        [{"role": "robot", "content": "x"}],
        [{"role": "user", "content": None}],
        [{"role": "user", "content": "x", "name": "y"}],
        "{% if x %}{{x}}{% endif %}",
    ],
)
def test_prompts_that_cannot_be_kept_are_refused(source: object):
    with pytest.raises(TemplateError):
        Prompt.of(source)  # type: ignore[arg-type]


def test_variants_are_told_apart_by_content_only():
    prompt = Prompt.of("{{x}}")
    one = Variant(prompt=prompt, model="a/b", origin="original")
    assert one.digest == Variant(prompt=prompt, model="a/b", origin="else").digest
    assert one == Variant(prompt=prompt, model="a/b", origin="else")
    assert one.digest != Variant(prompt=prompt, model="a/b", params={"temperature": 0}).digest
    assert one.digest != Variant(prompt=prompt, model="a/c").digest


def test_expected_prefers_what_is_known_to_be_right():
    assert example("a", reference="r").expected == "r"
    assert example("a", reference="r", expectations={"expected_response": "e", "n": 1}).expected == "e"
    assert example("a", reference="r", expectations={"label": "l"}).expected == "l"
    assert example("a", expectations={"a": 1, "b": 2}).expected == {"a": 1, "b": 2}
    assert example("a").expected is None


def test_dataset_digest_ignores_order_and_sees_everything_else():
    rows = (example("a", reference="1"), example("b", reference="2"))
    splits = {rows[0].id: "train", rows[1].id: "test"}
    one = Dataset(examples=rows, splits=splits)  # type: ignore[arg-type]
    assert one.digest == Dataset(examples=rows[::-1], splits=splits).digest  # type: ignore[arg-type]
    assert one.split("test") == (rows[1],)
    moved = Dataset(examples=rows, splits={rows[0].id: "test", rows[1].id: "train"})
    assert moved.digest != one.digest
    changed = Dataset(examples=(example("a", reference="9"), rows[1]), splits=splits)  # type: ignore[arg-type]
    assert changed.digest != one.digest
    assert changed.split_digest("test") == one.split_digest("test")
