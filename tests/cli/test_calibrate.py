"""promptmigrate calibrate, with the simulated judge, and what the pipeline makes of the card."""

import json
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from typer.testing import CliRunner

from promptmigrate.cli.calibrate import calibrate
from promptmigrate.config import load_config
from promptmigrate.errors import BudgetExceeded, ConfigError, DataError, UsageError
from promptmigrate.pipeline.measures import calibrations, measures
from promptmigrate.types import Example
from scorers import load_card

APP = typer.Typer()
APP.command()(calibrate)
JUDGE = {"use": "equivalence", "judge": "sim/judge", "params": {"temperature": 0}}
SAME = ("Your refund is on its way.", "The refund for you is on its way.")
OTHER = ("Your refund is on its way.", "We cannot give you a refund for this order.")


def experiment(folder: Path, *scorers: dict[str, Any], **more: Any) -> Path:
    data = {
        "name": "demo",
        "prompt": {"text": "Answer: {{text}}"},
        "targets": [{"model": "sim/echo"}],
        "data": {"traces": {"file": "rows.jsonl"}},
        "scorers": list(scorers) or [JUDGE],
        "gate": {"margin": 0.05},
        **more,
    }
    path = folder / "experiment.yaml"
    path.write_text(yaml.safe_dump(data), "utf-8")
    return path


def labels(folder: Path) -> Path:
    rows = []
    for number in range(12):
        expected, output = SAME if number % 2 else OTHER
        row = {"output": f"{output} Case {number}.", "expected": f"{expected} Case {number}."}
        rows.append({**row, "verdict": "yes" if number % 2 else "no"})
    path = folder / "labels.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def run(folder: Path, config: Path, *more: str) -> Any:
    line = [str(config), "--runs", str(folder / "runs"), "--output", str(folder / "cards" / "judge.json")]
    found = CliRunner().invoke(APP, [*line, *more])
    if found.exception is not None and not isinstance(found.exception, SystemExit):
        raise found.exception
    return found


def labelled(folder: Path, config: Path, *more: str) -> Any:
    return run(folder, config, "--labels", str(labels(folder)), "--column", "label=verdict", *more)


ROWS = [Example(id=str(n), inputs={"text": "x"}, reference="An answer.") for n in range(4)]


def test_a_judge_is_calibrated_and_the_card_holds_for_it(tmp_path: Path):
    config = experiment(tmp_path)
    told = json.loads(labelled(tmp_path, config, "--json").stdout)
    assert told["calibration"] == "cards/judge.json"
    assert (told["rows"], told["models"], told["spend"]["calls"]) == (12, ["sim/judge"], 12)
    again = json.loads(labelled(tmp_path, config, "--json").stdout)
    assert (again["spend"]["calls"], again["spend"]["cached"]) == (0, 12)
    assert again["sensitivity"] == told["sensitivity"]
    assert "Cohen's kappa" in (tmp_path / "cards" / "judge.md").read_text("utf-8")

    named = load_config(experiment(tmp_path, {**JUDGE, "calibration": told["calibration"]}))
    chosen = measures(named, ROWS, folder=tmp_path)
    card = calibrations(named, chosen, folder=tmp_path)["equivalence"]
    assert card is not None
    assert card == load_card(tmp_path / "cards" / "judge.json")
    assert card.true_positive + card.false_negative == 6 == card.true_negative + card.false_positive


def test_a_card_of_another_judge_is_refused_before_anything_is_spent(tmp_path: Path):
    labelled(tmp_path, experiment(tmp_path))
    wrong = {
        "about sim/judge, and this judge asks sim/editor": {"judge": "sim/editor"},
        "about other options": {"labels": ["a", "b"]},
        "about the judge 'equivalence', and this one is 'mine'": {"name": "mine", "labels": ["a"]},
    }
    for message, change in wrong.items():
        named = load_config(experiment(tmp_path, {**JUDGE, "calibration": "cards/judge.json", **change}))
        with pytest.raises(ConfigError, match=message) as caught:
            measures(named, ROWS, folder=tmp_path)
        assert caught.value.key == "scorers.0.calibration"


def test_a_card_that_is_missing_or_none_is_told(tmp_path: Path):
    (tmp_path / "no.json").write_text("{}", "utf-8")
    for name, message in (("gone.json", "cannot be read: No such file"), ("no.json", "no calibration card")):
        named = load_config(experiment(tmp_path, {**JUDGE, "calibration": name}))
        with pytest.raises(ConfigError, match=message):
            measures(named, ROWS, folder=tmp_path)


def test_judges_without_a_card_are_named_and_measures_are_not(tmp_path: Path):
    named = load_config(experiment(tmp_path, JUDGE, {"use": "exact_match"}))
    assert dict(calibrations(named, measures(named, ROWS))) == {"equivalence": None}


