import pytest

from promptmigrate.search.anatomy import Anatomy
from promptmigrate.search.contract import mine
from promptmigrate.search.failures import analyse, keep_text, known_text, render
from promptmigrate.search.problems import problem_of
from promptmigrate.search.seeds import Seeds
from promptmigrate.search.table import Cell, Table

from .world import example, extraction, sums, tickets


def reported(world, *, seed_index=None, rows=30):
    problem = world.problem(1000)
    contract = mine(problem.train)
    seeds = Seeds(problem, Anatomy.of(problem.original.prompt), contract)
    candidate = seeds.original() if seed_index is None else seeds.first()[seed_index]
    table = Table(problem)
    table.measure([candidate], problem.train[:rows])
    return analyse(table, candidate, problem.train, contract), problem


def test_label_failures_of_form_and_of_value_are_told_apart():
    report, _ = reported(tickets())
    assert report.failed == 30 and report.form_share > 0.9
    report, _ = reported(tickets(), seed_index=0)
    assert report.form_share == 0 and report.passed
    assert any(c.title.startswith('expected "') or "another label" in c.title for c in report.clusters)


@pytest.mark.parametrize(
    ("expected", "answer", "title", "form"),
    [
        ("退款", "这个问题的分类应该是退款。", "only the label is wanted", True),
        ("退款", "这个问题不属于任何一个类别。", "whole sentence", True),
        ("退款", "「退款」", "not spelled as expected", True),
        ("退款", "物流", 'expected "退款", answered "物流"', False),
        ("退款", "答案:物流", "the label with other text", False),
        ("退款", "保险", "not one of the labels", True),
        ("Rückgabe", "Es ist eine Rückgabe, denke ich.", "only the label is wanted", True),
        ("Rückgabe", "Größe: Rückgabe", "the label with other text", True),
    ],
)
def test_labels_are_found_in_answers_of_any_script(expected: str, answer: str, title: str, form: bool):
    contract = mine([example({"x": n}, reference=["退款", "物流", "Rückgabe"][n % 3]) for n in range(18)])
    cell = Cell(quality=0.0, text=answer, cut=False, cost_usd=None, latency_s=None, tokens=0, findings=())
    said, of_form = problem_of(example({"x": "?"}, reference=expected), cell, contract)
    assert title in said and of_form is form


def test_how_long_an_answer_is_does_not_hang_on_spaces():
    wanted = example({"x": "?"}, reference="包裹已经发出，预计三天之内送达。")
    for answer, title in (
        ("包裹还在仓库，明天才能够发出去。", "differs"),
        ("包裹还在仓库，明天才能够发出去。" * 3, "much longer"),
        ("没有。", "much shorter"),
    ):
        cell = Cell(quality=0.0, text=answer, cut=False, cost_usd=None, latency_s=None, tokens=0, findings=())
        assert title in problem_of(wanted, cell, None)[0]


def _named(answers, expected, answer):
    contract = mine([example({"x": n}, expected_response=a) for n, a in enumerate(answers)])
    cell = Cell(quality=0.0, text=answer, cut=False, cost_usd=None, latency_s=None, tokens=0, findings=())
    return problem_of(example({"x": "?"}, expected_response=expected), cell, contract)


@pytest.mark.parametrize(
    ("answer", "title", "form"),
    [
        ("a, b", "not valid JSON (it is not JSON at all)", True),
        ("[a, b]", "not valid JSON", True),
        ('Here: ["a", "b"]', "valid JSON with other text around it", True),
        ('```json\n["a", "b"]\n```', "code fence", True),
        ('["a"]', "items missing", False),
        ('["a", "b", "c"]', "do not belong there", False),
        ('["a", "c"]', "wrong items", False),
        ('["A", "b"]', "spelling, case", True),
        ('["b", "a"]', "in another order", False),
        ('["a", "b", "b"]', "not as often", False),
    ],
)
def test_failures_of_json_arrays_are_named(answer, title, form):
    said, of_form = _named([["a", "b"], ["a"], ["c"], []] * 4, ["a", "b"], answer)
    assert title in said and of_form is form


@pytest.mark.parametrize(
    ("expected", "answer", "title"),
    [
        ("1.200,50", "1,200.50", "not in the expected form"),
        ("1.200,50", "1.200,50 €", "not in the expected form"),
        ("1.200,50", "3.400,50", "is wrong"),
        ("1.200,50", "Es sind 1200,50 oder 7.", "not the final answer"),
        ("12 500,00", "12500.00", "not in the expected form"),
        ("12 500,00", "12 600,00", "is wrong"),
        ("12.5", "-12.5", "is wrong"),
        ("12.5", "12.50.", "not in the expected form"),
        ("12.5", "none", "no number"),
    ],
)
def test_numbers_are_read_in_several_notations(expected, answer, title):
    assert title in _named([f"{i}.{i + 100},50" for i in range(1, 20)], expected, answer)[0]


def test_an_answer_where_none_is_expected_is_named_and_shown_as_empty():
    assert _named(["a", "b", ""] * 5, "", "a") == (
        "an answer where none is expected: it should be empty",
        False,
    )
    rows = [example({"x": "nothing"}, expected_response="")]
    assert known_text(rows, draws=(1,)) == "Input: nothing\nExpected answer: (empty)"


def test_json_and_number_failures_are_named():
    report, _ = reported(extraction())
    assert report.clusters[0].form and "JSON" in report.clusters[0].title
    report, _ = reported(sums())
    assert report.clusters[0].title == "the number is wrong"


def test_the_text_shows_evidence_plainly_and_differs_with_the_draw():
    world = tickets()
    report, problem = reported(world, seed_index=0)
    text = render(report, focus=None, draws=(1,))
    for part in ("### Example 1", "#### Inputs\nTicket", "#### Generated Outputs", "Expected answer: "):
        assert part in text
    assert text == render(report, focus=None, draws=(1,))
    assert text != render(report, focus=None, draws=(2,))
    assert all(e.inputs["ticket"] not in text for e in (*problem.validation, *world.test))
    assert "answered well" in keep_text(report, draws=(1,))


def test_failed_calls_are_neither_failures_nor_successes():
    report, _ = reported(tickets(broken=0.5))
    assert 0 < report.failed + len(report.passed) < 25
    assert "OUTAGE" not in render(report, focus=None, draws=(1,))
