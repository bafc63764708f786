"""Where MLflow's judges ask: an endpoint that holds during one call, and is put back after it.

MLflow (3.17) takes the address and key of its judges' provider from the environment of the process. So a call
with an endpoint sets them, runs, and restores them. Calls with the same endpoint run at the same time; calls
with different ones, and without one, wait for each other, so none asks the endpoint of another. Only code
that reads these variables without passing here could see them meanwhile.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from scorers._errors import ScorerSpecError

_inside: ContextVar[Endpoint | None] = ContextVar("scorers_mlflow_endpoint", default=None)


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """An OpenAI-compatible endpoint, and the model that judges without one of their own ask."""

    base_url: str | None = None
    """Before ``/chat/completions``; None leaves MLflow's own settings."""
    api_key_env: str | None = None
    """Name of the environment variable with the key; the value is read when a call is made."""
    model: str | None = None
    allow_local: bool = False

    def __post_init__(self) -> None:
        if self.base_url is not None:
            _check_url(self.base_url, self.allow_local)

    def variables(self) -> dict[str, str]:
        """What to set in the environment.

        Raises:
            ScorerSpecError: the variable of the key is not set.
        """
        found: dict[str, str] = {}
        if self.base_url is not None:
            url = self.base_url.rstrip("/")
            # MLflow reads the first, LiteLLM the second. A key that is meant for OpenAI stays with OpenAI.
            found |= {"OPENAI_API_BASE": url, "OPENAI_BASE_URL": url, "OPENAI_API_KEY": "none"}
        if self.api_key_env is not None:
            key = os.environ.get(self.api_key_env, "").strip()
            if not key:
                raise ScorerSpecError(
                    f"the environment variable {self.api_key_env} with the judge's key is not set"
                )
            found["OPENAI_API_KEY"] = key
        if self.model is not None:
            found["MLFLOW_GENAI_JUDGE_DEFAULT_MODEL"] = uri_of(self.model)
        return found


def uri_of(model: str) -> str:
    """``provider/name`` or a bare name as MLflow writes it: ``provider:/name``."""
    if ":/" in model:
        return model
    provider, slash, name = model.partition("/")
    return f"{provider}:/{name}" if slash else f"openai:/{model}"


class _Switch:
    """Lets calls of one endpoint in at a time, in turn."""

    def __init__(self) -> None:
        self._free = threading.Condition()
        self._current: Endpoint | None = None
        self._users = self._waiting = self._turn = 0
        self._saved: dict[str, str | None] = {}

    def enter(self, endpoint: Endpoint) -> None:
        values = endpoint.variables()
        with self._free:
            arrived = self._turn
            if self._users and (self._current != endpoint or self._waiting):
                # Who comes while others wait for another endpoint waits, too, or they might wait forever.
                self._waiting += 1
                self._free.wait_for(
                    lambda: not self._users or (self._current == endpoint and self._turn != arrived)
                )
                self._waiting -= 1
            if not self._users:
                self._current, self._turn = endpoint, self._turn + 1
                self._saved = {name: os.environ.get(name) for name in values}
                os.environ.update(values)
                self._free.notify_all()
            self._users += 1

    def leave(self) -> None:
        with self._free:
            self._users -= 1
            if self._users == 0:
                for name, value in self._saved.items():
                    if value is None:
                        os.environ.pop(name, None)
                    else:
                        os.environ[name] = value
                self._free.notify_all()


_switch = _Switch()


@contextmanager
def at(endpoint: Endpoint) -> Iterator[None]:
    """Let judges that are called inside the block ask ``endpoint``.

    Raises:
        ScorerSpecError: the key is not set, or a call to another endpoint is made inside this one.
    """
    outer = _inside.get()
    if outer is not None:
        if outer != endpoint:
            raise ScorerSpecError("a judge inside another one cannot have an endpoint of its own")
        yield
        return
    _switch.enter(endpoint)
    token = _inside.set(endpoint)
    try:
        yield
    finally:
        _inside.reset(token)
        _switch.leave()


def _check_url(url: str, allow_local: bool) -> None:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ScorerSpecError(f"base_url {url!r:.100} is no http(s) address", key="base_url")
    if parts.username or parts.password:
        raise ScorerSpecError(
            "base_url must not hold a password; name a key with api_key_env", key="base_url"
        )
    if parts.scheme == "http" and not allow_local and not _is_loopback(parts.hostname):
        raise ScorerSpecError(
            f"base_url {url!r:.100} is not encrypted; use https, or allow_local=True", key="base_url"
        )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
