"""Bundles as bytes, and what verification says of some."""

import hashlib
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from promptmigrate.proof import verify, write_bundle
from tests.proof.builder import evidence

KINDS = {
    "plain": {},
    "judge": {"judge": True},
    "repeats": {"judge": True, "repeats": 2},
    "recorded": {"rerun": False, "judge": True},
    "several": {"targets": 2},
    "program": {"judge": True, "program": True},
    "stays": {"stays": True},
}


@cache
def raw(kind="plain"):
    with TemporaryDirectory() as folder:
        path = Path(folder) / "bundle.zip"
        write_bundle(path, evidence(**KINDS[kind]))
        return path.read_bytes()


def hashed(data):
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def check(data, **options):
    with TemporaryDirectory() as folder:
        path = Path(folder) / "bundle.zip"
        path.write_bytes(data)
        return verify(path, **options)
