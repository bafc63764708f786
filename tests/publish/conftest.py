from __future__ import annotations

from typing import Any

import pytest

from promptmigrate import mlflow_store

mlflow_store.prepare()


@pytest.fixture(scope="session")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A real, empty MLflow store."""
    found = f"sqlite:///{tmp_path_factory.mktemp('registry') / 'mlflow.db'}"
    mlflow_store.client(found, create=True)
    return found


@pytest.fixture
def client(uri: str) -> Any:
    return mlflow_store.client(uri)
