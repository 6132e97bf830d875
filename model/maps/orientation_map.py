"""An orientation map in memory: what every reader returns and every writer takes.

Reading and writing belong to the modules named after the formats; nothing here interprets or turns orientations.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

HEXAGONAL_AXES = ("a", "a*")


@dataclass(frozen=True)
class MapPhase:
    """A crystal phase of a map.

    Attributes:
        phase_id: 1 … 255; 0 in the map means not indexed.
        name: as the file spells it.
        laue_group: Hermann-Mauguin name such as "6/mmm" (see `model.crystal.symmetry`).
        lattice_angstrom: a, b, c in Å, or nothing where the file gives none.
        lattice_angles_deg: alpha, beta, gamma.
        hexagonal_axis: crystal direction of the x-axis of the crystal frame, "a" (EDAX) or "a*" (Oxford); the two
            differ by 30° in φ2. Readers report it, nobody converts it silently.
    """

    phase_id: int
    name: str
    laue_group: str
    lattice_angstrom: tuple[float, float, float] | None = None
    lattice_angles_deg: tuple[float, float, float] = (90.0, 90.0, 90.0)
    hexagonal_axis: str = "a"


@dataclass(frozen=True, eq=False)
class OrientationMap:
    """A map on a square grid; arrays are indexed (row, column), rows run down, and are read-only.

    Attributes:
        orientation: (h, w, 4) float32 unit quaternions (w, x, y, z), crystal → sample; identity where not indexed.
        phase_id: (h, w) uint8, 0 where not indexed.
        confidence: (h, w) float32, 0 … 1: the confidence index, or a monotone image of the MAD.
        fit_deg: (h, w) float32 angular misfit, NaN where the file gives none.
        step_um: distance of neighbouring points.
        frame: name of the declared relation of the Euler frame to the map frame; files rarely state it.
        source: the file it came from, if any.
        measured: (h, w) bool, false where the orientation was inferred; nothing where every point was measured.
    """

    orientation: NDArray[np.float32]
    phase_id: NDArray[np.uint8]
    confidence: NDArray[np.float32]
    fit_deg: NDArray[np.float32]
    step_um: float
    phases: tuple[MapPhase, ...]
    frame: str = "identity"
    source: Path | None = None
    measured: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        shape = self.phase_id.shape
        for field in fields(self):
            value: Any = getattr(self, field.name)
            if isinstance(value, np.ndarray):
                expected = (*shape, 4) if field.name == "orientation" else shape
                if value.shape != expected or value.ndim < 2:
                    raise ValueError(f"{field.name} has shape {value.shape} in a map of shape {shape}")
                value.flags.writeable = False

    @property
    def shape_px(self) -> tuple[int, int]:
        """(rows, columns)."""
        height, width = self.phase_id.shape
        return height, width

    @property
    def indexed(self) -> NDArray[np.bool_]:
        """(h, w) bool: the points that carry an orientation."""
        return self.phase_id > 0

    def phase(self, phase_id: int) -> MapPhase:
        """The phase with this id; KeyError if there is none."""
        return {phase.phase_id: phase for phase in self.phases}[phase_id]

    @property
    def main_phase(self) -> MapPhase:
        """The phase of most points (the first phase where nothing is indexed)."""
        counts = np.bincount(self.phase_id.ravel(), minlength=256)
        return max(self.phases, key=lambda phase: int(counts[phase.phase_id]))
