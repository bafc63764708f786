from __future__ import annotations

import csv
import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from promptmigrate.config import DataConfig
from promptmigrate.errors import DataError, TemplateError
from promptmigrate.harvest import Harvest, harvest, read_dataset, write_dataset
from promptmigrate.harvest.tables import read_rows
from promptmigrate.types import Prompt
from tests.harvest.conftest import PROMPT

FromFile = Callable[..., Harvest]


def jsonl(*rows: Any) -> str:
    return "\n".join(json.dumps(row) for row in rows) + "\n"


def test_our_own_rows(from_file: FromFile) -> None:
    row = {
        "inputs": {"ticket": "Hi", "tier": "gold"},
        "reference": "billing",
        "expectations": {"expected_response": "refund", "severity": 2},
        "group": "alice",
        "metadata": {"model": "openai/gpt-4.1", "cost_usd": 0.0021},
    }
    (example,) = from_file("rows.jsonl", jsonl(row)).dataset
    assert (example.inputs, example.reference) == (row["inputs"], "billing")
    assert example.expectations == row["expectations"] and example.expected == "refund"
    assert example.metadata == row["metadata"]
    assert example.group and example.group != "alice"


@pytest.mark.parametrize(
    ("outputs", "reference"),
    [
        ("billing", "billing"),
        ({"response": "billing"}, "billing"),
        ({"choices": [{"message": {"role": "assistant", "content": "billing"}}]}, "billing"),
        ({"label": "billing", "score": 1}, '{"label": "billing", "score": 1}'),
        (7, "7"),
        (None, None),
    ],
)
def test_mlflow_rows(from_file: FromFile, outputs: Any, reference: str | None) -> None:
    row = {"inputs": {"ticket": "Hi", "tier": "gold", "unused": 1}, "outputs": outputs}
    found = from_file("rows.jsonl", jsonl(row))
    (example,) = found.dataset
    assert example.reference == reference
    assert example.inputs == {"ticket": "Hi", "tier": "gold"}
    assert found.profile.notes == ("inputs that the prompt does not use were left out: unused",)


def test_flat_csv_with_the_usual_names(from_file: FromFile) -> None:
    header = "ticket,tier,reference,expected,session,channel"
    text = f'\ufeff{header}\n"Hi, ""you""\nthere",gold,billing,,s1,mail\nYo,,x,refund,,\n'
    rows = {example.inputs["ticket"]: example for example in from_file("rows.csv", text).dataset}
    first, second = rows['Hi, "you"\nthere'], rows["Yo"]
    assert (first.reference, first.expectations, first.metadata) == ("billing", {}, {"channel": "mail"})
    assert first.group and not second.group
    assert second.inputs["tier"] == "" and second.expected == "refund"


def test_mapped_columns(from_file: FromFile) -> None:
    text = "body,plan,said,gold_label,customer\nHi,pro,billing,refund,c1\n"
    columns = {
        "inputs": {"ticket": "body", "tier": "plan"},
        "reference": "said",
        "expected": "gold_label",
        "group": "customer",
    }
    (example,) = from_file("rows.csv", text, columns=columns).dataset
    assert example.inputs == {"ticket": "Hi", "tier": "pro"}
    assert (example.reference, example.expected) == ("billing", "refund")
    assert example.group
    assert example.metadata == {}


def test_parquet_with_nested_and_dated_values(from_file: FromFile, tmp_path: Path) -> None:
    table = pa.Table.from_pylist(
        [
            {"inputs": {"ticket": "a", "tier": "t"}, "outputs": "x", "metadata": {"day": date(2026, 1, 2)}},
            {"inputs": {"ticket": "b", "tier": "t"}, "outputs": None, "metadata": {"day": None}},
        ]
    )
    pq.write_table(table, tmp_path / "made.parquet")
    found = from_file("rows.parquet", (tmp_path / "made.parquet").read_bytes())
    rows = {example.inputs["ticket"]: example for example in found.dataset}
    assert rows["a"].metadata == {"day": "2026-01-02"}
    assert rows["b"].reference is None


