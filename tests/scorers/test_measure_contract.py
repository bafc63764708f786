"""Every built-in deterministic scorer keeps the contract, and answers to any text in bounded time."""

import importlib
import importlib.util
import json
import pickle
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import scorers
from scorers import Sample, from_spec
from scorers._base import Measure
from scorers._builtin import BUILTIN
from scorers.testing import ScorerContract

CALL = [{"name": "weather", "arguments": {"city": "Rome"}}]
SOURCES = {"sources": {"a1": "text", "b2": "text"}}
CASES = {
    "bleu": [{}, "The cat sat on the mat.", "Dogs bark", "The cat sat on the mat."],
    "chrf": [{"words": 2}, "The cat", "zzz", "The cat"],
    "citations": [{"sources": ["a1"]}, "It rains [a1].", "It rains.", None],
    "code_compiles": [{}, "def f():\n    return 1", "def f(:", None],
    "conciseness": [{"ratio": 1.0}, "one two", "one two three four", "one two"],
    "contains": [{}, "We are Sorry", "We are happy", "sorry"],
    "cost": [{"limit_usd": 1, "target_usd": 0.5}, Sample(output="", trace={"cost_usd": 0.5}),
             Sample(output="", trace={"cost_usd": 1.5}), None],
    "csv_valid": [{"columns": ["a", "b"], "delimiter": ";"}, "a;b\n1;2", "a;b\n1;2;3", None],
    "ends_with": [{}, "The end.", "The start.", "END."],
    "exact_match": [{}, "Paris\n", "paris", "Paris"],
    "format_contract": [{"contract": {"kind": "label", "labels": ["a", "b"], "words": [1, 2]}}, "a", "c",
                        None],
    "json_match": [
        {"compare": {"a": {"use": "numeric_match", "tolerance": 0.1}, "c[].d": "label_match"},
         "list_keys": {"l": "id"}, "unordered": ["c"]},
        '{"a": "12.04 EUR", "c": [{"d": "Y"}, {"d": "x"}]}', '{"a": 13}',
        {"a": 12, "c": [{"d": "x"}, {"d": "y"}]},
    ],
    "json_schema": [{"schema": {"type": "object", "required": ["a"], "additionalProperties": False,
                                "properties": {"a": {"type": ["string", "null"], "pattern": "^x+$"}}}},
                    '{"a": "xx"}', '{"a": "xy"}', None],
    "json_valid": [{"type": "object", "unique_keys": True}, '{"a": 1}', '{"a": 1, "a": 2}', None],
    "label_match": [{"labels": ["billing", "delivery"]}, "**Billing**.", "Delivery", "billing"],
    "language": [{"language": "en"}, "The parcel is on its way to you.", "Das ist nicht das, was wir wollen.",
                 None],
    "latency": [{"limit_s": 2}, Sample(output="", trace={"latency_s": 1}),
                Sample(output="", trace={"latency_s": 3}), None],
    "length": [{"max_words": 3, "min_chars": 2, "max_sentences": 2, "max_tokens": 9}, "one two",
               "one two three four", None],
    "levenshtein": [{"ignore_case": True}, "kitten", "zzzzzz", "KITTEN"],
    "numeric_match": [{}, "3 boxes of 14 make 42 eggs.", "#### 41", 42],
    "pii_leak": [{"allow": ["@corp.com"]}, "a@corp.com", "a@other.com", None],
    "refusal": [{}, "Here you are.", "I'm sorry, but I can't help with that.", None],
    "regex": [{"pattern": r"([A-Z]+)+-\d+", "mode": "full"}, " AB-12 ", "AB-12 or so", None],
    "rouge_l": [{"metric": "recall"}, "a big cat", "zzz", "big cat"],
    "semantic_similarity": [{"threshold": 0.5}, "same", "", "same"],
    "starts_with": [{"texts": ["Dear", "Hello"]}, "hello Ann", "Hi Ann", None],
    "token_f1": [{"threshold": 0.5}, "It was the Eiffel Tower.", "London", "Eiffel Tower"],
    "tokens": [{"limit": 10}, Sample(output="", trace={"usage": {"total_tokens": 9}}),
               Sample(output="", trace={"usage": {"total_tokens": 11}}), None],
    "tool_calls": [{"compare": {"city": {"use": "exact_match", "ignore_case": True}}, "ordered": True},
                   json.dumps([{"name": "weather", "arguments": {"city": "ROME"}}]), "none", CALL],
    "xml_valid": [{"root": "a", "elements": ["b"]}, "<a><b/></a>", "<a>", None],
    "yaml_valid": [{"keys": ["a"]}, "a: 1", "- a", None],
}  # fmt: skip


