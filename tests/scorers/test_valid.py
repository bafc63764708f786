import csv
import importlib.util
import json
import warnings

import pytest

from scorers import ScorerSpecError, code_compiles, csv_valid, json_schema, json_valid, xml_valid, yaml_valid

NEEDS_SQL = pytest.mark.skipif(not importlib.util.find_spec("sqlglot"), reason="sqlglot is not installed")


def found(score):
    return (score.value, score.evidence["kind"])


@pytest.mark.parametrize(
    ("options", "output", "kind"),
    [
        ({}, '{"a": 1}', "match"),
        ({}, "1", "match"),
        ({}, {"a": [1, None]}, "match"),
        ({}, b'{"a": 1}', "match"),
        ({}, {"a": float("nan")}, "invalid_json"),
        ({}, '{"a": NaN}', "invalid_json"),
        ({}, "{'a': 1}", "invalid_json"),
        ({}, "\ufeff{}", "text_around_json"),
        ({}, "[" * 500 + "]" * 500, "invalid_json"),
        ({}, "1" * 5_000, "invalid_json"),
        ({}, None, "empty"),
        ({}, "```json\n{}\n```", "fenced_json"),
        ({"allow_fences": True}, "```json\n{}\n```", "match"),
        ({}, "Sure: {}", "text_around_json"),
        ({"type": "object"}, "[1]", "wrong_type"),
        ({"type": "list"}, "[1]", "match"),
        ({"type": "object"}, "null", "wrong_type"),
        ({"unique_keys": True}, '{"a": {"b": 1, "b": 2}}', "repeated_key"),
        ({"unique_keys": True, "allow_fences": True}, '```\n{"b": 1, "b": 2}\n```', "repeated_key"),
        ({}, '{"a": 1, "a": 2}', "match"),
    ],
)
def test_json_valid(options, output, kind):
    assert found(json_valid(**options)(output=output)) == (float(kind == "match"), kind)


def test_json_valid_says_where():
    score = json_valid()(output='{\n "a": 1,\n}')
    assert (score.evidence["at"], "property name" in score.rationale) == ("line 3 column 1", True)


SCHEMA = {
    "type": "object",
    "required": ["urgency"],
    "properties": {
        "urgency": {"enum": ["low", "high"]},
        "when": {"type": "string", "format": "date"},
        "items": {"type": "array", "items": {"$ref": "#/$defs/item"}, "uniqueItems": True},
    },
    "$defs": {"item": {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}}},
}


def test_json_schema():
    scorer = json_schema(schema=SCHEMA)
    assert scorer(output='{"urgency": "low", "items": [{"n": 1}, {"n": 2}]}').value == 1.0
    assert scorer(output={"urgency": "low", "items": ({"n": 1},)}).value == 1.0
    score = scorer(output='{"urgency": "soon", "items": [{"n": 0}, {"n": 0}]}')
    assert score.value == 0.0
    assert {(e["path"], e["rule"]) for e in score.evidence["errors"]} == {
        ("$.urgency", "enum"),
        ("$.items[0].n", "minimum"),
        ("$.items[1].n", "minimum"),
        ("$.items", "uniqueItems"),
    }
    assert "$.urgency" in score.rationale
    assert found(scorer(output='```\n{"urgency": "low"}\n```')) == (0.0, "fenced_json")
    assert json_schema(schema=SCHEMA, allow_fences=True)(output='```\n{"urgency": "low"}\n```').value == 1.0


def test_formats_are_off_by_default():
    output = '{"urgency": "low", "when": "tomorrow"}'
    assert json_schema(schema=SCHEMA)(output=output).value == 1.0
    assert json_schema(schema=SCHEMA, formats=True)(output=output).value == 0.0


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ({"type": "nothing"}, "not a JSON schema"),
        ({"$ref": "https://example.com/schema.json"}, "nothing is fetched"),
        ({"properties": {"a": {"$ref": "file:///etc/passwd"}}}, "nothing is fetched"),
        ({"pattern": r"(?=(a+)+b)"}, "is refused"),
        ({"patternProperties": {r"^(a+)+$": {}}}, "is refused"),
        ({"const": object()}, "a mapping"),
    ],
)
def test_schemas_that_cannot_be_used(schema, message):
    with pytest.raises(ScorerSpecError, match=message):
        json_schema(schema=schema)


def test_an_own_id_may_be_referred_to():
    schema = {
        "$id": "https://example.com/a.json",
        "properties": {"x": {"$ref": "https://example.com/a.json#/$defs/n"}},
        "$defs": {"n": {"type": "number"}},
    }
    assert json_schema(schema=schema)(output='{"x": "1"}').value == 0.0
    assert json_schema(schema=schema)(output='{"x": 1}').value == 1.0


