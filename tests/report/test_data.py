import json

import pytest

from promptmigrate import report
from promptmigrate.errors import DataError, StorageError
from promptmigrate.report.data import load
from tests.report.builder import write_run


@pytest.fixture
def run(tmp_path):
    return write_run(tmp_path, rows=40)


def change(run, **fields):
    path = run / "verdict.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def test_both_files_are_read(run):
    data = load(run)
    assert data.verdict.name == "support_triage"
    assert len(data.test_rows) == 40
    assert data.verdict.prompts.original[0].role == "system"


def test_unknown_fields_are_ignored_and_optional_ones_may_be_absent(run):
    record = json.loads((run / "verdict.json").read_text())
    for name in (
        "before",
        "before_split",
        "search",
        "scorers",
        "provenance",
        "warnings",
        "p_values",
        "primary",
    ):
        del record[name]
    (run / "verdict.json").write_text(json.dumps({**record, "something_new": 1}))
    assert load(run).verdict.search is None
    assert report.write(run).exists()


@pytest.mark.parametrize("name", ["verdict.json", "test_rows.jsonl"])
def test_a_missing_file_is_named(run, name):
    (run / name).unlink()
    with pytest.raises(DataError, match=rf"{name}: not there, so this is not the folder of a finished run"):
        report.write(run)


def test_corrupt_json_is_named(run):
    (run / "verdict.json").write_text('{"name": ')
    with pytest.raises(DataError, match=r"verdict\.json: not valid JSON"):
        load(run)


def test_text_that_is_not_utf8_is_named(run):
    (run / "verdict.json").write_bytes(b"\xff\xfe{}")
    with pytest.raises(DataError, match="not UTF-8"):
        load(run)


@pytest.mark.parametrize(
    "fields,message",
    [
        ({"verdict": "MAYBE"}, "verdict: input should be 'PROMOTE', 'REJECT' or 'INCONCLUSIVE'"),
        ({"baseline": {"score": 1}}, "baseline.model: field required"),
        ({"interval": [0.1]}, "interval"),
        ({"spend": None}, "spend"),
        ({"prompts": {"original": "x"}}, "prompts.candidate: field required"),
        ({"delta": "NaN"}, "delta"),
    ],
)
def test_a_wrong_field_is_named(run, fields, message):
    change(run, **fields)
    with pytest.raises(DataError, match=message):
        load(run)


def test_a_wrong_row_is_named(run):
    path = run / "test_rows.jsonl"
    lines = path.read_text().splitlines()
    lines[6] = '{"example": "x", "inputs": {}, "baseline": {}}'
    path.write_text("\n".join(lines))
    with pytest.raises(DataError, match=r"test_rows\.jsonl, row 7: candidate: field required") as error:
        load(run)
    assert error.value.row == 7


def test_json_nested_to_break_the_parser_is_an_error_not_a_crash(run):
    (run / "verdict.json").write_text("[" * 100_000)
    with pytest.raises(DataError):
        load(run)


def test_a_folder_that_cannot_be_written_is_an_error(run):
    (run / "report.html").mkdir()
    with pytest.raises(StorageError, match=r"report\.html cannot be written"):
        report.write(run)