def test_a_written_dataset_is_a_source_too(from_file: FromFile, tmp_path: Path) -> None:
    rows = [{"inputs": {"ticket": f"t{n}", "tier": "g"}, "reference": "x"} for n in range(20)]
    first = from_file("rows.jsonl", jsonl(*rows)).dataset
    write_dataset(first, tmp_path / "dataset.parquet")
    again = harvest(
        DataConfig.model_validate({"traces": {"file": "dataset.parquet"}}),
        PROMPT,
        name="support",
        folder=tmp_path,
    ).dataset
    assert again.digest == first.digest


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.jsonl", "", "x.jsonl: the data file is empty"),
        ("x.jsonl", "\n \n", "x.jsonl: the data file has no rows"),
        ("x.csv", "ticket,tier\n", "x.csv: the data file has no rows"),
        ("x.json", "[]", "x.json: a data file must be .jsonl, .csv or .parquet, not '.json'; write one JSON"),
        ("x.jsonl", b"\xff\xfe\x00", "x.jsonl: the data file is not UTF-8 text"),
        ("x.parquet", "no", "x.parquet: not a readable Parquet file"),
        (
            "x.jsonl",
            '{"inputs": {"ticket": "a", "tier": "b"}}\n\n{"inputs": \n',
            "x.jsonl, row 2: line 3 is not valid JSON: Expecting value",
        ),
        (
            "x.jsonl",
            '{"inputs": \n{"inputs": {"ticket": "a", "tier": "b"}}\n[1]\n\n{]\n',
            "x.jsonl, row 1: line 1 is not valid JSON: Expecting value at column 12; likewise line 3, 5",
        ),
        ("x.jsonl", "{\n" * 13, "; likewise line 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 (and 2 more)"),
        ("x.jsonl", '{"inputs": NaN}', "x.jsonl, row 1: line 1 is not valid JSON: NaN is not a JSON value"),
        ("x.jsonl", '["a"]', "x.jsonl, row 1: line 1 must be a JSON object such as"),
        (
            "x.jsonl",
            '{"inputs": {"ticket": "a", "tier": "b"}}\n{"inputs": {"tickets": "a", "tier": "b"}}',
            "x.jsonl, row 2: line 2: variable 'ticket' of the prompt is missing in 'inputs' of this row; "
            "did you mean 'tickets'?",
        ),
        (
            "x.jsonl",
            '{"inputs": {"ticket": null, "tier": "b"}}',
            "x.jsonl, row 1: line 1: variable 'ticket' of the prompt is null",
        ),
        ("x.jsonl", '{"inputs": "a"}', "row 1: line 1: 'inputs' must be a mapping"),
        (
            "x.jsonl",
            '{"inputs": {"ticket": "a", "tier": "b"}, "expectations": "refund"}',
            "row 1: line 1: 'expectations' must be a mapping",
        ),
        (
            "x.jsonl",
            '{"inputs": {"ticket": "a", "tier": "b"}, "weight": 0}',
            "row 1: line 1: weight must be a number above 0, not 0",
        ),
        (
            "x.csv",
            'ticket,tier\n"a\nb",g\nc\n',
            "x.csv, row 2: line 4: the row has 1 cells, the first line names 2 columns",
        ),
        ("x.csv", "ticket,tier,tier\na,b,c\n", "x.csv: column 'tier' appears twice"),
        ("x.csv", 'ticket,tier\n"a"b,c\n', "x.csv: not valid CSV near line 2"),
        (
            "x.csv",
            "tickt,tier\na,b\n",
            "x.csv, row 1: line 2: variable 'ticket' of the prompt is missing in this row; "
            "did you mean 'tickt'?, or map it with data.columns.inputs",
        ),
    ],
)
def test_what_is_wrong_is_said_with_file_and_row(
    from_file: FromFile, name: str, content: str | bytes, message: str
) -> None:
    with pytest.raises(DataError) as caught:
        from_file(name, content)
    assert message in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "tickets.csv").write_text("x")
    data = DataConfig.model_validate({"traces": {"file": "ticket.csv"}})
    with pytest.raises(DataError, match=r"does not exist; did you mean 'tickets\.csv'\?"):
        harvest(data, PROMPT, folder=tmp_path)
    data = DataConfig.model_validate({"traces": {"file": "."}})
    with pytest.raises(DataError, match="this is a folder"):
        harvest(data, PROMPT, folder=tmp_path)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"reference": "anser"}, "no column 'anser' .* did you mean 'answer'"),
        (
            {"inputs": {"tickets": "ticket"}},
            "names 'tickets', which is not a variable .* did you mean 'ticket'",
        ),
        ({"inputs": ["ticket"]}, None),
    ],
)
def test_columns_that_do_not_fit(from_file: FromFile, columns: Any, message: str | None) -> None:
    text = "ticket,tier,answer\na,b,c\n"
    if message is None:
        assert len(from_file("x.csv", text, columns=columns).dataset) == 1
        return
    with pytest.raises(DataError, match=message):
        from_file("x.csv", text, columns=columns)


