import pytest

from promptmigrate.search.anatomy import Anatomy, Candidate, Demo
from promptmigrate.search.guard import Guard
from promptmigrate.types import Prompt, Variant

from .world import example

ROW = "My parcel number seven arrived with a broken lid and two missing screws"
TRAIN = [example({"ticket": ROW}, reference="shipping"), example({"ticket": "Short one"}, reference="bug")]
PROMPT = Prompt.of(
    [{"role": "system", "content": "Sort the ticket."}, {"role": "user", "content": "{{ticket}}"}]
)


def candidate(instructions, prompt=PROMPT, **changes):
    base = Variant(prompt=PROMPT, model="toy/small")
    return Candidate(anatomy=Anatomy.of(prompt), base=base, instructions=instructions, **changes)


@pytest.fixture
def guard():
    return Guard(PROMPT, max_tokens=200, train=TRAIN)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Sort {{subject}} well.", "invents the placeholder {{subject}}"),
        ("Sort it. {% if x %}", "Jinja"),
        ("Sort {{the ticket}} well.", "'{{'"),
        ("Sort it well. " * 80, "limit is 200"),
        (f"For example '{ROW}' is shipping.", "copies a training row"),
        ("   ", "system message is empty"),
    ],
)
def test_refuses(guard, text, reason):
    assert reason in (guard.refuse(candidate(text)) or "")


def test_a_whole_template_that_loses_its_placeholder_is_refused(guard):
    lost = Prompt.of([{"role": "system", "content": "Sort."}, {"role": "user", "content": "The ticket."}])
    assert "lost the placeholder {{ticket}}" in (guard.refuse(candidate("Sort.", lost)) or "")


def test_other_roles_are_refused(guard):
    other = Prompt.of([{"role": "user", "content": "Sort.\n\n{{ticket}}"}])
    assert "roles" in (guard.refuse(candidate("Sort it well.", other)) or "")


def test_passes_what_is_new_and_refuses_near_duplicates(guard):
    assert guard.refuse(candidate("Sort the ticket into its queue.")) is None
    guard.admit(candidate("Sort the ticket into its queue."))
    assert guard.refuse(candidate("Sort the ticket into its queue.")) == "it was tried before"
    assert "same" in (guard.refuse(candidate("sort the ticket, into its QUEUE!")) or "")
    assert guard.refuse(candidate("Sort the ticket into its queue. Write lowercase.")) is None
    # The same words with demos are another candidate.
    shown = (Demo(example="1", inputs={"ticket": "x"}, answer="bug"),)
    assert guard.refuse(candidate("Sort the ticket into its queue.", demos=shown)) is None


def test_demos_may_quote_train_rows(guard):
    shown = (Demo(example=TRAIN[0].id, inputs={"ticket": ROW}, answer="shipping"),)
    assert guard.refuse(candidate("Sort the ticket.", demos=shown)) is None


def test_boilerplate_that_many_rows_share_is_not_a_copy():
    greeting = "Dear support team I am writing to you today about"
    rows = [example({"ticket": f"{greeting} item {i} thing{i} case{i}"}) for i in range(20)]
    guard = Guard(PROMPT, max_tokens=500, train=rows)
    assert guard.refuse(candidate(f"Tickets begin with '{greeting}'; skip that.")) is None


def test_json_braces_in_instructions_pass(guard):
    assert guard.refuse(candidate('Answer like {"a": {"b": 1}}.')) is None