def test_patterns_and_unique_items_take_linear_time():
    scorer = json_schema(schema={"items": {"pattern": "^(a+)+$"}, "uniqueItems": True})
    many = ["a" * 50 + "b", 1, "1", True, None, [], {}] + [{"k": i} for i in range(20_000)] + [1.0]
    rules = {e["rule"] for e in scorer(output=json.dumps(many)).evidence["errors"]}
    assert rules == {"pattern", "uniqueItems"}
    keyed = json_schema(schema={"patternProperties": {"^x_": {"type": "integer"}}})
    assert keyed(output='{"x_a": 1, "b": "c"}').value == 1.0
    assert keyed(output='{"x_a": "1"}').value == 0.0
    assert keyed(output=json.dumps({"x" * 1_000: 1})).unscored == "timeout"


def test_a_schema_that_refers_to_itself_without_end_is_unscored():
    branch = {"properties": {"a": {"$ref": "#"}}}
    schema = {"anyOf": [branch, branch], "not": {"required": ["z"]}}
    output = json.loads('{"a":' * 40 + '{"z": 1}' + "}" * 40)
    assert json_schema(schema=schema)(output=output).unscored == "timeout"


@pytest.mark.parametrize(
    ("options", "output", "kind"),
    [
        ({}, "<a><b/>text</a>", "match"),
        ({}, '\n<?xml version="1.0" encoding="utf-16"?><a>é</a>\n', "match"),
        ({}, "<a><b></a>", "invalid_xml"),
        ({}, "<a>R&B</a>", "invalid_xml"),
        ({}, "<a>&unknown;</a>", "invalid_xml"),
        ({}, "Here: <a/>", "invalid_xml"),
        ({}, "<a>\ud800</a>", "invalid_xml"),
        ({}, "<a/><b/>", "invalid_xml"),
        ({}, '<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>', "doctype"),
        ({}, '<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>', "doctype"),
        ({}, "<a>" * 2_000 + "</a>" * 2_000, "too_deep"),
        ({"root": "a"}, "<b/>", "wrong_root"),
        ({"elements": ["b", "c"]}, "<a><b/></a>", "missing_elements"),
        ({}, "```xml\n<a/>\n```", "fenced_xml"),
        ({"allow_fences": True}, "Sure:\n```xml\n<a/>\n```", "match"),
        ({"allow_fences": True}, "```xml\n<a>\n```", "invalid_xml"),
        ({}, " ", "empty"),
    ],
)
def test_xml_valid(options, output, kind):
    assert found(xml_valid(**options)(output=output)) == (float(kind == "match"), kind)


@pytest.mark.parametrize(
    ("options", "output", "kind"),
    [
        ({}, "a,b\n1,2\n", "match"),
        ({}, 'a,b\n"x, y","two\nlines"\n', "match"),
        ({}, "a,b\n1\n", "ragged_rows"),
        ({}, 'a,b\n"x,1\n', "invalid_csv"),
        ({}, 'a,b\n"x"y,1\n', "invalid_csv"),
        ({}, "a,b\n" + "x" * 140_000 + ",1", "invalid_csv"),
        ({}, "a,b", "too_few_rows"),
        ({"header": False}, "a,b", "match"),
        ({"max_rows": 1}, "a\n1\n2", "too_many_rows"),
        ({"columns": ["a", "b"]}, "a, b\n1,2", "match"),
        ({"columns": ["a", "b"]}, "b,a\n1,2", "wrong_columns"),
        ({"delimiter": "\t"}, "a\tb\n1\t2", "match"),
        ({}, "a,b\n\n1,2\n\n", "match"),
        ({}, "Here:\n```csv\na,b\n1,2\n```", "fenced_csv"),
        ({"allow_fences": True}, "Here:\n```csv\na,b\n1,2\n```", "match"),
        ({}, "", "empty"),
    ],
)
def test_csv_valid(options, output, kind):
    assert found(csv_valid(**options)(output=output)) == (float(kind == "match"), kind)


def test_csv_valid_is_the_same_whatever_the_limit_of_the_process():
    found = []
    for limit in (131_072, 10_000_000):
        before = csv.field_size_limit(limit)
        try:
            found += [csv_valid()(output=f"a,b\n{'x' * n},1") for n in (131_072, 131_073)]
        finally:
            csv.field_size_limit(before)
    assert found[:2] == found[2:]
    assert [score.value for score in found[:2]] == [1.0, 0.0]


