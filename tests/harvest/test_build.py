from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptmigrate.errors import DataError
from promptmigrate.harvest import check_size
from promptmigrate.harvest._call import Call
from promptmigrate.harvest.build import Built, build, hide_group
from promptmigrate.harvest.splits import assign
from promptmigrate.types import Dataset, Example


def call(ticket: Any, reference: str | None = "x", *, at: int = 0, **options: Any) -> Call:
    metadata = {"timestamp": f"2026-01-01T00:00:{at:02d}", **options.pop("metadata", {})}
    return Call(inputs={"ticket": ticket}, reference=reference, metadata=metadata, **options)


def test_everything_that_was_recorded_is_redacted() -> None:
    secret = "sk-proj-Abcdefgh12345678ijkl"
    built = build(
        [
            call(
                {"body": "Mail me: jane.doe@example.com", "all": ["+49 30 12345678"]},
                f"Charged card 4111 1111 1111 1111, key {secret}",
                expectations={"expected_response": "wrote to jane.doe@example.com"},
                group="jane.doe@example.com",
                metadata={"feedback": {"why": "ask jane.doe@example.com"}, "model": "openai/gpt-4.1"},
            )
        ],
        name="support",
    )
    (example,) = built.examples
    shown = json.dumps([dict(example.inputs), example.reference, example.expectations, example.group])
    shown += json.dumps(dict(example.metadata))
    for private in ("jane", "12345678", "4111", secret):
        assert private not in shown
    assert built.redactions == {"card": 1, "email": 3, "phone": 1, "secret": 1}
    assert example.metadata["model"] == "openai/gpt-4.1"
    assert example.metadata["timestamp"] == "2026-01-01T00:00:00"
    assert example.id == Example.content_id(example.inputs)


def test_ordinary_numbers_stay() -> None:
    text = "Order 1234567890123456 of 2026-11-21 14:05, EUR 1,234,567.89, 3 x 12345678, v1.2.3, room 0301"
    built = build([call(text, text, metadata={"latency_s": 1.2345, "tokens": 123456})], name="n")
    assert built.examples[0].inputs == {"ticket": text}
    assert built.examples[0].reference == text
    assert built.examples[0].metadata["tokens"] == 123456
    assert built.redactions == {}


def test_only_the_kinds_asked_for() -> None:
    (example,) = build([call("a@example.com +49 30 12345678")], name="n", kinds=("phone",)).examples
    assert "a@example.com" in example.inputs["ticket"] and "12345678" not in example.inputs["ticket"]


def test_calls_that_differ_only_in_what_is_redacted_are_one() -> None:
    built = build([call("I am a@example.com"), call("I am b@example.com")], name="n")
    assert len(built.examples) == 1 and built.duplicates == 1


def test_the_most_frequent_then_the_latest_answer_is_the_reference() -> None:
    def reference(*answers: str | None) -> str | None:
        calls = [call("t", answer, at=index) for index, answer in enumerate(answers)]
        (example,) = build(calls, name="n").examples
        return example.reference

    assert reference("a", "a", "b") == "a"
    assert reference("a", "b") == "b"
    assert reference("a", None) == "a"
    assert reference(None, None) is None


def test_of_contradictory_expectations_the_majority_counts_and_without_one_the_row_is_left_out() -> None:
    def built(*labels: str | None) -> Built:
        rows = [call("t", "a", at=n, expectations={"label": x} if x else {}) for n, x in enumerate(labels)]
        return build([*rows, call("other", "a", expectations={"label": "a"})], name="n")

    settled = built("a", None, "b", "a")
    assert [e.expectations for e in settled.examples] == [{"label": "a"}] * 2
    assert (settled.contradictions, settled.undecided, settled.duplicates) == (1, 0, 3)
    for labels in (("a", "b"), ("a", "b", "c"), ("a", "a", "b", "b")):
        open_question = built(*labels)
        assert [e.inputs for e in open_question.examples] == [{"ticket": "other"}]
        assert (open_question.contradictions, open_question.undecided) == (1, 1)
        assert open_question.duplicates == len(labels) - 1
    assert built("a", "a", None).contradictions == 0


def test_only_an_expectation_that_is_compared_with_can_leave_a_row_out() -> None:
    def built(*stated: dict[str, Any], read: tuple[str, ...] | None = None) -> Built:
        return build([call("t", at=n, expectations=x) for n, x in enumerate(stated)], name="n", read=read)

    kept = built({"expected_response": "a", "note": "y"}, {"expected_response": "a", "note": "x"})
    assert [e.expected for e in kept.examples] == ["a"]
    assert kept.examples[0].expectations == {"expected_response": "a", "note": "x"}
    assert (kept.contradictions, kept.undecided) == (0, 0)

    ways = ({"queue": "a", "note": "y"}, {"queue": "a", "note": "x"}, {"queue": "a", "note": "y"})
    assert built(*ways[:2]).undecided == 1, "nobody said which of the two is compared with"
    assert built(*ways[:2], read=("note",)).undecided == 1
    named = built(*ways[:2], read=("queue",))
    assert (named.contradictions, named.undecided) == (0, 0)
    assert built(*ways, read=("queue",)).examples[0].expectations == {"queue": "a", "note": "y"}
    # What is compared with still has to be agreed on, whatever else is.
    apart = built({"expected_response": "a", "note": "x"}, {"expected_response": "b", "note": "x"})
    assert (apart.examples, apart.contradictions, apart.undecided) == ((), 1, 1)


