"""The route file on disk: read, watched, and never served half-written."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path

from promptmigrate.errors import PromptMigrateError, RouteError
from promptmigrate.gateway.route import Route, load_route, parse_route

_log = logging.getLogger("promptmigrate.gateway")
CHECK_S = 1.0
"""The file is looked at at most this often."""
_SETTLED_NS = 3_000_000_000
"""A file younger than this may change again without a new time stamp, so its content is compared."""


class RouteFile:
    """Tells when the route file holds another route. On any error the last good one stays."""

    def __init__(self, path: Path, *, monotonic: Callable[[], float], time_ns: Callable[[], int]) -> None:
        self.path = path
        self.last_error: RouteError | None = None
        """Why the file as it is now is not served; None if it is."""
        self._monotonic, self._time_ns = monotonic, time_ns
        self._seen: tuple[int, int, int] | None = None
        self._content: bytes | None = None
        self._due = 0.0
        self.lock = threading.Lock()

    def first(self) -> Route:
        """The route at the start.

        Raises:
            RouteError: there is none, or it is wrong.
        """
        self._due = self._monotonic() + CHECK_S
        route = load_route(self.path)
        try:
            self._seen, self._content = self._stamp(), self.path.read_bytes()
        except OSError:
            self._seen = None  # gone in the meantime: the next look will say so
        return route

    def changed(
        self, current: Callable[[], Route], accept: Callable[[Route], None], *, force: bool = False
    ) -> bool:
        """Look at the file (if it is time to) and hand a new route to ``accept``, which may refuse it.

        Gives whether a new route was accepted. Never raises for a bad file: see :attr:`last_error`.
        """
        now = self._monotonic()
        if now < self._due and not force:
            return False
        with self.lock:
            self._due = now + CHECK_S
            return self._look(current(), accept)

    def _look(self, current: Route, accept: Callable[[Route], None]) -> bool:
        try:
            stamp = self._stamp()
            if stamp == self._seen and self._time_ns() - stamp[0] > _SETTLED_NS:
                return False
            content = self.path.read_bytes()
        except OSError as error:
            self._seen = self._content = None
            self._refuse(RouteError(f"{self.path}: the route file cannot be read: {error.strerror or error}"))
            return False
        if content == self._content:
            self._seen = stamp
            return False
        self._seen, self._content = stamp, content
        try:
            route = parse_route(content.decode("utf-8"), file=self.path)
            self._follows(current, route)
            if route != current:
                accept(route)
        except UnicodeDecodeError:
            self._refuse(RouteError(f"{self.path}: the route file is not UTF-8 text"))
            return False
        except PromptMigrateError as error:
            self._refuse(error if isinstance(error, RouteError) else RouteError(f"{self.path}: {error}"))
            return False
        self.last_error = None
        return route != current

    def _follows(self, current: Route, route: Route) -> None:
        if route.route != current.route:
            raise RouteError(
                f"{self.path}: the file is now for route '{route.route}', not for '{current.route}' any more"
            )
        if route.revision < current.revision:
            raise RouteError(
                f"{self.path}: revision {route.revision} is older than the one served ({current.revision}); "
                "to go back, write the old content with a higher revision"
            )

    def _refuse(self, error: RouteError) -> None:
        if self.last_error is None or str(self.last_error) != str(error):
            _log.warning("the last good route stays in use: %s", error)
        self.last_error = error

    def _stamp(self) -> tuple[int, int, int]:
        status = self.path.stat()
        return status.st_mtime_ns, status.st_size, status.st_ino
