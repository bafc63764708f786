from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from promptmigrate.errors import ConfigError, StorageError
from promptmigrate.files import dump_yaml
from promptmigrate.pipeline.rundir import RunDir, unfinished
from promptmigrate.pipeline.same import changes, check_same, inputs_of
from promptmigrate.types import Prompt
from tests.pipeline.test_plan import PROMPT, config


@pytest.fixture
def begun(tmp_path: Path) -> RunDir:
    run = RunDir(tmp_path / "runs" / "t" / "abc")
    (tmp_path / "x.jsonl").write_text('{"x": 1}\n')
    run.path.mkdir(parents=True)
    (run.path / "config.yaml").write_text(dump_yaml(config().model_dump(mode="json", exclude_none=True)))
    inputs = inputs_of(config(), tmp_path, ())
    run.write_state(
        config_digest=config().digest,
        prompt_digest=PROMPT.digest,
        inputs_digest=inputs.digest,
        inputs=dict(inputs.each),
        state="running",
    )
    return run


def test_the_same_experiment_goes_on(begun: RunDir, tmp_path: Path):
    check_same(begun, config(), PROMPT, inputs_of(config(), tmp_path, ()))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"gate": {"margin": 0.02}}, r"gate\.margin \(0\.05 -> 0\.02\)"),
        ({"budget": {"calls": 77}}, r"budget\.calls \(4000 -> 77\)"),
        ({"targets": [{"model": "sim/extract-small"}]}, r"targets\.0\.model \(sim/triage-small -> "),
        ({"search": {"seed": 3}}, r"search\.seed \(0 -> 3\)"),
    ],
)
def test_a_changed_configuration_is_refused_with_what_changed(
    begun: RunDir, tmp_path: Path, change: dict[str, Any], said: str
):
    with pytest.raises(ConfigError, match=said):
        check_same(begun, config(**change), PROMPT, inputs_of(config(), tmp_path, ()))


def test_a_changed_prompt_or_data_file_is_refused(begun: RunDir, tmp_path: Path):
    same = inputs_of(config(), tmp_path, ())
    with pytest.raises(ConfigError, match="changed since: the production prompt"):
        check_same(begun, config(), Prompt.of("Tell {{x}}"), same)
    (tmp_path / "x.jsonl").write_text('{"x": 2}\n')
    with pytest.raises(ConfigError, match=r"since: the content of data\.traces\.file \(x\.jsonl\)"):
        check_same(begun, config(), PROMPT, inputs_of(config(), tmp_path, ()))
    assert inputs_of(config(), tmp_path, (PROMPT,)).digest != inputs_of(config(), tmp_path, ()).digest


def test_a_config_that_was_edited_in_the_run_folder_is_noticed(begun: RunDir, tmp_path: Path):
    edited = config(gate={"margin": 0.2}).model_dump(mode="json", exclude_none=True)
    (begun.path / "config.yaml").write_text(dump_yaml(edited))
    found = changes(begun, config(), PROMPT, inputs_of(config(), tmp_path, ()))
    assert found == ["gate.margin (0.2 -> 0.05)"]


def test_a_folder_without_a_run(tmp_path: Path):
    with pytest.raises(StorageError, match="holds no run"):
        check_same(RunDir(tmp_path), config(), PROMPT, inputs_of(config(), tmp_path, ()))


def test_a_run_that_cannot_be_read_says_what_to_do(begun: RunDir):
    (begun.path / "run.json").write_text('{"state": ')
    said = rf"run\.json cannot be read: .*: move {begun.path} away and run the same command again"
    for read in (begun.state, lambda: unfinished(begun.path.parent, "c", "p", "i")):
        with pytest.raises(StorageError, match=said):
            read()
