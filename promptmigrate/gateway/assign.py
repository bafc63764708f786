"""Who gets which variant: a pure function of route and unit.

A unit (user or session) falls in one of 10,000 buckets by a salted hash, computed in integers; the candidates
take the buckets from the bottom in the order of ``traffic``, control takes the rest. So a candidate whose
share is raised at control's expense keeps every unit it had.
"""

from __future__ import annotations

import hashlib
import random

from promptmigrate.errors import UsageError
from promptmigrate.gateway.route import Route
from promptmigrate.gateway.sections.base import BASIS_POINTS


def unit_of(route: Route, user: str | None, session: str | None) -> str | None:
    """What is sticky in a call: the first of ``unit.from`` that it names; an empty text names nothing."""
    given = {"user": user, "session": session}
    return next((unit for kind in route.unit.from_ if (unit := given[kind])), None)


def unit_hash(salt: str, unit: str) -> bytes:
    """SHA-256 of ``salt``, a zero byte, ``unit``: 32 bytes."""
    return hashlib.sha256(
        salt.encode("utf-8", "surrogatepass") + b"\0" + unit.encode("utf-8", "surrogatepass")
    ).digest()


def bucket(salt: str, unit: str) -> int:
    """The bucket of a unit, 0 to 9999: the first 8 bytes of its hash, scaled exactly in integers."""
    return int.from_bytes(unit_hash(salt, unit)[:8], "big") * BASIS_POINTS >> 64


def variant_of(route: Route, number: int) -> str:
    """The variant that owns bucket ``number``."""
    edge = 0
    for name, share in route.traffic.items():
        if name == route.control:
            continue
        edge += share
        if number < edge:
            return name
    return route.control


def assign(route: Route, unit: str | None, *, rng: random.Random) -> str:
    """The variant that serves ``unit`` on a live route.

    Raises:
        UsageError: the call names no unit and the route says that this is an error.
    """
    if unit is not None:
        return variant_of(route, bucket(route.salt, unit))
    match route.unit.missing:
        case "control":
            return route.control
        case "random":
            return variant_of(route, rng.randrange(BASIS_POINTS))
        case _:
            names = " or ".join(f"{name}=" for name in route.unit.from_)
            raise UsageError(f"route '{route.route}' is sticky: give {names} with every call")
