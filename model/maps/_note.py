"""The line in which a written map keeps what its format has no field for.

`grainloop: frame=edax-2; hexagonal_axis=a; measured=yes` stands in the notes of an .ang and in the author field of a
.ctf. Other programs ignore it.
"""

from __future__ import annotations

import re

from grainloop.model.maps.orientation_map import OrientationMap

_MARK = "grainloop: "


def note_of(map_: OrientationMap) -> str:
    """The note for a map."""
    axis = map_.phases[0].hexagonal_axis if map_.phases else "a"
    measured = "no" if map_.measured is None else "yes"
    return f"{_MARK}frame={map_.frame}; hexagonal_axis={axis}; measured={measured}"


def read_note(header: list[str]) -> dict[str, str]:
    """The entries of the first note in `header`, empty if there is none."""
    for line in header:
        if _MARK in line:
            return dict(re.findall(r"(\w+)=([^;\s]+)", line.split(_MARK, 1)[1]))
    return {}
