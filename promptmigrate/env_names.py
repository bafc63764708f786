"""Files name the environment variables that hold secrets; the secrets themselves never stand in them."""

from __future__ import annotations

import re

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")


def env_name(value: str, *, not_the: str) -> str:
    """``value``, if it can be the name of a variable and is not what the variable should hold.

    Raises:
        ValueError: it cannot; ``not_the`` says what it may be instead. It is not shown: it may be a secret.
    """
    if not _NAME.fullmatch(value):
        raise ValueError(f"must be the name of an environment variable, not the {not_the} itself")
    return value
