"""Reading and writing files: strict YAML, atomic writes, locks, safe names, content digests."""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml

from promptmigrate.errors import StorageError, UsageError

MAX_YAML_BYTES = 1_000_000
MAX_YAML_DEPTH = 64
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")


class YAMLError(UsageError):
    """YAML that cannot be read; ``line`` is 1-based where known."""

    def __init__(self, message: str, line: int | None = None) -> None:
        self.line = line
        super().__init__(message)


class Lines(dict[tuple[str | int, ...], int]):
    """Line (1-based) of each key path of a YAML document."""


def canonical_json(value: object) -> str:
    """The one JSON text of ``value``: sorted keys, no spaces, no NaN; what digests are taken of."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(value: object) -> str:
    """``sha256:`` and 64 hex digits of the canonical JSON of ``value``."""
    return "sha256:" + hashlib.sha256(canonical_json(value).encode("utf-8", "surrogatepass")).hexdigest()


@contextmanager
def locked(handle: int) -> Iterator[None]:
    """Hold an open file or folder for this process; others wait. It ends with the process.

    On Windows, which has no flock, nobody waits.
    """
    if sys.platform == "win32":
        yield
        return
    import fcntl

    fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(handle, fcntl.LOCK_UN)


@contextmanager
def held(path: Path, *, busy: str) -> Iterator[None]:
    """Hold the lock file ``path`` for this process, if nobody does; the hold ends with the process.

    On Windows, which has no flock, nobody is kept out.

    Raises:
        StorageError: another process holds it (``busy`` says so), or its folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise StorageError(
            f"folder {path.parent} cannot be written: {error.strerror}; choose another with --runs or make "
            "it writable"
        ) from error
    try:
        if sys.platform != "win32":
            import fcntl

            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise StorageError(busy) from error
            except OSError as error:
                raise StorageError(
                    f"{path} cannot be locked: {error.strerror}; use a folder on a local disk"
                ) from error
        yield
    finally:
        os.close(handle)


def safe_name(name: str, *, what: str) -> str:
    """``name`` if it can be a folder or registry name, else :class:`UsageError`."""
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{what} {name!r} is not a valid name: use letters, digits, '_', '.', '-', "
            "at most 128, starting with a letter or digit"
        )
    return name


def atomic_write(path: Path, data: str | bytes) -> None:
    """Write ``data`` to ``path`` so that a reader or a crash sees the old file or the new one, never half.

    Raises:
        StorageError: the folder cannot be written.
    """
    raw = data.encode("utf-8", "replace") if isinstance(data, str) else data
    new = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # 0o666 less the umask: who keeps their files to themselves has data of production in them.
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666), "wb") as stream:
            stream.write(raw)
            stream.flush()
            os.fsync(stream.fileno())
        new.replace(path)
    except OSError as error:
        with suppress(OSError):  # the folder may be what cannot be used
            new.unlink(missing_ok=True)
        raise StorageError(f"{path} cannot be written: {error.strerror or error}") from error


class _StrictLoader(yaml.SafeLoader):
    """Safe YAML without anchors, aliases, tags, merge keys or duplicate keys."""


def parse_yaml(text: str) -> tuple[Any, Lines]:
    """The document in ``text`` and the line of each key path.

    Anchors, aliases, tags and duplicate keys are refused, as are documents over 1 MB or 64 levels deep, so a
    file means what it shows and cannot blow up.

    Raises:
        YAMLError: with the line where known.
    """
    if len(text.encode("utf-8", "replace")) > MAX_YAML_BYTES:
        raise YAMLError(f"the file is larger than {MAX_YAML_BYTES} bytes")
    try:
        _scan(text)
        node = yaml.compose(text, Loader=_StrictLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise YAMLError(f"not valid YAML: {error.problem or error.context}", line) from error
    except yaml.YAMLError as error:
        raise YAMLError(f"not valid YAML: {' '.join(str(error).split())}") from error
    lines = Lines()
    if node is None:
        return None, lines
    return _build(node, (), lines), lines


def _scan(text: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=_StrictLoader):
        line = event.start_mark.line + 1 if event.start_mark else None
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise YAMLError("anchors and aliases are not allowed", line)
        if tag := getattr(event, "tag", None):
            raise YAMLError(f"tags are not allowed ({tag})", line)
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_YAML_DEPTH:
                raise YAMLError(f"nested deeper than {MAX_YAML_DEPTH} levels", line)
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _build(node: yaml.Node, path: tuple[str | int, ...], lines: Lines) -> Any:
    lines[path] = node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        mapping: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                raise YAMLError("a key must be a plain word", line)
            key = key_node.value
            if key in mapping:
                raise YAMLError(f"key '{key}' appears twice", line)
            mapping[key] = _build(value_node, (*path, key), lines)
            lines[(*path, key)] = line
        return mapping
    if isinstance(node, yaml.SequenceNode):
        return [_build(item, (*path, index), lines) for index, item in enumerate(node.value)]
    loader = _StrictLoader("")
    try:
        return loader.construct_object(node)
    except (ValueError, yaml.YAMLError) as error:
        raise YAMLError(f"value {node.value!r} cannot be read", node.start_mark.line + 1) from error


def dump_yaml(value: object) -> str:
    """``value`` as block YAML, keys in the given order, long texts as literal blocks."""

    class Dumper(yaml.SafeDumper):
        def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - PyYAML's signature
            return True

    def text(dumper: yaml.SafeDumper, data: str) -> yaml.ScalarNode:
        literal = "\n" in data and not re.search(r"[ \t]\n|^\s|[\x00-\x08\x0b-\x1f\x7f]", data)
        return dumper.represent_scalar("tag:yaml.org,2002:str", data, style="|" if literal else None)

    Dumper.add_representer(str, text)
    return yaml.dump(value, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=110)
