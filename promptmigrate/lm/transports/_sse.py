"""Server-sent events, read from bytes as they come.

Follows the event-stream format of the WHATWG HTML standard as far as chat completions use it: ``data`` and
``event`` fields, comment lines, LF, CR or CRLF, a byte-order mark, an event ended by a blank line. What is
left at the end of the stream counts as an event too, since some servers forget the last blank line.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass

MAX_EVENT_CHARS = 16_000_000


class EventTooLong(ValueError):  # noqa: N818 - says what is wrong
    """An event or line longer than :data:`MAX_EVENT_CHARS`."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event: its type (``message`` if the server names none) and its data lines joined by newlines."""

    type: str
    data: str


class EventParser:
    """Feed it chunks of bytes, cut anywhere; get events."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._partial: list[str] = []
        self._size = 0
        self._cr = False
        self._first = True
        self._type = ""
        self._data: list[str] = []

    def feed(self, chunk: bytes) -> list[Event]:
        """Events that ``chunk`` completes."""
        return self._text(self._decoder.decode(chunk))

    def finish(self) -> list[Event]:
        """What is left when the stream has ended."""
        events = self._text(self._decoder.decode(b"", True))
        if self._partial:
            line = "".join(self._partial)
            self._partial = []
            self._line(line)
        if self._data:
            events.append(self._event())
        return events

    def _text(self, text: str) -> list[Event]:
        if self._first and text:
            self._first = False
            text = text.removeprefix("\ufeff")
        if self._cr and text:  # a CRLF that was cut between its two bytes
            self._cr = False
            text = text.removeprefix("\n")
        if not text:
            return []
        self._cr = text.endswith("\r")
        lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        self._grow(len(lines[0]))
        lines[0] = "".join((*self._partial, lines[0])) if len(lines) > 1 else lines[0]
        if len(lines) == 1:
            self._partial.append(lines[0])
            return []
        rest = lines.pop()
        self._partial = [rest] if rest else []
        self._size = len(rest) + sum(map(len, self._data))
        events = []
        for line in lines:
            if line:
                self._line(line)
                continue
            if self._data:
                events.append(self._event())
            self._type = ""
        return events

    def _grow(self, size: int) -> None:
        self._size += size
        if self._size > MAX_EVENT_CHARS:
            raise EventTooLong(f"an event is longer than {MAX_EVENT_CHARS} characters")

    def _line(self, line: str) -> None:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._grow(len(value))
            self._data.append(value)
        elif name == "event":
            self._type = value

    def _event(self) -> Event:
        event = Event(self._type or "message", "\n".join(self._data))
        self._type, self._data, self._size = "", [], sum(map(len, self._partial))
        return event