def test_answers_in_a_column_nobody_named(from_file: FromFile) -> None:
    with pytest.raises(DataError, match=r"data\.columns\.expected \(other columns: gold_label\)"):
        from_file("x.csv", "ticket,tier,gold_label\na,b,c\n")


def test_variables_with_the_names_of_our_columns(from_file: FromFile) -> None:
    prompt = Prompt.text("{{inputs}} {{reference}} {{weight}} {{group}} {{metadata}}")
    values = {"inputs": "i", "reference": "r", "weight": "3 kg", "group": "A", "metadata": "m"}
    (example,) = from_file("x.jsonl", jsonl({**values, "answer": "ok"}), prompt=prompt).dataset
    assert example.inputs == values
    assert (example.reference, example.weight, example.group) == ("ok", 1.0, "")


def test_a_variable_named_inputs_in_rows_of_our_own(from_file: FromFile) -> None:
    prompt = Prompt.text("{{inputs}} for {{tier}}")
    rows = [{"inputs": {"inputs": f"t{n}", "tier": "gold"}, "reference": "x"} for n in range(3)]
    found = from_file("x.jsonl", jsonl(*rows), prompt=prompt)
    assert {str(example.inputs["inputs"]) for example in found.dataset} == {"t0", "t1", "t2"}
    flat = {"inputs": {"some": "object"}, "tier": "gold", "reference": "x"}
    (example,) = from_file("x.jsonl", jsonl(flat), prompt=prompt).dataset
    assert example.inputs == {"inputs": {"some": "object"}, "tier": "gold"}


def test_a_prompt_without_placeholders(from_file: FromFile) -> None:
    with pytest.raises(TemplateError, match="no placeholders"):
        from_file("x.jsonl", jsonl({"inputs": {}}), prompt=Prompt.text("Hello"))


@pytest.mark.slow
def test_hugging_face_folders(tmp_path: Path) -> None:
    import datasets

    rows = [{"ticket": "a", "tier": "b", "answer": "c"}]
    datasets.Dataset.from_list(rows).save_to_disk(str(tmp_path / "saved"))
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "test.jsonl").write_text(jsonl(*rows))
    for path in ("saved", "plain:test"):
        data = DataConfig.model_validate({"traces": {"hf": path}})
        (example,) = harvest(data, PROMPT, folder=tmp_path).dataset
        assert (example.inputs, example.reference) == ({"ticket": "a", "tier": "b"}, "c")
    data = DataConfig.model_validate({"traces": {"hf": "plain:tset"}})
    with pytest.raises(DataError, match="no split 'tset'; did you mean 'test'"):
        harvest(data, PROMPT, folder=tmp_path)


