"""Synthetic specimens for the instrument: drawn from the recipes that training draws from, as maps of one phase."""

from __future__ import annotations

import numpy as np

from grainloop.model.maps import MapPhase, OrientationMap
from grainloop.model.microstructure import TRAINING_WEIGHTS, Specimen, make_specimen, mixture

TITANIUM = MapPhase(1, "Titanium", "6/mmm", (2.95, 2.95, 4.686), (90.0, 90.0, 120.0))
NICKEL = MapPhase(1, "Nickel", "m-3m", (3.52, 3.52, 3.52), (90.0, 90.0, 90.0))
PHASES = {phase.laue_group: phase for phase in (TITANIUM, NICKEL)}
STEP_UM = 0.5


def draw_specimen(rng: np.random.Generator, shape_px: tuple[int, int], point_group: str = "6/mmm") -> OrientationMap:
    """A specimen of rows, columns from the mixture of recipes that training draws from.

    Raises:
        MicrostructureError: see `make_specimen`.
    """
    recipe = mixture(rng, TRAINING_WEIGHTS)
    return as_map(make_specimen(rng, shape_px, recipe, point_group))


def as_map(specimen: Specimen) -> OrientationMap:
    """A specimen as an orientation map of one phase; pores and particles of the second phase are not indexed."""
    ones = np.ones(specimen.shape, np.float32)
    orientation = np.where(specimen.valid[..., None], specimen.orientation, np.array([1, 0, 0, 0], np.float32))
    phase = PHASES[specimen.point_group]
    phase_id = specimen.valid.astype(np.uint8) * np.uint8(phase.phase_id)
    return OrientationMap(orientation.astype(np.float32), phase_id, ones, 0.5 * ones, STEP_UM, (phase,))
