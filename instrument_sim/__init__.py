"""A simulated EBSD/PL instrument that serves a specimen over the grainloop protocol."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from grainloop.instrument_sim.config import SimConfig
    from grainloop.instrument_sim.driver import SimulatedInstrument

__all__ = ["SimConfig", "SimulatedInstrument"]

_HOMES = {"SimConfig": "grainloop.instrument_sim.config", "SimulatedInstrument": "grainloop.instrument_sim.driver"}


def __getattr__(name: str) -> Any:
    """Import on first use: the specimens can be read without scipy."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