def sample(given, expected):
    return given if isinstance(given, Sample) else Sample(output=given, expected=expected)


def build(name):
    return from_spec({"use": name, **CASES[name][0]})


def contract(name, spec, good, bad, expected):
    return type(
        f"Test_{name}",
        (ScorerContract,),
        {
            "good": sample(good, expected),
            "bad": sample(bad, expected),
            "needs_expected": expected is not None,
            "make": lambda self: from_spec({"use": name, **spec}),
        },
    )


for _name, _case in CASES.items():
    globals()[f"Test_{_name}"] = contract(_name, *_case)
if importlib.util.find_spec("sqlglot"):
    TestSql = contract(
        "code_compiles", {"language": "sql", "dialect": "postgres"}, "SELECT 1", "SELECT FROM (", None
    )


def test_no_deterministic_scorer_is_forgotten():
    kinds = {n: getattr(importlib.import_module(m), k) for n, (m, k) in BUILTIN.items()}
    assert {n for n, kind in kinds.items() if issubclass(kind, Measure)} == set(CASES)
    assert set(BUILTIN) <= set(scorers.names())


@pytest.mark.parametrize("name", CASES)
def test_scorers_can_be_hashed_and_sent_to_other_processes(name):
    scorer = build(name)
    assert hash(scorer) == hash(build(name))
    assert pickle.loads(pickle.dumps(scorer)) == scorer
    with pytest.raises(AttributeError):
        scorer.name = "other"


LONG = {
    "spaces": " " * 1_000_000,
    "one letter": "a" * 1_000_000,
    "words": "word and other " * 70_000,
    "digits": "1" * 1_000_000,
    "grouped digits": "1234 5678 " * 100_000,
    "marks": "." * 1_000_000,
    "brackets": "[" * 1_000_000,
    "lists": "[1]," * 250_000,
    "JSON": json.dumps([{"a": i, "b": str(i)} for i in range(30_000)]),
    "mails": "a@b.cd " * 140_000,
    "signs": "@" * 1_000_000,
    "quotes": '"' * 1_000_000,
    "tags": "<a>" * 330_000,
    "fences": "```\n" * 250_000,
    "lines": "\n" * 1_000_000,
    "table": "a,b\n" * 250_000,
    "Chinese": "中文" * 500_000,
    "emoji": "😀é" * 500_000,
    "lone surrogates": "\ud800\udfff" * 500_000,
    "minus": "-" * 1_000_000,
    "citations": "[^1][a1] " * 120_000,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_a_megabyte_takes_less_than_50_ms_per_kilobyte(name):
    scorer, case = build(name), CASES[name]
    expected = case[3] if case[3] is not None else None
    trace = case[1].trace if isinstance(case[1], Sample) else None
    for what, text in LONG.items():
        begin = time.process_time()
        score = scorer(output=text, expected=expected, trace=trace)
        spent = time.process_time() - begin
        assert spent < 0.05 * len(text) / 1_000, f"{what}: {spent:.1f} s"
        json.dumps([score.rationale, dict(score.evidence)], allow_nan=False, ensure_ascii=False).encode()


CACHED = {name: build(name) for name in CASES}
PIECES = st.text(
    alphabet=st.sampled_from("aZ0 .,-@[](){}<>/\"'`\n:;#&!?*_%$€é中\ud800") | st.characters(), max_size=60
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize("name", CASES)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(output=PIECES | VALUES, other=PIECES | VALUES, fixed=st.booleans())
def test_no_output_and_no_expected_value_breaks_it(name, output, other, fixed):
    expected = CASES[name][3] if fixed else other
    score = CACHED[name](
        output=output, expected=expected, inputs={"sources": other, "text": other}, trace=other
    )
    assert (score.value is None) != (score.unscored is None)
    shown = json.dumps([score.rationale, dict(score.evidence)], allow_nan=False, ensure_ascii=False)
    shown.encode()
    if isinstance(output, str) and name not in ("code_compiles", "yaml_valid"):
        assert "the scorer broke" not in score.rationale or not isinstance(expected, str | type(None))
