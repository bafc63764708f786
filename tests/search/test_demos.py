import pytest

from promptmigrate.search.demos import choose, good_answer, usable

from .world import example


def test_the_answer_is_production_s_where_it_is_right_and_the_expected_one_where_not():
    assert good_answer(example({"x": 1}, reference="bug")) == "bug"
    assert good_answer(example({"x": 1}, reference="**Bug**", expected_response="bug")) == "**Bug**"
    assert good_answer(example({"x": 1}, reference="billing", expected_response="bug")) == "bug"
    assert good_answer(example({"x": 1}, reference="2 + 2\n#### 5", expected_response="4")) is None
    assert good_answer(example({"x": 1}, reference="2 + 2\n#### 4", expected_response="4")) == "2 + 2\n#### 4"
    assert (
        good_answer(example({"x": 1}, reference='{"a": 1, "b": 2}', expected_response={"a": 1}))
        == '{"a": 1, "b": 2}'
    )
    assert good_answer(example({"x": 1})) is None


@pytest.mark.parametrize(
    ("reference", "expected", "answer"),
    [
        ("not spam", "spam", "spam"),
        ("billing, account", "account", "account"),
        ("2.5", "5", "5"),
        ("-5", "5", "5"),
        ("1,200", "200", "200"),
        ("non-urgent", "urgent", "urgent"),
        ("This mail is not spam", "spam", "spam"),
        ("billing, bug, other, account", "account", "account"),
        ("This ticket belongs to account.", "account", "This ticket belongs to account."),
        ("Answer: **spam**", "spam", "Answer: **spam**"),
        ("The answer is 5.", "5", "The answer is 5."),
        ("x = $5", "5", "x = $5"),
        ("Two and two are four and one more gives 5.", "5", "Two and two are four and one more gives 5."),
        ("Two and two are four and one less gives -5.", "5", "5"),
        ("Step one.\nspam", "spam", "Step one.\nspam"),
        ('["b", "a"]', ["a"], '["a"]'),
        ('["a", "b"]', '["a","b"]', '["a", "b"]'),
        ('```json\n["a"]\n```', ["a"], '```json\n["a"]\n```'),
    ],
)
def test_production_agrees_only_where_it_says_what_is_expected(reference, expected, answer):
    assert good_answer(example({"x": 1}, reference=reference, expected_response=expected)) == answer


def test_rows_that_a_template_engine_would_read_are_left_out():
    rows = [
        example({"x": "fine"}, reference="a"),
        example({"x": "has {{name}}"}, reference="a"),
        example({"x": "has {% raw %}"}, reference="a"),
        example({"x": "answer"}, reference="{{a}}"),
    ]
    assert [demo.inputs["x"] for _, demo in usable(rows)] == ["fine"]


def test_demos_spread_over_labels_prefer_short_and_wanted_rows_and_repeat():
    rows = [example({"x": f"{label} {i} " + "long " * (40 if i == 0 else 1)}, reference=label)
            for label in "abc" for i in range(6)]  # fmt: skip
    chosen = choose(usable(rows), 3, seed=1)
    assert {demo.answer for demo in chosen} == {"a", "b", "c"}
    assert all(len(str(demo.inputs["x"])) < 100 for demo in chosen)
    assert choose(usable(rows), 3, seed=1)[0].example == chosen[0].example
    wanted = rows[4].id
    assert wanted in {demo.example for demo in choose(usable(rows), 3, seed=1, prefer=[wanted])}
    assert choose([], 3, seed=1) == ()
    assert len(choose(usable(rows), 50, seed=1)) == len(rows)
