"""Runs that are over: decided anew, told again, and side by side. Needs no service."""

from grainloop.controller.recorded.agreement import Agreement, agreement, asked_by, limits
from grainloop.controller.recorded.compare import Apart, compare
from grainloop.controller.recorded.instrument import Beyond
from grainloop.controller.recorded.redecide import Recorded, recorded_run, redecide
from grainloop.controller.recorded.retell import Retelling
from grainloop.controller.recorded.virtual_time import VirtualLoop

__all__ = [
    "Agreement",
    "Apart",
    "Beyond",
    "Recorded",
    "Retelling",
    "VirtualLoop",
    "agreement",
    "asked_by",
    "compare",
    "limits",
    "recorded_run",
    "redecide",
]
