"""Serve a route: ``Gateway("routes/x.yaml").complete({"text": ...}, user="u1")``.

Light on purpose: importing it brings in no MLflow, LiteLLM or HTTP client; those come with the first call
that needs them.
"""

from __future__ import annotations

from promptmigrate.gateway.client import Gateway
from promptmigrate.gateway.completion import Completion
from promptmigrate.gateway.route import Route, dump_route, load_route, parse_route
from promptmigrate.gateway.traces import TraceStatus

__all__ = ["Completion", "Gateway", "Route", "TraceStatus", "dump_route", "load_route", "parse_route"]