def test_which_judge_is_meant(tmp_path: Path):
    second = {"use": "correctness", "judge": "sim/judge"}
    config = experiment(tmp_path, {"use": "exact_match"}, JUDGE, second)
    with pytest.raises(UsageError, match="several judges: equivalence, correctness"):
        labelled(tmp_path, config)
    with pytest.raises(UsageError, match="no judge called 'x'; it has equivalence, correctness"):
        labelled(tmp_path, config, "--scorer", "x")
    assert "scorers[2] (correctness)" in labelled(tmp_path, config, "--scorer", "correctness").output
    with pytest.raises(UsageError, match="no judge by name"):
        labelled(tmp_path, experiment(tmp_path, {"use": "auto", "judge": "sim/judge"}))


def test_the_budget_stops_it_and_the_answers_are_kept(tmp_path: Path):
    config = experiment(tmp_path)
    with pytest.raises(BudgetExceeded, match=r"5 calls is used up \(5 sent\); raise --budget-calls$"):
        labelled(tmp_path, config, "--budget-calls", "5")
    assert not (tmp_path / "cards").exists()
    told = json.loads(labelled(tmp_path, config, "--json").stdout)
    assert told["spend"]["calls"] <= 7


def test_another_number_of_calls_leaves_the_other_limits_of_the_budget(tmp_path: Path):
    config = experiment(tmp_path, budget={"calls": 5, "tokens": 3000})
    with pytest.raises(BudgetExceeded, match="tokens"):
        labelled(tmp_path, config, "--budget-calls", "100")


def test_labels_that_cannot_be_used(tmp_path: Path):
    config = experiment(tmp_path)
    with pytest.raises(DataError, match="labels cannot be read: No such file"):
        run(tmp_path, config, "--labels", str(tmp_path / "gone.csv"))
    with pytest.raises(DataError, match="labels cannot be used"):
        run(tmp_path, config, "--labels", str(labels(tmp_path)))
    with pytest.raises(UsageError, match="name=column"):
        labelled(tmp_path, config, "--column", "label")
    with pytest.raises(UsageError, match="--column label is given twice: 'verdict' and 'output'"):
        labelled(tmp_path, config, "--column", "label=output")
    with pytest.raises(DataError, match=r"no 'lable' in a labelled row; columns stand for output, label"):
        labelled(tmp_path, config, "--column", "lable=verdict")
    with pytest.raises(DataError, match=r"no column 'gold' for the expected; there are output, expected"):
        labelled(tmp_path, config, "--column", "expected=gold")
    strange = tmp_path / "strange.csv"
    strange.write_bytes(b"output,label\n\xff,1\n")
    with pytest.raises(DataError, match=r"strange.csv is not UTF-8 text \(byte 13\)"):
        run(tmp_path, config, "--labels", str(strange))
    with pytest.raises(UsageError, match="is a folder; give the file"):
        labelled(tmp_path, config, "--output", str(tmp_path))
    with pytest.raises(UsageError, match="needs --label"):
        run(tmp_path, config, "--labels", "mlflow")


def test_a_judge_that_scored_nothing_leaves_the_card_that_is_there(tmp_path: Path):
    config = experiment(tmp_path)
    labelled(tmp_path, config)
    card = (tmp_path / "cards" / "judge.json").read_bytes()
    bare = tmp_path / "bare.jsonl"
    bare.write_text(json.dumps({"output": "An answer.", "label": 1}) + "\n", "utf-8")
    with pytest.raises(DataError, match=r"could score none of 1 labelled rows \(1 x no_expected\)"):
        run(tmp_path, config, "--labels", str(bare))
    broken = experiment(tmp_path, {**JUDGE, "judge": "sim/nobody"})
    with pytest.raises(UsageError, match="nobody"):
        labelled(tmp_path, broken)
    assert (tmp_path / "cards" / "judge.json").read_bytes() == card


def test_a_format_contract_without_settings_is_mined_from_production(tmp_path: Path):
    named = load_config(experiment(tmp_path, {"use": "format_contract"}, {"use": "auto"}))
    rows = [
        Example(id=str(n), inputs={"text": "x"}, reference=json.dumps({"queue": ("a", "b")[n % 2]}))
        for n in range(12)
    ]
    contract, fields = (measure.scorer for measure in measures(named, rows))
    assert fields.name == "json_match"
    assert contract(output='{"queue": "b"}').value == 1.0
    assert contract(output='{"queue": "c"}').evidence["kind"] == "not_in_enum"
    with pytest.raises(ConfigError, match="no answer to mine a contract from"):
        measures(named, [])
    given = {"use": "format_contract", "contract": {"kind": "number"}}
    (number,) = measures(load_config(experiment(tmp_path, given)), rows)
    assert number.scorer(output="12").value == 1.0
