"""The MLflow store, and the Dataset in it."""

from __future__ import annotations

import re
import signal
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from promptmigrate import mlflow_store
from promptmigrate.config import DataConfig
from promptmigrate.errors import DataError, StorageError
from promptmigrate.harvest import harvest, log_dataset
from promptmigrate.harvest._call import Call
from promptmigrate.harvest.build import build
from promptmigrate.harvest.splits import assign
from promptmigrate.types import Dataset, Prompt


def closed_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("mlruns", "'mlruns' is a folder or a plain path"),
        ("file:///tmp/mlruns", "is a folder or a plain path"),
        ("sqlite://mlflow.db", "write sqlite:///path/to/mlflow.db"),
        ("ftp://host/x", "unknown scheme"),
        ("http://127.0.0.1:{port}", "MLflow server http://127.0.0.1:{port} cannot be reached: .*refused"),
        ("postgresql://me:hunter2@127.0.0.1:{port}/x", "postgresql://127.0.0.1:{port}/x cannot be reached"),
    ],
)
def test_a_store_that_cannot_be_there(uri: str, message: str) -> None:
    port = str(closed_port())
    with pytest.raises(StorageError, match=message.replace("{port}", port)) as caught:
        mlflow_store.client(uri.replace("{port}", port))
    assert "hunter2" not in str(caught.value)


def test_a_file_that_is_no_store(tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    path.write_text("no database")
    with pytest.raises(StorageError, match="is not a SQLite database"):
        mlflow_store.client(f"sqlite:///{path}")
    path.write_bytes(b"")
    with pytest.raises(StorageError, match="is not a SQLite database"):
        mlflow_store.client(f"sqlite:///{path}")
    path.unlink()
    with closing(sqlite3.connect(path)) as database:
        database.execute("create table things (id integer)")
    with pytest.raises(StorageError, match="but not one of MLflow"):
        mlflow_store.client(f"sqlite:///{path}", create=True)
    with closing(sqlite3.connect(path)) as database:
        (tables,) = database.execute("select count(*) from sqlite_master").fetchone()
        assert tables == 1
        database.execute("create table alembic_version (version_num text)")
        database.execute("insert into alembic_version values ('0123456789ab')")
        database.commit()
    with pytest.raises(
        StorageError, match=r"MLflow store sqlite:///.*mlflow\.db was made by another version"
    ):
        mlflow_store.client(f"sqlite:///{path}")


def test_which_store_is_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert mlflow_store.resolve() == "sqlite:///mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow")
    assert mlflow_store.resolve() == "http://mlflow"
    assert mlflow_store.resolve("sqlite:///x.db") == "sqlite:///x.db"


def dataset(name: str, rows: int = 30, **inputs: str) -> Dataset:
    calls = [
        Call(
            inputs={"ticket": f"t{index}", **inputs},
            reference="billing",
            expectations={"expected_response": "refund"} if index % 2 else {},
            trace_ids=(f"tr-{index}",),
        )
        for index in range(rows)
    ]
    examples = build(calls, name=name).examples
    return Dataset(examples=examples, splits=assign(examples, train=0.3, validation=0.35, seed=1), name=name)


def test_a_dataset_is_shown_in_mlflow_and_read_back(uri: str) -> None:
    client = mlflow_store.client(uri)
    made = dataset("shown")
    experiment = mlflow_store.experiment_id(client, "shown", uri=uri, create=True)
    run_id = client.create_run(experiment).info.run_id
    name = log_dataset(made, tracking_uri=uri, experiment="shown", run_id=run_id)
    assert log_dataset(made, tracking_uri=uri, experiment="shown") == name
    (known,) = client.search_datasets(filter_string=f"name = '{name}'")
    assert known.tags["promptmigrate.digest"] == made.digest
    (used,) = client.get_run(run_id).inputs.dataset_inputs
    assert made.digest.startswith(f"sha256:{used.dataset.digest}")
    again = harvest(
        DataConfig.model_validate({"traces": {"mlflow_dataset": name}}),
        Prompt.text("{{ticket}}"),
        tracking_uri=uri,
    ).dataset
    assert [(e.id, e.reference, e.expectations, e.trace_ids) for e in again] == [
        (e.id, e.reference, e.expectations, e.trace_ids) for e in made
    ]


def test_variables_with_names_that_mlflow_reserves(uri: str) -> None:
    name = log_dataset(dataset("reserved", 3, goal="be kind"), tracking_uri=uri, experiment="shown")
    (known,) = mlflow_store.client(uri).search_datasets(filter_string=f"name = '{name}'")
    records, _ = mlflow_store.backend(mlflow_store.client(uri))._load_dataset_records(known.dataset_id)
    assert len(records) == 3


def test_an_mlflow_dataset_that_is_not_there(uri: str) -> None:
    client = mlflow_store.client(uri)
    client.create_dataset("tickets-a")
    client.create_dataset("double")
    client.create_dataset("double")
    for name, message in {
        "tickets-b": "has no dataset 'tickets-b'; did you mean 'tickets-a'",
        "double": "has 2 datasets called 'double'",
        "tickets-a": "MLflow dataset 'tickets-a' has no records",
    }.items():
        data = DataConfig.model_validate({"traces": {"mlflow_dataset": name}})
        with pytest.raises(DataError, match=message):
            harvest(data, Prompt.text("{{ticket}}"), tracking_uri=uri)


DIES = """
import os, signal, sys
from sqlalchemy import event
from sqlalchemy.engine import Engine
from promptmigrate import mlflow_store

@event.listens_for(Engine, "after_cursor_execute")
def die(connection, cursor, statement, *rest):
    if "ADD COLUMN display_name" in statement:
        os.kill(os.getpid(), signal.SIGKILL)

mlflow_store.client(sys.argv[1], create=True)
"""


def test_a_store_that_was_being_made_when_its_process_was_killed_is_made_anew(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    done = subprocess.run([sys.executable, "-c", DIES, uri], capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    store = mlflow_store.client(uri, create=True)
    assert store.create_experiment("mine")
    assert mlflow_store.client(uri).get_experiment_by_name("mine") is not None
    assert [path.name for path in tmp_path.iterdir()] == ["mlflow.db"]


def test_an_empty_file_becomes_a_store(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").touch()
    assert mlflow_store.client(f"sqlite:///{tmp_path}/mlflow.db", create=True).create_experiment("mine")
    assert [path.name for path in tmp_path.iterdir()] == ["mlflow.db"]


@pytest.mark.parametrize("drop", [None, "trace_info", "registered_model_aliases"])
def test_a_store_of_another_version_or_half_made_is_told_in_one_sentence(tmp_path: Path, drop: str | None):
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    mlflow_store.client(uri, create=True)
    copy = tmp_path / "half.db"
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as made, closing(sqlite3.connect(copy)) as half:
        made.backup(half)
        half.execute("UPDATE alembic_version SET version_num = '451aebb31d03'")
        if drop:
            half.execute(f"DROP TABLE {drop}")
        half.commit()
    with pytest.raises(StorageError) as told:
        mlflow_store.client(f"sqlite:///{copy}")
    assert re.search(
        r"half.db was made by another version of MLflow or not to its end \(its tables are at \w+, "
        r"MLflow \S+ needs \w+\): make a copy of it and run 'mlflow db upgrade'",
        str(told.value),
    )
    assert mlflow_store.client(uri) is not None


def test_a_store_is_made_in_a_folder_that_an_address_cannot_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "what? 100% #1"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    mlflow_store.client(create=True)
    assert [path.name for path in folder.iterdir()] == ["mlflow.db"]
