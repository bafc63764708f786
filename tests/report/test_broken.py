"""What broken rows have in common, told with counts."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

import scorers
from promptmigrate.report import broken
from promptmigrate.report.shapes import Answer, TestRow


def row(example, expected, before, after, text="Hello there", scores=None):
    right, left = scores or (float(before == expected), float(after == expected))
    return TestRow(
        example=example,
        inputs={"text": text},
        expected=expected,
        baseline=Answer(output=before, score=right),
        candidate=Answer(output=after, score=left),
    )


def good(count, expected="billing", text="Please have a look", start=0):
    return [row(f"g{start + n:03}", expected, expected, expected, f"{text} {n}") for n in range(count)]


def test_the_same_mistake_is_one_cluster_with_what_its_inputs_share():
    rows = [
        *good(60),
        *good(30, "refund", "I want my money", start=100),
        row("a", "refund", "refund", "billing", "My invoice is wrong, give it back"),
        row("b", "refund", "refund", "billing", "That invoice was paid twice"),
        row("c", "refund", "refund", "billing", "Two times the invoice, one times the goods"),
        row("d", "shipping", "shipping", "general"),
    ]
    first, second = broken.find(rows)
    assert first.rule == "expected 'refund'; answered 'billing'; inputs mention 'invoice'"
    assert [r.example for r in first.rows] == ["a", "b", "c"]
    assert (first.total, first.others, first.unbroken) == (4, 0, 90)
    assert [(c.here, c.others) for c in first.conditions] == [(3, 30), (3, 60), (3, 0)]
    assert second.rule == "answered otherwise" and len(second.rows) == 1


def test_counts_are_honest_about_rows_that_did_not_break():
    rows = [
        *good(20, "refund", "invoice number", start=50),
        row("a", "refund", "refund", "billing", "invoice A"),
        row("b", "refund", "refund", "billing", "invoice B"),
    ]
    (cluster,) = broken.find(rows)
    assert cluster.rule == "expected 'refund'; answered 'billing'", "all refunds mention invoices"


def test_words_that_coincide_by_chance_are_not_told():
    words = [f"word{chr(97 + n // 26)}{chr(97 + n % 26)}" for n in range(600)]
    rows = [
        row(f"g{n}", "x", "x", "x", " ".join(words[(n * 37 + k * 11) % 600] for k in range(60)))
        for n in range(40)
    ]
    rows += [
        row(f"b{n}", "x", "x", "y", " ".join(words[(n * 53 + k * 7) % 600] for k in range(60)))
        for n in range(3)
    ]
    (cluster,) = broken.find(rows)
    assert cluster.rule == "expected 'x'; answered 'y'"


def test_long_inputs_are_told_as_such():
    rows = [
        *good(50, text="short"),
        *(row(f"l{n}", "billing", "billing", "general", "long " * 100 + str(n)) for n in range(5)),
    ]
    (cluster,) = broken.find(rows)
    assert cluster.rule == "expected 'billing'; answered 'general'; inputs longer than 400 characters"


def test_answers_that_are_no_labels_are_put_together_by_their_looks():
    def text(example, before, after, words="Tell me"):
        return row(example, "a long expectation " * 5, before, after, words, scores=(1.0, 0.0))

    rows = [
        *(row(f"g{n}", "same " * 20, "same " * 20, "same " * 20) for n in range(10)),
        text("a", '{"a": 1}', "a is 1"),
        text("b", '{"a": 2}', "a is 2"),
        text("c", "x = 1", "```\nx = 1\n```"),
        text("d", "some answer of one line and some more", "  "),
        text("e", "Yes.", "Well, " * 40),
    ]
    rules = {cluster.rule: len(cluster.rows) for cluster in broken.find(rows)}
    assert rules == {
        "answered no JSON where production did": 2,
        "put a code fence around the answer": 1,
        "answered nothing": 1,
        "answered more than 3 times as long as production": 1,
    }


def test_what_scorers_say_of_the_answer_is_told():
    rows = [
        *good(10),
        row(
            "a",
            "12 apples and nothing else, thank you all",
            "12",
            "eleven apples, I think it was, or so",
            scores=(1, 0),
        ),
    ]
    (cluster,) = broken.find(rows, [scorers.numeric_match()])
    assert cluster.rule.startswith("numeric_match: ")


def test_rows_that_answered_alike_did_not_answer_otherwise():
    rows = [*good(20), row("a", "x " * 40, "one answer", "another", scores=(1.0, 0.0))]
    (cluster,) = broken.find(rows)
    assert (cluster.rule, cluster.others) == ("answered otherwise", 0)
    (cluster,) = broken.find([*good(20), row("a", "x", "the same", "the same", scores=(1.0, 0.5))])
    assert (cluster.rule, cluster.others) == ("answered as production did", 20)


def test_a_group_of_texts_is_divided_where_only_some_share_something():
    def text(example, words):
        return row(example, "e " * 40, "good " * 9, "bad " * 12, words, scores=(1.0, 0.0))

    rows = [
        *good(60, text="plain question"),
        *(text(f"a{n}", f"about alpaca {n}") for n in range(5)),
        *(text(f"z{n}", f"some other {chr(97 + n) * 4}") for n in range(5)),
    ]
    found = broken.find(rows)
    assert sorted(len(cluster.rows) for cluster in found) == [5, 5]
    assert any("alpaca" in cluster.rule for cluster in found)


def test_nothing_broken_and_nothing_measured():
    assert broken.find(good(5)) == ()
    assert broken.find([TestRow(example="a", inputs={}, baseline=Answer(), candidate=Answer(score=0))]) == ()


ROWS = st.lists(
    st.builds(
        row,
        st.integers(0, 10_000).map(lambda n: f"{n:05}"),
        st.sampled_from(["a", "b", "c", "long text " * 9]),
        st.sampled_from(["a", "b", "c", ""]),
        st.sampled_from(["a", "b", "```a```", "{}", "", "long answer " * 20]),
        st.text("ab \n'\"\\\u2028", max_size=60),
    ),
    unique_by=lambda r: r.example,
    max_size=40,
)


@settings(max_examples=60, deadline=None)
@given(ROWS, st.randoms())
def test_every_broken_row_is_in_one_cluster_whatever_the_order(rows, random):
    found = broken.find(rows)
    members = [r.example for cluster in found for r in cluster.rows]
    assert sorted(members) == sorted(r.example for r in rows if broken.is_broken(r))
    for cluster in found:
        assert all(condition.here <= len(cluster.rows) for condition in cluster.conditions)
        assert cluster.others <= min(condition.others for condition in cluster.conditions)
    random.shuffle(rows)
    assert broken.find(rows) == found


def test_words_that_are_rarer_among_many_broken_rows_are_not_what_they_share():
    def text(example, words, after):
        return row(example, "e " * 40, "good " * 9, after, words, scores=(1.0, float(after != "bad ")))

    rows = [text(f"g{n:04}", "about alpaca", "good ") for n in range(6000)]
    rows += [text(f"b{n:04}", "zebra alpaca" if n % 3 else "zebra", "bad ") for n in range(1500)]
    assert [cluster.rule for cluster in broken.find(rows)] == ["answered 'bad'; inputs mention 'zebra'"]