@pytest.mark.parametrize(
    ("options", "output", "kind"),
    [
        ({}, "a: 1\nb: [x, y]", "match"),
        ({}, "- a\n- b: c", "match"),
        ({}, "Sure, here it is.", "wrong_type"),
        ({"type": "any"}, "Sure, here it is.", "match"),
        ({"type": "list"}, "a: 1", "wrong_type"),
        ({}, "a: 1\na: 2", "repeated_key"),
        ({}, "x: {a: 1, a: 2}", "repeated_key"),
        ({}, "a: &x 1\nb: *x", "alias"),
        ({}, "!!python/object:os.system {}", "tag"),
        ({}, "a: 1\n---\nb: 2", "many_documents"),
        ({}, "[" * 200 + "]" * 200, "too_deep"),
        ({}, "a: [1", "invalid_yaml"),
        ({}, "a: \x00", "invalid_yaml"),
        ({}, "a: \ud800", "invalid_yaml"),
        ({}, "# nothing", "wrong_type"),
        ({"keys": ["a", "b"]}, "a: 1\nc: {b: 2}", "missing_keys"),
        ({}, "```yaml\na: 1\n```", "fenced_yaml"),
        ({"allow_fences": True}, "```yaml\na: 1\n```", "match"),
        ({}, "", "empty"),
    ],
)
def test_yaml_valid(options, output, kind):
    assert found(yaml_valid(**options)(output=output)) == (float(kind == "match"), kind)


def test_yaml_laughs_are_not_expanded_and_long_texts_not_read():
    laugh = "a: &a [x, x]\n" + "".join(
        f"{c}: &{c} [*{p}, *{p}]\n" for p, c in zip("abcd", "bcde", strict=True)
    )
    assert found(yaml_valid()(output=laugh)) == (0.0, "alias")
    assert yaml_valid()(output="a" * 600_000).unscored == "timeout"


@pytest.mark.parametrize(
    ("output", "kind"),
    [
        ("def f(x):\n    return x", "match"),
        ("import os; os.remove('x')", "match"),
        ("x = '\\d'", "match"),
        ("def f(:", "syntax_error"),
        ("Sure! Here is the code", "syntax_error"),
        ("if x:\nprint(1)", "syntax_error"),
        ("x = \x00", "syntax_error"),
        ("'\ud800'", "syntax_error"),
        ("(" * 500, "syntax_error"),
        ("```python\nx = 1\n```", "fenced_code"),
        ("", "empty"),
    ],
)
def test_python_compiles(output, kind):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert found(code_compiles()(output=output)) == (float(kind == "match"), kind)


def test_python_is_never_run(tmp_path):
    target = tmp_path / "touched"
    assert code_compiles()(output=f"open({str(target)!r}, 'w')").value == 1.0
    assert not target.exists()


def test_code_that_cannot_be_judged_is_unscored():
    assert code_compiles()(output="-" * 100_000 + "1").unscored == "timeout"
    assert code_compiles()(output="a;" * 200_000).unscored == "timeout"


@NEEDS_SQL
@pytest.mark.parametrize(
    ("output", "kind"),
    [
        ("SELECT a, count(*) FROM t GROUP BY a", "match"),
        ("WITH x AS (SELECT 1) SELECT * FROM x; DROP TABLE y", "match"),
        ("INSERT INTO t VALUES (1)", "match"),
        ("SELECT * FROM", "syntax_error"),
        ("SELECT (1", "syntax_error"),
        ("Sure, here is the query", "syntax_error"),
        ("hello world", "not_a_statement"),
        ("SELECT", "not_a_statement"),
        ("-- nothing", "not_a_statement"),
        ("```sql\nSELECT 1\n```", "fenced_code"),
    ],
)
def test_sql_compiles(output, kind):
    assert found(code_compiles(language="sql")(output=output)) == (float(kind == "match"), kind)


@NEEDS_SQL
def test_sql_that_is_passed_through_or_explodes_is_unscored(caplog):
    scorer = code_compiles(language="sql")
    assert found(scorer(output="CALL me maybe")) == (None, "unknown_statement")
    assert not caplog.records
    assert scorer(output="select " + "array[" * 40 + "]" * 40).unscored == "timeout"
    assert scorer(output="select " + "(" * 100).unscored == "timeout"


@NEEDS_SQL
def test_dialects():
    assert code_compiles(language="sql", dialect="tsql")(output="SELECT TOP 3 [a b] FROM t").value == 1.0
    with pytest.raises(ScorerSpecError, match="did you mean 'postgres'"):
        code_compiles(language="sql", dialect="postgre")


def test_options_of_formats_are_checked():
    with pytest.raises(ScorerSpecError, match="for SQL only"):
        code_compiles(dialect="postgres")
    with pytest.raises(ScorerSpecError, match="one character"):
        csv_valid(delimiter="::")
    with pytest.raises(ScorerSpecError, match="needs a header"):
        csv_valid(columns=["a"], header=False)
    with pytest.raises(ScorerSpecError, match="needs a mapping"):
        yaml_valid(type="list", keys=["a"])
    if not importlib.util.find_spec("sqlglot"):
        with pytest.raises(ScorerSpecError, match=r"pip install 'promptmigrate\[sql\]'"):
            code_compiles(language="sql")