def test_merged_calls_keep_their_traces_and_their_expectations() -> None:
    built = build(
        [
            call("t", "a", at=2, trace_ids=("t2",), expectations={"label": "x"}),
            call("t", "a", at=1, trace_ids=("t1",), expectations={"label": "x", "tone": "kind"}),
            call("t", "b", at=3, trace_ids=("t3",)),
        ],
        name="n",
    )
    (example,) = built.examples
    assert example.trace_ids == ("t1", "t2", "t3")
    assert example.expectations == {"label": "x", "tone": "kind"}
    assert (example.weight, example.metadata["count"], example.metadata["answers"]) == (1.0, 3, 2)
    assert (built.duplicates, built.conflicts) == (2, 1)


def test_groups_are_salted_by_the_dataset() -> None:
    assert hide_group("alice", name="a") != hide_group("alice", name="b") != "alice"
    assert hide_group("", name="a") == ""


calls = st.builds(
    lambda ticket, reference, at, group: call(ticket, reference, at=at, group=group),
    st.integers(0, 12).map(str),
    st.sampled_from(["x", "y", None]),
    st.integers(0, 30),
    st.sampled_from(["", "g1", "g2", "g3"]),
)


@given(st.lists(calls, max_size=30), st.randoms())
def test_the_order_of_reading_does_not_matter(rows: list[Call], random: Any) -> None:
    distinct = [
        Call(
            inputs=row.inputs,
            reference=row.reference,
            group=row.group,
            metadata={"timestamp": f"2026-01-01T{index:06d}"},
        )
        for index, row in enumerate(rows)
    ]
    shuffled = list(distinct)
    random.shuffle(shuffled)
    assert build(shuffled, name="n").examples == build(distinct, name="n").examples


@given(st.lists(calls, min_size=1, max_size=40), st.lists(calls, max_size=20), st.integers(0, 5))
def test_rows_stay_in_their_split_and_groups_whole(old: list[Call], new: list[Call], seed: int) -> None:
    later = [
        Call(
            inputs=row.inputs, reference=row.reference, group=row.group, metadata={"timestamp": "2026-02-01"}
        )
        for row in new
    ]

    def splits(rows: list[Call]) -> tuple[dict[str, str], tuple[Example, ...]]:
        examples = build(rows, name="n").examples
        return dict(assign(examples, train=0.3, validation=0.35, seed=seed)), examples

    before, _ = splits(old)
    after, examples = splits([*old, *later])
    assert {key: after[key] for key in before} == before
    by_group: dict[str, set[str]] = {}
    for example in examples:
        by_group.setdefault(example.cluster, set()).add(after[example.id])
    assert all(len(places) == 1 for places in by_group.values())


def test_shares_are_met_in_the_long_run_and_another_seed_draws_anew() -> None:
    examples = build([call(str(index)) for index in range(4000)], name="n").examples
    first = assign(examples, train=0.3, validation=0.35, seed=7)
    counts = {name: list(first.values()).count(name) for name in ("train", "validation", "test")}
    # Four standard deviations of a binomial count.
    assert abs(counts["train"] - 1200) < 4 * (4000 * 0.3 * 0.7) ** 0.5
    assert abs(counts["validation"] - 1400) < 4 * (4000 * 0.35 * 0.65) ** 0.5
    second = assign(examples, train=0.3, validation=0.35, seed=8)
    moved = sum(first[key] != second[key] for key in first)
    assert 0.5 < moved / 4000 < 0.8


def dataset(rows: int, test: int) -> Dataset:
    examples = tuple(Example(id=str(index), inputs={"a": index}) for index in range(rows))
    return Dataset(
        examples=examples,
        splits={e.id: "test" if index < test else "train" for index, e in enumerate(examples)},
    )


@pytest.mark.parametrize(
    ("rows", "test", "message"),
    [
        (20, 5, "only 5 of 20 rows are test rows, and a verdict needs at least 10: gather roughly 40 rows"),
        (3, 0, "only 0 of 3 rows are test rows, .* roughly 30 rows"),
        (0, 0, "the dataset is empty"),
        (20, 10, None),
    ],
)
def test_a_test_split_that_is_too_small(rows: int, test: int, message: str | None) -> None:
    if message is None:
        check_size(dataset(rows, test))
        return
    with pytest.raises(DataError, match=message):
        check_size(dataset(rows, test))
