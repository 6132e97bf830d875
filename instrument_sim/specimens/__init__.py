"""Real EBSD maps that ship with the simulator; provenance and licences are in README.md beside this file.

The files are the distribution `grainloop-data`, which the base install does without.
"""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType
from typing import Final

from grainloop.model.maps import OrientationMap, read_map
from grainloop.protocols.errors import NotInstalled
from grainloop.protocols.version import install_command

FOLDER: Final = Path(__file__).parent
FILES: Final = MappingProxyType({"ti64": "Ti64-200x200.ang", "mg-twins": "newTwins.cpr"})
"""Specimens that show PL contrast: name → map file."""
CUBIC: Final = MappingProxyType({"ni": "testDataEBSD.cpr"})
"""Specimens without: PL tells nothing of cubic crystals."""
ALL: Final = MappingProxyType({**FILES, **CUBIC})


def path_of(name: str) -> Path:
    """The map file of a specimen.

    Raises:
        ValueError: no specimen has this name.
        NotInstalled: this installation has no specimens.
    """
    if name not in ALL:
        raise ValueError(f"unknown specimen {name!r}; known: {', '.join(ALL)}")
    path = FOLDER / ALL[name]
    if not path.is_file():
        message = f"The specimen {name!r} is not in this installation; {install_command('sim')} installs it."
        raise NotInstalled(message, field="map", value=path)
    return path


def load(name: str) -> OrientationMap:
    """The orientation map of a specimen: "ti64" (200×200, macrozones), "mg-twins" (137×167, twin lamellae), or "ni".

    The last is cubic (243×359, annealing twins). No file states its Euler frame; all are declared as "identity", so
    that for the simulation the Euler frame is the map frame.

    Raises:
        ValueError: no specimen has this name.
        NotInstalled: this installation has no specimens.
    """
    return read_map(path_of(name), frame="identity")
