import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scorers import ScorerSpecError, regex
from scorers._linear_regex import BoundedPattern, TooSlowError


def test_search_full_none():
    assert regex(pattern=r"\d+")(output="see 12").value == 1.0
    assert regex(pattern=r"\d+", mode="full")(output="see 12").value == 0.0
    assert regex(pattern=r"\d+", mode="full")(output=" 12\n").value == 1.0
    assert regex(pattern=r"\d+", mode="none")(output="see 12").evidence["kind"] == "forbidden"
    assert regex(pattern=r"\d+", mode="none")(output="see").value == 1.0


def test_flags():
    assert regex(pattern="^b", multiline=True)(output="a\nb").value == 1.0
    assert regex(pattern="^b")(output="a\nb").value == 0.0
    assert regex(pattern="a.b", dotall=True)(output="a\nb").value == 1.0
    assert regex(pattern="STRASSE", ignore_case=True)(output="strasse").value == 1.0


def test_kinds():
    assert regex(pattern="x")(output="").evidence["kind"] == "empty"
    score = regex(pattern="x")(output="abc")
    assert (score.evidence["kind"], score.rationale) == ("no_match", "expected a match of 'x', got 'abc'")


def test_pattern_from_the_expected_value():
    assert regex()(output="ab", expected="a.").value == 1.0
    assert regex()(output="ab", expected="(").unscored == "bad_expected"
    assert regex()(output="ab", expected="x" * 6_000).unscored == "bad_expected"
    assert regex()(output="ab", expected=r"(?=(a+)+$)b").unscored == "bad_expected"


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("(", "is not a regular expression"),
        ("x" * 6_000, "6000 characters"),
        (r"(?=(a+)+$)b", "explode"),
        (r"(a+)+\1$", "explode"),
    ],
)
def test_patterns_that_are_refused(pattern, why):
    with pytest.raises(ScorerSpecError, match=why) as caught:
        regex(pattern=pattern)
    assert caught.value.key == "pattern"


HOSTILE = [
    r"(a+)+$", r"(a|a)*$", r"(a|aa)+$", r"(.*a){12}$", r"\s+$", r"^(\w+\s?)*$", r"a*a*a*a*a*a*b", r"(x+x+)+y",
    r"(?:a?){50}a{50}$", r"([a-zA-Z]+)*\d", r"\b(\w+\b\s*)+!",
]  # fmt: skip


@pytest.mark.parametrize("pattern", HOSTILE)
@pytest.mark.parametrize("text", ["a" * 20_000 + "!", " " * 20_000 + "x", "x" * 20_000, "a b " * 5_000 + "?"])
def test_hostile_patterns_end_with_a_value(pattern, text):
    # With `re` alone these would run for longer than anybody waits; a hang fails the whole run.
    assert regex(pattern=pattern)(output=text).value in (0.0, 1.0)


def test_lookaround_runs_where_it_is_cheap_and_is_not_tried_where_it_is_not():
    scorer = regex(pattern=r"(?<!x)a*a*c")
    assert scorer(output="aac").value == 1.0
    score = scorer(output="a" * 100_000)
    assert score.unscored == "timeout"
    assert "lookaround" in score.rationale


def test_anchored_lookahead_is_linear():
    assert regex(pattern=r"^(?!.*forbidden)")(output="a" * 200_000).value == 1.0


def test_many_different_characters_do_not_fill_the_memory():
    text = "".join(chr(0x4E00 + i % 20_000) for i in range(60_000))
    pattern = BoundedPattern(r"(\w+\s?)*!", 0, full=False)
    assert pattern.matches(text) is False
    assert len(pattern._automaton._states) < 1_000


ATOM = st.sampled_from(
    ["a", "b", "ab", ".", r"\d", r"\w", r"\s", "[ab]", "[^a]", r"\b", r"\B", "^", "$", r"\A", r"\Z",
     "(?i:A)", "(?s:.)", "k", "ß", "(?a:\\w)", "\n"]
)  # fmt: skip


def _compose(children):
    repeat = st.sampled_from(["*", "+", "?", "*?", "+?", "{2}", "{1,3}", "{0,2}?", "{2,}"])
    return st.one_of(
        st.tuples(children, children).map("".join),
        st.tuples(children, children).map(lambda p: f"(?:{p[0]}|{p[1]})"),
        st.tuples(children, repeat).map(lambda p: f"(?:{p[0]}){p[1]}"),
        children.map(lambda p: f"({p})"),
    )


@given(
    st.recursive(ATOM, _compose, max_leaves=6),
    st.text("abAK1 _\nßé\u212a", max_size=8),
    st.sampled_from([0, re.I, re.M, re.S, re.A, re.I | re.M]),
    st.booleans(),
)
def test_the_automaton_agrees_with_re(pattern, text, flags, full):
    bounded = BoundedPattern(pattern, flags, full=full)
    automaton = bounded._automaton
    if automaton is None:
        return
    compiled = re.compile(pattern, flags)
    wanted = (compiled.fullmatch(text) if full else compiled.search(text)) is not None
    assert automaton.matches(text) is wanted
    assert automaton.matches(text) is wanted  # from remembered states
    assert bounded.matches(text) is wanted


def test_too_slow_is_a_value_error():
    assert issubclass(TooSlowError, ValueError)
