"""The map that the simulated instrument measures, by file or by name."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from grainloop.instrument_sim import specimens
from grainloop.model.maps import MapFileError, OrientationMap, read_map
from grainloop.protocols.errors import BadInput


def load_specimen(name: str) -> OrientationMap:
    """The map in the file `name`, or the shipped specimen of that name.

    Raises:
        BadInput: no such file or specimen, or a map that cannot be read.
    """
    if not name.strip():
        raise BadInput("--map is empty: give a map file or the name of a specimen.", field="map", value=name)
    try:
        if name in specimens.ALL:
            return specimens.load(name)
        if not os.path.exists(name):
            known = ", ".join(specimens.ALL)
            raise BadInput(f"There is no map file {name}, and no specimen of that name (known: {known}).", field="map")
        return read_map(Path(name))
    except MapFileError as error:
        raise BadInput(f"The map {error}", field="map", value=name) from error


def require_single_phase(specimen: OrientationMap, name: str) -> None:
    """Refuse what the demo cannot score: several phases, or symmetries without an embedding.

    Raises:
        BadInput: with what was found.
    """
    present = np.unique(specimen.phase_id[specimen.indexed])
    if len(present) == 0:
        raise BadInput(f"The map {name} holds no indexed point.", field="map", value=name)
    if len(present) > 1:
        message = f"The map {name} holds {len(present)} phases; the demo needs one of a single phase."
        raise BadInput(message, field="map", value=name)
    group = specimen.main_phase.laue_group
    if group not in ("6/mmm", "m-3m"):
        message = f"The map {name} is of Laue group {group}; the demo needs 6/mmm or m-3m."
        raise BadInput(message, field="map", value=group)