def test_dataset_files_are_verified(from_file: FromFile, tmp_path: Path) -> None:
    dataset = from_file(
        "x.jsonl",
        jsonl(*({"inputs": {"ticket": f"t{n}\ud800", "tier": {"deep": [n, None]}}} for n in range(9))),
    ).dataset
    path = write_dataset(dataset, tmp_path / "run" / "dataset.parquet")
    assert read_dataset(path) == dataset
    table = pq.read_table(path)
    changed = table.set_column(
        table.schema.get_field_index("reference"), table.schema.field("reference"), [["other"] * 9]
    )
    pq.write_table(changed, path)
    with pytest.raises(DataError, match="do not have the digest"):
        read_dataset(path)
    pq.write_table(pa.table({"a": [1]}), path)
    with pytest.raises(DataError, match="not a dataset that 'promptmigrate harvest' wrote"):
        read_dataset(path)
    path.write_text("PAR1")
    with pytest.raises(DataError, match="not a readable Parquet file"):
        read_dataset(path)
    with pytest.raises(DataError, match="cannot be read: No such file"):
        read_dataset(tmp_path / "none.parquet")


def test_the_column_of_a_broken_line_is_that_of_the_file(from_file: FromFile) -> None:
    for text, told in (
        ('   {"inputs": {"ticket": "b"},, "reference": "c"}', "column 31"),
        ('{"inputs": {"ticket": "b"}', "column 27"),
    ):
        with pytest.raises(DataError, match=f"line 2 is not valid JSON.*{told}"):
            from_file(
                "rows.jsonl", jsonl({"inputs": {"ticket": "x", "tier": "t"}, "reference": "y"}) + text + "\n"
            )


def test_the_profile_tells_the_form_of_the_answers_and_warns_of_conflicts(from_file: FromFile) -> None:
    def row(n: int, reference: str) -> Any:
        return {"inputs": {"ticket": str(n), "tier": "t"}, "reference": reference}

    labels = [row(n, ("bug", "billing")[n % 2]) for n in range(12)]
    again = [row(0, "billing"), row(0, "bug")]
    found = from_file("rows.jsonl", jsonl(*labels, *again)).profile
    assert found.form == {"kind": "label", "labels": ["billing", "bug"], "casing": "lower", "markdown": False}
    assert found.labels == {"billing": 6, "bug": 6}
    (warning,) = found.warnings
    assert "different answers to the same inputs on 1 of 12 rows" in warning
    assert f"warning: {warning}" in found.lines() and found.to_json()["warnings"] == [warning]
    assert "form of the answers: label, one of 2, casing 'lower', no Markdown" in found.lines()
    objects = [row(n, json.dumps({"a": {"b": n}})) for n in range(3)]
    found = from_file("rows.jsonl", jsonl(*objects)).profile
    told = "form of the answers: json, root 'object', with a (object), a.b (number), no Markdown"
    assert told in found.lines()
    assert (found.warnings, found.labels) == ((), {})


def test_the_profile_warns_of_a_row_that_is_far_longer_than_the_others(from_file: FromFile) -> None:
    def rows(longest: int) -> str:
        tickets = [*map(str, range(9)), "x" * longest]
        return jsonl(*({"inputs": {"ticket": t, "tier": "t"}, "reference": "y"} for t in tickets))

    (warning,) = from_file("rows.jsonl", rows(1_000_000)).profile.warnings
    assert warning.startswith("the longest row has 1,000,001 characters of input, half of the rows at most 2")
    assert "rows.jsonl" in warning
    assert from_file("rows.jsonl", rows(40_000)).profile.warnings == ()


def test_files_that_are_read_in_turns_or_left_half_way_change_no_limit_of_the_process(tmp_path: Path) -> None:
    before = csv.field_size_limit()
    path = tmp_path / "rows.csv"
    path.write_text("ticket,label\n" + f"{'x' * 200_000},a\n" * 3)
    one, other = read_rows(path), read_rows(path)
    next(one), next(other)
    assert csv.field_size_limit() == before
    assert len(list(one)) == 2
    assert len(next(other).values["ticket"]) == 200_000
    assert csv.field_size_limit() == before
