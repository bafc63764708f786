"""Files that a reader sees as they were or as they are, never half."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def write_whole(path: Path, text: str) -> None:
    """Put ``text`` into ``path``; who may read it follows from the umask, as for any file.

    Raises:
        OSError: it cannot be written.
    """
    new = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666), "wb") as stream:
            # Half a surrogate pair, which a model may write, becomes its escape, which JSON reads back.
            stream.write(text.encode("utf-8", "backslashreplace"))
        new.replace(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
