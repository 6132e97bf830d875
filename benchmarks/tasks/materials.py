"""What is measured: the real maps that ship, and synthetic specimens that neither training nor validation saw.

A real map is the same for every seed, so its standard deviations are those of noise, dust, shading and misregistration.
Of the synthetic material every seed is another specimen: its standard deviations are those between specimens.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

import numpy as np

from instrument_sim import specimens
from model.maps import MapPhase, OrientationMap
from model.microstructure import TRAINING_WEIGHTS, Specimen, make_specimen, mixture

TITANIUM = MapPhase(1, "Titanium", "6/mmm", (2.95, 2.95, 4.686), (90.0, 90.0, 120.0))
SYNTHETIC_SHAPE_PX = (128, 128)
_STREAM = 20_270_119
"""Keeps these specimens apart from those of training, validation and other benchmarks."""
_STEP_UM = 0.5


@dataclass(frozen=True)
class Material:
    """A kind of specimen.

    Attributes:
        name: in the results.
        title: on pages and pictures.
        specimen: the map of a seed.
    """

    name: str
    title: str
    specimen: Callable[[int], OrientationMap]


@cache
def _shipped(name: str) -> OrientationMap:
    return specimens.load(name)


def shipped(name: str, title: str) -> Material:
    """A real map that ships, whatever the seed."""
    return Material(name, title, partial(_same, name))


def _same(name: str, seed: int) -> OrientationMap:
    del seed
    return _shipped(name)


@cache
def synthetic_specimen(seed: int, shape_px: tuple[int, int] = SYNTHETIC_SHAPE_PX) -> OrientationMap:
    """A specimen drawn from the mixture of recipes that training draws from."""
    rng = np.random.default_rng([_STREAM, seed])
    return as_map(make_specimen(rng, shape_px, mixture(rng, TRAINING_WEIGHTS)))


def as_map(specimen: Specimen) -> OrientationMap:
    """A specimen as an orientation map of titanium; pores and particles of the second phase are not indexed."""
    ones = np.ones(specimen.shape, np.float32)
    orientation = np.where(specimen.valid[..., None], specimen.orientation, np.array([1, 0, 0, 0], np.float32))
    phase_id = specimen.valid.astype(np.uint8)
    return OrientationMap(orientation.astype(np.float32), phase_id, ones, 0.5 * ones, _STEP_UM, (TITANIUM,))


TI64 = shipped("ti64", "Ti-6Al-4V (macrozones)")
MG_TWINS = shipped("mg-twins", "Mg (twins)")
SYNTHETIC = Material("synthetic", "synthetic specimens, unseen", synthetic_specimen)
MATERIALS = (TI64, MG_TWINS, SYNTHETIC)
