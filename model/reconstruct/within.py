"""Orientations inside a grain: what a pixel has if it belongs to the grain of a measured point.

Grains are bent: in a macrozone the nearest point of the right grain may be off by more than 5°. The pixel therefore
takes the mean of that point and its neighbours in the same grain, weighed by distance (Nadaraya–Watson regression with
a Gaussian kernel on the quaternions, each turned to its nearest symmetric equivalent). Steps of more than
`SAME_GRAIN_DEG` are never averaged over. Which grain a pixel belongs to is decided elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from grainloop.model.crystal import (
    blocks,
    conjugate,
    disorientation_of_pairs_deg,
    multiply,
    reduce_to_fundamental_zone,
)
from grainloop.model.reconstruct.seeds import Seeds

SAME_GRAIN_DEG = 8.0
"""Neighbours that differ by more are not averaged, even if a chain of small steps joins them to one group."""
WIDTH = 0.7
"""Width of the kernel over the distance between neighbouring points; wider ones smooth subgrains away."""
LONELY_PX = 1.0
"""Distance between neighbours where a point has none."""
_MEAN_SQUARE_OVER_MEDIAN = 3 / 1.5382**2
"""Of angles by Maxwell's law: mean square over the square of the median."""
LONELY_DEG = 1.0
"""Scatter within grains where no point has a neighbour in its own."""
PRIOR_PAIRS = 2
"""Pairs that the scatter of the whole section counts as at every point."""


@dataclass(frozen=True, eq=False)
class Partners:
    """The neighbours of each seed in its own grain.

    Attributes:
        index: (N, P) int32 seeds; −1 is none.
        turned: (N, P, 4) float32 their orientations as the symmetric equivalents nearest to that of the seed.
        width_px: (N,) float32 width of the kernel around the seed.
        bending_deg_px: (N,) float32 rms angle to the partners over their rms distance; 0 without any.
        scatter_deg: (N,) float32 rms deviation of one orientation from another one spacing away in the same grain,
            over √2: noise and bending together.
    """

    index: NDArray[np.int32]
    turned: NDArray[np.float32]
    width_px: NDArray[np.float32]
    bending_deg_px: NDArray[np.float32]
    scatter_deg: NDArray[np.float32]

    @property
    def spacing_px(self) -> NDArray[np.float32]:
        """(N,) mean distance to the nearest points."""
        return self.width_px / np.float32(WIDTH)


def find_partners(seeds: Seeds, laue_group: str) -> Partners:
    """The neighbours of each seed that belong to its grain."""
    pairs, distance = seeds.near_pairs()
    count = len(seeds)
    if not len(pairs):
        nobody = np.full((count, 1), -1, np.int32)
        zero = np.zeros(count, np.float32)
        alone = zero + np.float32(WIDTH * LONELY_PX), zero, zero + np.float32(LONELY_DEG)
        return Partners(nobody, np.zeros((count, 1, 4), np.float32), *alone)
    first, second = pairs.T
    angle = disorientation_of_pairs_deg(seeds.orientation, pairs, laue_group)
    own = (seeds.group[first] == seeds.group[second]) & (angle <= SAME_GRAIN_DEG)
    apart = distance.reshape(count, -1)
    return Partners(
        np.where(own, second, -1).reshape(count, -1).astype(np.int32),
        _turned(seeds.orientation, pairs, laue_group).reshape(count, -1, 4),
        (WIDTH * np.maximum(apart[:, :4].mean(axis=1), LONELY_PX)).astype(np.float32),
        _bending(angle.reshape(count, -1), apart, own.reshape(count, -1)),
        _scatter(angle.reshape(count, -1), own.reshape(count, -1)),
    )


def _turned(q: NDArray[np.float32], pairs: NDArray[np.int32], laue_group: str) -> NDArray[np.float32]:
    """(P, 4) the second orientations of `pairs` (P, 2), each as near to the first as its equivalents allow."""
    turned = np.empty((len(pairs), 4), np.float32)
    for part in blocks(len(pairs)):
        first, second = pairs[part].T
        turned[part] = turned_to(q[first], q[second], laue_group)
    return turned


def turned_to(to: NDArray[np.float32], q: NDArray[np.float32], laue_group: str) -> NDArray[np.float32]:
    """The symmetric equivalents of `q` nearest to `to`, with the sign that makes them add up."""
    step = reduce_to_fundamental_zone(multiply(conjugate(to), q), laue_group)
    turned = multiply(to, step)
    sign = np.where((turned * to).sum(axis=-1, keepdims=True) < 0, -1, 1)
    return (turned * sign).astype(np.float32)


def _bending(angle: NDArray[np.float32], distance: NDArray[np.float64], own: NDArray[np.bool_]) -> NDArray[np.float32]:
    total = (np.square(distance) * own).sum(axis=1)
    return np.sqrt((np.square(angle) * own).sum(axis=1) / np.maximum(total, 1e-9)).astype(np.float32)


def _scatter(angle: NDArray[np.float32], own: NDArray[np.bool_]) -> NDArray[np.float32]:
    if not own.any():
        return np.full(len(angle), LONELY_DEG, np.float32)
    typical = _MEAN_SQUARE_OVER_MEDIAN * np.square(np.median(angle[own]))
    total = (np.square(angle) * own).sum(axis=1) + PRIOR_PAIRS * typical
    return np.sqrt(total / (own.sum(axis=1) + PRIOR_PAIRS) / 2).astype(np.float32)


def scatter_at(seeds: Seeds, partners: Partners, chosen: NDArray[np.int32]) -> NDArray[np.float32]:
    """(h, w) rms degrees by which a pixel is off `bent_map` although its grain is that of the seed `chosen` (h, w).

    Half of the mean square is taken to stay near the point (noise), the other half to grow with the square of the
    distance to it in spacings (bending).
    """
    place = np.indices(chosen.shape, dtype=np.int32)
    away = place - np.moveaxis(seeds.position[chosen], -1, 0)
    spacings2 = np.square(away).sum(axis=0) / np.square(partners.spacing_px)[chosen]
    return (partners.scatter_deg[chosen] * np.sqrt((1 + spacings2) / 2)).astype(np.float32)


def orientation_at(
    seeds: Seeds, partners: Partners, chosen: NDArray[np.int32], place: NDArray[np.integer]
) -> NDArray[np.float32]:
    """(M, 4) orientations of pixels `place` (M, 2) that belong to the grains of the seeds `chosen` (M,)."""
    from grainloop.model.reconstruct._within_kernels import interpolate

    return interpolate(
        np.ascontiguousarray(place, np.int32),
        np.ascontiguousarray(chosen, np.int32),
        np.ascontiguousarray(seeds.position, np.int32),
        np.ascontiguousarray(seeds.orientation, np.float32),
        partners.index,
        partners.turned,
        partners.width_px,
    )


def bent_map(seeds: Seeds, partners: Partners, chosen: NDArray[np.int32]) -> NDArray[np.float32]:
    """(h, w, 4) the orientation of every pixel of a map, given the seed (h, w) whose grain it belongs to."""
    place = np.indices(chosen.shape, dtype=np.int32).reshape(2, -1).T
    return orientation_at(seeds, partners, chosen.ravel(), place).reshape(*chosen.shape, 4)
