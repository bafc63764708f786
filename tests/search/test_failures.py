from promptmigrate.search.anatomy import Anatomy
from promptmigrate.search.contract import mine
from promptmigrate.search.failures import analyse, keep_text, render
from promptmigrate.search.seeds import Seeds
from promptmigrate.search.table import Table

from .world import extraction, sums, tickets


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
