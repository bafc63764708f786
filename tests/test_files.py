from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptmigrate.errors import StorageError, UsageError
from promptmigrate.files import (
    YAMLError,
    atomic_write,
    canonical_json,
    digest,
    dump_yaml,
    parse_yaml,
    safe_name,
)

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(10**9), 10**9)
    | st.floats(allow_nan=False, allow_infinity=False)
)
documents = st.recursive(
    scalars | st.text(max_size=30),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(min_size=1, max_size=8), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.from_regex(r"[a-z]{1,8}", fullmatch=True), documents, max_size=4))
def test_what_is_dumped_is_read_back(value: dict[str, Any]):
    text = dump_yaml(value)
    assert parse_yaml(text)[0] == parse_yaml(dump_yaml(parse_yaml(text)[0]))[0]


@given(st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from("\n"), max_size=200))
def test_texts_survive_yaml(text: str):
    assert parse_yaml(dump_yaml({"text": text}))[0] == {"text": text}


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("a: &x 1\nb: *x\n", 1, "anchors"),
        ("a: 1\nb: *x\n", 2, "anchors"),
        ("a: !!python/object/apply:os.system [ls]\n", 1, "tags"),
        ("a: 1\nb: 2\na: 3\n", 3, "appears twice"),
        ("a: {b: 1, b: 2}\n", 1, "appears twice"),
        ("a: [1\n", 2, "not valid YAML"),
        ("- [[[" + "[" * 80, 1, "nested deeper"),
        ("? [a, b]\n: 1\n", 1, "plain word"),
    ],
)
def test_strict_yaml_names_the_line(text: str, line: int, what: str):
    with pytest.raises(YAMLError, match=what) as caught:
        parse_yaml(text)
    assert caught.value.line == line


def test_large_documents_are_refused():
    with pytest.raises(YAMLError, match="larger than"):
        parse_yaml("a: " + "x" * 1_000_001)


def test_lines_of_keys():
    _, lines = parse_yaml("a: 1\nb:\n  - c: 2\n  - d: 3\n")
    assert lines["a",] == 1
    assert lines["b", 1, "d"] == 4


@given(documents)
def test_digest_does_not_depend_on_key_order(value: Any):
    def reverse(item: Any) -> Any:
        if isinstance(item, dict):
            return {key: reverse(item[key]) for key in reversed(item)}
        return [reverse(part) for part in item] if isinstance(item, list) else item

    assert digest(value) == digest(reverse(value))


def test_canonical_json_refuses_nan():
    with pytest.raises(ValueError, match="JSON"):
        canonical_json(float("nan"))


def test_atomic_write_leaves_no_litter_where_it_fails(tmp_path: Path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError, match="cannot be written"):
        atomic_write(tmp_path / "file" / "below", "y")
    atomic_write(tmp_path / "new" / "a.txt", "hello")
    assert (tmp_path / "new" / "a.txt").read_text() == "hello"
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == ["a.txt"]


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_who_may_read_a_file_follows_from_the_umask(tmp_path: Path, umask: int, mode: int):
    old = os.umask(umask)
    try:
        atomic_write(tmp_path / "a.txt", "hello")
    finally:
        os.umask(old)
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == mode


def test_atomic_write_keeps_the_old_file_when_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    target = tmp_path / "a.txt"
    target.write_text("old")

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StorageError, match="No space left"):
        atomic_write(target, "new")
    assert target.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.parametrize("name", ["../x", "", ".hidden", "a/b", "x" * 129, "a b", "é"])
def test_unsafe_names(name: str):
    with pytest.raises(UsageError, match="not a valid name"):
        safe_name(name, what="name")
    assert safe_name("support_triage-2.1", what="name") == "support_triage-2.1"
