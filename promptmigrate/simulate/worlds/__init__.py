"""The simulated tasks."""

from promptmigrate.simulate.worlds._base import World

__all__ = ["World"]
