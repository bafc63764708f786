from __future__ import annotations

from pathlib import Path
from typing import Any

from promptmigrate import mlflow_store
from promptmigrate.publish import finish_run, start_run


def test_a_run_is_gone_on_with_and_finished(uri: str, client: Any, tmp_path: Path) -> None:
    first = start_run(tracking_uri=uri, experiment="promptmigrate/support", name="support 1", tags={"a": 1})
    again = start_run(
        tracking_uri=uri, experiment="promptmigrate/support", name="x", tags={"b": 2}, run_id=first
    )
    assert again == first
    other = start_run(tracking_uri=uri, experiment="promptmigrate/support", name="x", run_id="0" * 32)
    assert other != first
    (tmp_path / "verdict.json").write_text("{}")
    for _ in range(2):
        finish_run(
            tracking_uri=uri,
            run_id=first,
            params={"source": "openai/gpt-4.1", "long": "x" * 10_000},
            metrics={"delta": 0.5, "unknown": None},
            artifacts=[tmp_path / "verdict.json", tmp_path / "none.html"],
        )
    run = client.get_run(first)
    assert run.info.status == "FINISHED"
    assert run.data.metrics == {"delta": 0.5}
    assert run.data.params["source"] == "openai/gpt-4.1"
    assert (run.data.tags["a"], run.data.tags["b"]) == ("1", "2")
    assert [item.path for item in client.list_artifacts(first)] == ["verdict.json"]


def test_files_go_beside_the_store_whatever_the_working_folder(uri: str, client: Any) -> None:
    run_id = start_run(tracking_uri=uri, experiment="promptmigrate/beside", name="x")
    folder = Path(uri.removeprefix("sqlite:///")).parent
    assert client.get_run(run_id).info.artifact_uri.startswith((folder / "mlartifacts").as_uri())


def test_a_missing_store_is_made(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'new' / 'mlflow.db'}"
    run_id = start_run(tracking_uri=uri, experiment="x", name="y")
    assert mlflow_store.client(uri).get_run(run_id).info.run_name == "y"
