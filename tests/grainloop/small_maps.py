"""Small maps for tests of the commands that reconstruct: chessboards of grains, one phase or two."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from grainloop.model.crystal import random_quaternions
from grainloop.model.maps import MapPhase, OrientationMap, write_map

TITANIUM = MapPhase(1, "Titanium", "6/mmm", (2.95, 2.95, 4.686), (90.0, 90.0, 120.0))
NICKEL = MapPhase(2, "Nickel", "m-3m", (3.52, 3.52, 3.52))
ZIRCON = MapPhase(2, "Zircon", "4/mmm", (6.61, 6.61, 5.98))
"""Of a symmetry that no model is trained for."""


def chessboard(rows: int = 4, columns: int = 5, edge: int = 12, seed: int = 0) -> OrientationMap:
    """Square grains of titanium with random orientations."""
    q = random_quaternions(rows * columns, np.random.default_rng(seed)).reshape(rows, columns, 4)
    orientation = q.repeat(edge, axis=0).repeat(edge, axis=1).astype(np.float32)
    shape = orientation.shape[:2]
    ones = np.ones(shape, np.float32)
    phase_id = np.ones(shape, np.uint8)
    return OrientationMap(orientation, phase_id, 0.8 * ones, 0.5 * ones, 0.5, (TITANIUM,))


def two_phases(
    rows: int = 4, columns: int = 5, edge: int = 12, seed: int = 0, other: MapPhase = NICKEL
) -> OrientationMap:
    """The same with every other grain of another phase."""
    one = chessboard(rows, columns, edge, seed)
    odd = np.indices((rows, columns)).sum(axis=0) % 2
    phase_id = (1 + odd).repeat(edge, axis=0).repeat(edge, axis=1).astype(np.uint8)
    return replace(one, phase_id=phase_id, phases=(TITANIUM, other))


def with_hole(one: OrientationMap, rows: slice, columns: slice) -> OrientationMap:
    """The same with a part that is not indexed."""
    phase_id, orientation = one.phase_id.copy(), one.orientation.copy()
    phase_id[rows, columns], orientation[rows, columns] = 0, (1, 0, 0, 0)
    return replace(one, phase_id=phase_id, orientation=orientation)


def written(one: OrientationMap, path: Path) -> str:
    """The name of a file that holds the map."""
    write_map(path, one)
    return str(path)
