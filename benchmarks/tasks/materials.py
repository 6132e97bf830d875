"""What is measured: the real maps that ship, and synthetic specimens that neither training nor validation saw.

A real map is the same for every seed, so its standard deviations are those of noise, dust, shading and misregistration.
Of the synthetic material every seed is another specimen: its standard deviations are those between specimens.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

import numpy as np

from grainloop.instrument_sim import specimens
from grainloop.instrument_sim.synthetic import draw_specimen
from grainloop.model.maps import OrientationMap

SYNTHETIC_SHAPE_PX = (128, 128)
_STREAM = 20_270_119
"""Keeps these specimens apart from those of training, validation and other benchmarks."""


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
    return draw_specimen(rng, shape_px)


TI64 = shipped("ti64", "Ti-6Al-4V (macrozones)")
MG_TWINS = shipped("mg-twins", "Mg (twins)")
SYNTHETIC = Material("synthetic", "synthetic specimens, unseen", synthetic_specimen)
MATERIALS = (TI64, MG_TWINS, SYNTHETIC)
