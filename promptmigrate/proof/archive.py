"""A zip archive with one form only: the same entries are the same bytes, and no byte belongs to none.

Reading trusts nothing: no entry is written to disk, sizes are limited before anything is unpacked, and bytes
between or beside the entries are told.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from promptmigrate.errors import DataError

MAX_ARCHIVE_BYTES = 200_000_000
MAX_TOTAL_BYTES = 600_000_000
"""Of all entries, unpacked."""
MAX_ENTRIES = 64
_DEFLATED = 8
_VERSION = 20
_UNIX = 3
_DATE = (0 << 9) | (1 << 5) | 1
"""1 January 1980, the first date that the format can hold: a fixed one, so that time leaves no trace."""
_MODE = 0o100644 << 16


@dataclass(frozen=True, kw_only=True)
class Unpacked:
    """What an archive holds."""

    entries: Mapping[str, bytes]
    damaged: Mapping[str, str]
    """Entry -> why it cannot be read."""
    foreign: bool
    """Whether the archive has bytes, names or settings that :func:`pack` would not have made."""


def pack(entries: Mapping[str, bytes]) -> bytes:
    """The archive of ``entries``, sorted by name: equal entries give equal bytes (with one zlib)."""
    parts = []
    for name in sorted(entries):
        deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
        data = deflate.compress(entries[name]) + deflate.flush()
        parts.append(_Part(name, data, len(entries[name]), zlib.crc32(entries[name])))
    return _assemble(parts)


def unpack(path: Path) -> tuple[bytes, Unpacked]:
    """The bytes of the archive at ``path``, and its entries.

    Raises:
        DataError: it cannot be read, is no zip archive, or is larger than any bundle.
    """
    try:
        size = path.stat().st_size
        if size <= MAX_ARCHIVE_BYTES:
            with path.open("rb") as stream:  # a device or pipe says nothing of its size
                raw = stream.read(MAX_ARCHIVE_BYTES + 1)
            size = len(raw)
        if size > MAX_ARCHIVE_BYTES:
            raise DataError(f"{size:,} bytes, more than any bundle has ({MAX_ARCHIVE_BYTES:,})", file=path)
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror or error}", file=path) from error
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            return raw, _unpacked(raw, archive)
    except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error, OverflowError) as error:
        raise DataError(f"not a bundle: {error or type(error).__name__}", file=path) from error


def _unpacked(raw: bytes, archive: zipfile.ZipFile) -> Unpacked:
    infos = archive.infolist()
    if len(infos) > MAX_ENTRIES or sum(info.file_size for info in infos) > MAX_TOTAL_BYTES:
        raise ValueError("it would unpack to more than any bundle holds")
    if len({info.filename for info in infos}) < len(infos):
        raise ValueError("it has two entries of one name")
    entries: dict[str, bytes] = {}
    damaged: dict[str, str] = {}
    left = MAX_TOTAL_BYTES
    for info in infos:
        try:
            with archive.open(info) as stream:
                data = stream.read(left + 1)
        except (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, EOFError) as error:
            damaged[info.filename] = str(error)
            continue
        left -= len(data)
        if left < 0:
            raise ValueError("it unpacks to more than any bundle holds")
        entries[info.filename] = data
    return Unpacked(entries=entries, damaged=damaged, foreign=not _ours(raw, infos))


def _ours(raw: bytes, infos: list[zipfile.ZipInfo]) -> bool:
    """Whether ``raw`` is what :func:`pack` makes around the same compressed data."""
    parts = []
    for info in infos:
        start = info.header_offset + 30 + len(info.filename.encode())
        parts.append(_Part(info.filename, raw[start : start + info.compress_size], info.file_size, info.CRC))
    return [part.name for part in parts] == sorted(part.name for part in parts) and _assemble(parts) == raw


@dataclass(frozen=True)
class _Part:
    name: str
    data: bytes
    """Compressed."""
    size: int
    crc: int

    def header(self) -> bytes:
        """What local header and directory say alike."""
        name = self.name.encode()
        return struct.pack(
            "<4H3L2H", 0, _DEFLATED, 0, _DATE, self.crc, len(self.data), self.size, len(name), 0
        )


def _assemble(parts: list[_Part]) -> bytes:
    # The format: PKWARE, "APPNOTE.TXT - .ZIP File Format Specification", 4.3.
    body = io.BytesIO()
    directory = io.BytesIO()
    for part in parts:
        name, offset = part.name.encode(), body.tell()
        body.write(b"PK\x03\x04" + struct.pack("<H", _VERSION) + part.header() + name + part.data)
        directory.write(
            b"PK\x01\x02"
            + struct.pack("<2B", _VERSION, _UNIX)
            + struct.pack("<H", _VERSION)
            + part.header()
            + struct.pack("<3H2L", 0, 0, 0, _MODE, offset)
            + name
        )
    start, size = body.tell(), directory.tell()
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, len(parts), len(parts), size, start, 0)
    return body.getvalue() + directory.getvalue() + end
