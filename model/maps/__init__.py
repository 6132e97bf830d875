"""EBSD map files: one reader for .ang, .ctf and .cpr/.crc, writers for .ang and .ctf; numpy and model.crystal only."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from grainloop.model.maps.ang import read_ang, write_ang
from grainloop.model.maps.crc import read_crc
from grainloop.model.maps.ctf import read_ctf, write_ctf
from grainloop.model.maps.errors import MapFileError
from grainloop.model.maps.orientation_map import MapPhase, OrientationMap

__all__ = ["MapFileError", "MapPhase", "OrientationMap", "read_map", "write_map"]

_READERS = {".ang": read_ang, ".ctf": read_ctf, ".cpr": read_crc, ".crc": read_crc}
_WRITERS = {".ang": write_ang, ".ctf": write_ctf}


def read_map(path: str | PathLike[str], frame: str | None = None) -> OrientationMap:
    """The map in a file, by its suffix: .ang, .ctf, .cpr or .crc.

    Args:
        path: the file (either one of a .cpr/.crc pair).
        frame: declared relation of the Euler frame to the map frame ("identity", "edax-2", "oxford", …). It is carried
            along, nothing is turned. By default what a file written by grainloop says, else "identity".

    Raises:
        MapFileError: unknown suffix, or a file that cannot be read.
    """
    file = Path(path)
    reader = _READERS.get(file.suffix.lower())
    if reader is None:
        raise MapFileError(file, f"files of type {file.suffix!r} cannot be read; known: {', '.join(_READERS)}.")
    return reader(file, frame)


def write_map(path: str | PathLike[str], map_: OrientationMap) -> None:
    """Write a map to a file, by its suffix: .ang or .ctf.

    Raises:
        MapFileError: another suffix, a map that the format cannot hold, or a file that cannot be written.
    """
    file = Path(path)
    writer = _WRITERS.get(file.suffix.lower())
    if writer is None:
        raise MapFileError(file, f"files of type {file.suffix!r} cannot be written; known: {', '.join(_WRITERS)}.")
    writer(file, map_)
