"""Real EBSD maps that ship with the simulator; provenance and licences are in README.md beside this file."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType
from typing import Final

from model.maps import OrientationMap, read_map

FOLDER: Final = Path(__file__).parent
FILES: Final = MappingProxyType({"ti64": "Ti64-200x200.ang", "mg-twins": "newTwins.cpr"})
"""Specimen name → map file."""


def path_of(name: str) -> Path:
    """The map file of a specimen.

    Raises:
        ValueError: no specimen has this name.
    """
    if name not in FILES:
        raise ValueError(f"unknown specimen {name!r}; known: {', '.join(FILES)}")
    return FOLDER / FILES[name]


def load(name: str) -> OrientationMap:
    """The orientation map of a specimen: "ti64" (200×200, macrozones) or "mg-twins" (137×167, twin lamellae).

    Neither file states its Euler frame; both are declared as "identity", so that for the simulation the Euler frame is
    the map frame.

    Raises:
        ValueError: no specimen has this name.
    """
    return read_map(path_of(name), frame="identity")
