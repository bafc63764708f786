"""What the shipping thread needs of a place for traces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeAlias

Record: TypeAlias = Mapping[str, Any]


class Refused(Exception):  # noqa: N818 - says what happened
    """The store does not take these records, though it can be reached."""


class Unavailable(Exception):  # noqa: N818 - says what happened
    """The store cannot be reached, or is busy; try again later."""


class Store(Protocol):
    """Where traces go."""

    def send(self, records: Sequence[Record], /) -> None:
        """Deliver ``records``; all of them or (as far as is known) none.

        Raises:
            Refused: as they are, they will not be taken.
            Unavailable: try again later.
        """
        ...
