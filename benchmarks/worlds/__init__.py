"""Worlds to compare optimizers in; written apart from the product and from its simulator."""

from benchmarks.worlds._base import Row, Source, World, messages_of
from benchmarks.worlds.adverts import Adverts
from benchmarks.worlds.codes import Codes
from benchmarks.worlds.hotel import Hotel
from benchmarks.worlds.minutes import Minutes
from benchmarks.worlds.sums import Sums
from benchmarks.worlds.urgency import Urgency
from benchmarks.worlds.waybill import Waybill
from benchmarks.worlds.wire import Wire

WORLDS: dict[str, World] = {
    world.name: world
    for world in (Hotel(), Waybill(), Sums(), Codes(), Wire(), Urgency(), Minutes(), Adverts())
}

__all__ = ["WORLDS", "Row", "Source", "World", "messages_of"]
