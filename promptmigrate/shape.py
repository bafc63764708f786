"""Parsed JSON as a pydantic model, or the sentence that says what is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from promptmigrate.errors import DataError

_Model = TypeVar("_Model", bound=BaseModel)


def shaped(model: type[_Model], value: Any, *, file: Path | str, row: int | None = None) -> _Model:
    """``value`` as ``model``.

    Raises:
        DataError: naming the file, the row and the field.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise DataError(
            f"{where}: {first['msg'][:1].lower()}{first['msg'][1:]}", file=file, row=row
        ) from error
