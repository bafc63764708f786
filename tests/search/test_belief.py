"""The joint model of all candidates: it agrees with a dense Gaussian, and does what it is there for."""

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from promptmigrate.search import belief as module
from promptmigrate.search.belief import Belief
from promptmigrate.search.state import State

from . import world as worlds


def candidates():
    found = State(worlds.tickets(200).problem(1000))
    base = found.original.but(instructions="Answer with one label.\nBe brief.")
    rules = base.but(instructions=f"{base.instructions}\nRefunds are billing.")
    demos = found.seeds.demos(4)
    return found, [found.original, base, rules, base.but(demos=demos), rules.but(demos=demos)]


class Cells:
    """A table of given qualities."""

    def __init__(self, values):
        self.values = values

    def quality(self, candidate, row):
        return self.values.get((candidate.key, row.id))


FOUND, MEMBERS = candidates()
ROWS = FOUND.validation[:12]
PAIRS = list(itertools.product(range(len(MEMBERS)), range(len(ROWS))))


def believe(values, hopes=None):
    return Belief.of(Cells(values), MEMBERS, ROWS, hopes or {})


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(st.sampled_from(PAIRS), st.floats(0, 1), max_size=len(PAIRS)),
    st.lists(st.floats(-0.3, 0.3), min_size=len(MEMBERS), max_size=len(MEMBERS)),
)
def test_it_is_the_posterior_of_the_dense_gaussian(cells, hopes):
    """Against conditioning on all answers at once, one by one correlated, as a textbook has it."""
    values = {(MEMBERS[c].key, ROWS[r].id): q for (c, r), q in cells.items()}
    found = believe(values, {m.key: h for m, h in zip(MEMBERS, hopes, strict=True)})
    places = list(cells)
    columns = [module._column(Cells(values), MEMBERS, row) for row in ROWS]
    kernel, noise = module._kernel(MEMBERS), module._noise(columns)
    prior = np.array(hopes)
    if not places:
        assert np.allclose(found.mean, prior) and np.allclose(found.covariance, kernel)
        return
    who = np.array([c for c, _ in places])
    row = np.array([r for _, r in places])
    among = (
        kernel[np.ix_(who, who)] + module._ROWS * (row[:, None] == row[None, :]) + noise * np.eye(len(who))
    )
    gain = np.linalg.solve(among, kernel[who]).T
    assert np.allclose(found.mean, prior + gain @ (np.array(list(cells.values())) - prior[who]), atol=1e-6)
    assert np.allclose(found.covariance, kernel - gain @ kernel[who], atol=1e-6)


@given(st.permutations(MEMBERS))
@settings(max_examples=10, deadline=None)
def test_the_kernel_is_a_covariance(order):
    values = np.linalg.eigvalsh(module._kernel(list(order)))
    assert values.min() > 0


def test_a_relative_tells_something_a_stranger_little():
    original, base, rules, *_ = MEMBERS
    known = {(m.key, e.id): q for e in ROWS for m, q in ((original, 0.0), (base, 1.0))}
    found = believe(known)
    assert found.difference(rules, original).mean > 0.5 * found.difference(base, original).mean > 0.2
    assert found.difference(rules, original).variance > found.difference(base, original).variance


def test_luck_on_a_few_rows_is_shrunk():
    _, base, rules, *_ = MEMBERS
    few = {(m.key, e.id): q for e in ROWS[:2] for m, q in ((base, 0.0), (rules, 1.0))}
    many = {(m.key, e.id): q for e in ROWS for m, q in ((base, 0.0), (rules, 1.0))}
    assert 0 < believe(few).difference(rules, base).mean < believe(many).difference(rules, base).mean < 1.0


def test_an_answer_to_a_hard_row_is_not_held_against_who_answered_it():
    _, base, rules, *_ = MEMBERS
    values = {(base.key, e.id): float(i < 6) for i, e in enumerate(ROWS)}
    values |= {(rules.key, e.id): 0.0 for e in ROWS[6:]}
    assert believe(values).difference(rules, base).mean > -0.25  # half of what the two means differ by


def test_missing_answers_are_no_answers():
    _, base, rules, *_ = MEMBERS
    values = {(base.key, ROWS[0].id): 1.0, (rules.key, ROWS[0].id): None}
    assert (
        believe(values).difference(rules, base).mean
        == believe({(base.key, ROWS[0].id): 1.0}).difference(rules, base).mean
    )
