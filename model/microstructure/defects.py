"""Pores, second-phase particles and patches that cannot be indexed, placed in the volume so that sections agree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from grainloop.model.jit import cached
from grainloop.model.microstructure.fields import SmoothField, smooth_field
from grainloop.model.microstructure.recipe import Defects, Range, draw, draw_log

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Balls:
    """Slightly flattened balls: centre (n, 3), radius (n,) in px, and the inverse axis ratios (n, 3)."""

    centre: Floats
    radius: Floats
    ratio: Floats

    def at(self, points: Floats) -> NDArray[np.int32]:
        """(h, w) index of a ball that covers each of the (h, w, 3) points, −1 where none does."""
        covering = np.full(points.shape[:2], -1, np.int32)
        _cover(covering, points, self.centre, self.radius, self.ratio)
        return covering


@dataclass(frozen=True)
class Flaws:
    """The flaws of a volume; `patch_level` is the height of `patches` above which points are not indexed."""

    pores: Balls
    particles: Balls
    patches: SmoothField | None
    patch_level: float

    def unindexed(self, shape: tuple[int, int], depth_px: float) -> NDArray[np.bool_]:
        """(h, w) mask of the patches in a section."""
        if self.patches is None:
            return np.zeros(shape, np.bool_)
        return self.patches.section(shape, depth_px)[0] > self.patch_level


def draw_flaws(rng: np.random.Generator, defects: Defects, shape: tuple[int, int], depth_px: float) -> Flaws:
    """Flaws of the kinds that happen to be present."""
    pores = _balls(rng, _share(rng, defects, defects.pores), defects, shape, depth_px)
    particles = _balls(rng, _share(rng, defects, defects.particles), defects, shape, depth_px)
    patchy = _share(rng, defects, defects.unindexed)
    if not patchy:
        return Flaws(pores, particles, None, np.inf)
    field = smooth_field(rng, shape, draw_log(rng, (2.0, 12.0)), 1, depth_px)
    return Flaws(pores, particles, field, float(ndtri(1 - patchy)))


def _share(rng: np.random.Generator, defects: Defects, limits: Range) -> float:
    return draw(rng, limits) if rng.random() < defects.present else 0.0


def _balls(rng: np.random.Generator, share: float, defects: Defects, shape: tuple[int, int], depth_px: float) -> Balls:
    """Balls that fill `share` of the volume (overlaps not counted)."""
    typical = draw_log(rng, defects.radius_px)
    span = np.array([shape[1], shape[0], depth_px]) + 4 * typical
    mean_volume = 4 / 3 * np.pi * typical**3 * np.exp(4.5 * 0.35**2)
    n = int(rng.poisson(share * float(np.prod(span)) / mean_volume))
    radius = typical * np.exp(0.35 * rng.standard_normal(n))
    return Balls(span * rng.random((n, 3)) - 2 * typical, radius, rng.uniform(0.7, 1.3, (n, 3)))


@cached
def _cover(covering: Any, points: Any, centre: Any, radius: Any, ratio: Any) -> None:  # pragma: no cover - compiled
    for k in range(radius.size):
        reach = radius[k] / 0.7 + 3
        for i in range(max(0, int(centre[k, 1] - reach)), min(covering.shape[0], int(centre[k, 1] + reach) + 2)):
            for j in range(max(0, int(centre[k, 0] - reach)), min(covering.shape[1], int(centre[k, 0] + reach) + 2)):
                x = (points[i, j, 0] - centre[k, 0]) * ratio[k, 0]
                y = (points[i, j, 1] - centre[k, 1]) * ratio[k, 1]
                z = (points[i, j, 2] - centre[k, 2]) * ratio[k, 2]
                if x * x + y * y + z * z < radius[k] * radius[k]:
                    covering[i, j] = k
