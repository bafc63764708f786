"""The stores that take traces. Imported by the shipping thread only, as are mlflow and its helpers.

A server takes OTLP protobuf at ``/v1/traces``, a database is written through MLflow's own tracing client;
both get the same spans. Trace and span ids come from the record, and both ways overwrite a span that they
already have, so delivering twice changes nothing.
"""

from __future__ import annotations

import base64
import gzip
import http.client
import json
import os
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlsplit

from promptmigrate.gateway.otlp import prompt_of, request_of
from promptmigrate.gateway.store import Record, Refused, Store, Unavailable

_TIMEOUT_S = 30.0


def open_store(uri: str) -> Store:
    """The store behind a tracking URI: an MLflow server (http, https) or a database."""
    return ServerStore(uri) if uri.startswith(("http://", "https://")) else DatabaseStore(uri)


class ServerStore:
    """An MLflow server, spoken to with the standard library and the OTLP messages."""

    def __init__(self, uri: str) -> None:
        self._uri = uri.rstrip("/")
        self._experiments: dict[str, str] = {}

    def send(self, records: Sequence[Record]) -> None:
        """See :class:`Store`."""
        for name, group in _by_experiment(records).items():
            body = gzip.compress(request_of(group).SerializeToString(), 1)
            headers = {
                "Content-Type": "application/x-protobuf",
                "Content-Encoding": "gzip",
                "x-mlflow-experiment-id": self._experiment(name),
            }
            status, answer = self._ask("POST", "/v1/traces", body, headers)
            if status == 200:
                continue
            if status == 404:
                self._experiments.pop(name, None)  # deleted or another server: look again next time
            raise (Refused if status in {400, 413, 422} else Unavailable)(
                f"{self._uri}/v1/traces answered {status}: {answer[:200].decode('utf-8', 'replace')}"
            )

    def _experiment(self, name: str) -> str:
        if name in self._experiments:
            return self._experiments[name]
        path = "/api/2.0/mlflow/experiments"
        status, answer = self._ask("GET", f"{path}/get-by-name?experiment_name={quote(name, safe='')}")
        if status == 404:
            body = json.dumps({"name": name}).encode()
            status, answer = self._ask("POST", f"{path}/create", body, {"Content-Type": "application/json"})
            if status == 400:  # another process was faster
                status, answer = self._ask(
                    "GET", f"{path}/get-by-name?experiment_name={quote(name, safe='')}"
                )
        try:
            found = json.loads(answer)
            found = found.get("experiment", found)
            if status != 200 or found.get("lifecycle_stage", "active") != "active":
                raise ValueError(f"{status} {found.get('lifecycle_stage', '')}")
            self._experiments[name] = str(found["experiment_id"])
        except (ValueError, KeyError, AttributeError) as error:
            raise Unavailable(f"{self._uri} gives no active experiment '{name}' ({error})") from None
        return self._experiments[name]

    def _ask(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        parts = urlsplit(self._uri)
        secure = parts.scheme == "https"
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        connection = kind(parts.hostname or "", parts.port, timeout=_TIMEOUT_S)
        try:
            connection.request(method, parts.path + path, body, {**_authorization(), **(headers or {})})
            response = connection.getresponse()
            return response.status, response.read(1_000_000)
        except (OSError, http.client.HTTPException) as error:
            raise Unavailable(f"{self._uri} cannot be reached: {error or type(error).__name__}") from None
        finally:
            connection.close()


class DatabaseStore:
    """A database that this process writes itself, through MLflow's tracing client."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._client: Any = None
        self._experiments: dict[str, str] = {}

    def send(self, records: Sequence[Record]) -> None:
        """See :class:`Store`."""
        batches = [(name, group, request_of(group)) for name, group in _by_experiment(records).items()]
        _prepare_mlflow()
        from mlflow.entities import Span
        from mlflow.exceptions import MlflowException

        try:
            if self._client is None:
                from mlflow.tracing.client import TracingClient

                self._client = TracingClient(self._uri)
            for name, group, request in batches:
                experiment = self._experiment(name)
                spans = [
                    Span.from_otel_proto(span)
                    for resource in request.resource_spans
                    for scope in resource.scope_spans
                    for span in scope.spans
                ]
                self._client.log_spans(experiment, spans)
                self._link(group)
        except MlflowException as error:
            self._experiments.clear()
            bad = error.error_code in {"INVALID_PARAMETER_VALUE", "BAD_REQUEST"}
            raise (Refused if bad else Unavailable)(" ".join(str(error).split())[:300]) from None
        except Exception as error:  # noqa: BLE001 - SQLAlchemy and driver errors: locked, full, gone
            raise Unavailable(f"{type(error).__name__}: {' '.join(str(error).split())[:300]}") from None

    def _experiment(self, name: str) -> str:
        if name not in self._experiments:
            from mlflow import MlflowClient
            from mlflow.exceptions import MlflowException

            client = MlflowClient(self._uri)
            found = client.get_experiment_by_name(name)
            if found is None:
                try:
                    self._experiments[name] = client.create_experiment(name)
                except MlflowException:  # another process was faster
                    found = client.get_experiment_by_name(name)
            if found is not None:
                if found.lifecycle_stage != "active":
                    raise Unavailable(
                        f"experiment '{name}' is deleted; restore it or name another in the route"
                    )
                self._experiments[name] = found.experiment_id
        return self._experiments[name]

    def _link(self, records: Sequence[Record]) -> None:
        """Make ``search_traces("prompt = 'name/version'")`` find them."""
        store = self._client.store
        links = [
            (record["metadata"]["trace_id"], linked) for record in records if (linked := prompt_of(record))
        ]
        try:
            from mlflow.entities.entity_type import EntityAssociationType
            from mlflow.store.tracking.dbmodels.models import SqlEntityAssociation

            open_session = store.ManagedSessionMaker
        except (ImportError, AttributeError):  # another MLflow: its public way costs a transaction each
            from mlflow.entities.model_registry import PromptVersion

            for trace_id, (name, version) in links:
                prompt = PromptVersion(name=name, version=int(version), template="")
                store.link_prompts_to_trace(trace_id, [prompt])
            return
        with open_session(read_only=False) as session:
            for trace_id, linked in links:
                session.merge(
                    SqlEntityAssociation(
                        source_type=EntityAssociationType.TRACE,
                        source_id=trace_id,
                        destination_type=EntityAssociationType.PROMPT_VERSION,
                        destination_id="/".join(linked),
                    )
                )


def _prepare_mlflow() -> None:
    """MLflow pulls in LiteLLM, which would fetch a price list from the network and can deadlock on it."""
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    if "mlflow" not in sys.modules:
        # Whoever imports MLflow decides on its telemetry; here it is only a writer.
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")


def _authorization() -> dict[str, str]:
    user, password = os.environ.get("MLFLOW_TRACKING_USERNAME"), os.environ.get("MLFLOW_TRACKING_PASSWORD")
    if user and password:
        return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}
    token = os.environ.get("MLFLOW_TRACKING_TOKEN")
    return {"Authorization": f"Bearer {token}"} if token else {}


def _by_experiment(records: Sequence[Record]) -> dict[str, list[Record]]:
    groups: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        groups[record["metadata"]["experiment"]].append(record)
    return groups
