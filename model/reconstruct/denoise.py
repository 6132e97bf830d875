"""Noise taken out of measured orientations: each becomes a mean over the points around it that belong with it.

A bilateral filter on the points (Tomasi & Manduchi, ICCV 1998): near ones count, and of those the ones whose
orientation lies within the noise, so that subgrains and bending survive. Angles are taken between earlier means, narrow
ones first, because those between noisy points say little. How large the noise is, the points tell themselves. Which
points are wrong altogether is decided elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from grainloop.model.crystal import disorientation_deg
from grainloop.model.reconstruct.seeds import Seeds
from grainloop.model.reconstruct.within import SAME_GRAIN_DEG, turned_to

NEIGHBOURS: Final = 24
"""Two rings of a square grid."""
FIRST_WIDTH: Final = 0.5
"""Of the kernel of the first means, in distances between neighbouring points."""
PASSES: Final = ((1.4, 1.2), (2.5, 0.7))
"""Widths of the kernels over distance, likewise, and over the angle between earlier means, in units of the noise."""
BENDING: Final = 1.5
"""Power of the distance with which squares of angles grow in a grain: 1 is a random walk, 2 an even bend."""
LEAST_NOISE_DEG, LEAST_SHARE = 0.1, 0.4
"""Noise that is put down to points at least, in degrees and of the rms angle between neighbours."""
FEW: Final = 30
"""Pairs below which nothing is said about noise."""
_RMS_OVER_MEDIAN: Final = 3**0.5 / (2**0.5 * 1.5382)
"""Rms noise of one point over the median angle between two: rms √3 s against √2 times the median of Maxwell's law."""
Reals = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Ring:
    """The points around each of N points.

    Attributes:
        index: (N, P) their numbers.
        turned: (N, P, 4) their orientations as the symmetric equivalents nearest to that of the point.
        distance: (N, P) in distances between neighbouring points.
        angle_deg: (N, P) between the point and each of them.
        own: (N, P) whether they belong to its grain.
    """

    index: NDArray[np.intp]
    turned: NDArray[np.float32]
    distance: Reals
    angle_deg: Reals
    own: NDArray[np.bool_]


def without_noise(seeds: Seeds, laue_group: str) -> NDArray[np.float32]:
    """(N, 4) the orientations of the seeds with their noise taken out; lonely ones stay as they are."""
    if len(seeds) < 2:
        return seeds.orientation
    ring = ring_of(seeds, laue_group)
    noise_deg = noise_in(ring)
    if noise_deg is None:
        return seeds.orientation
    mean = _mean(seeds.orientation, ring, _kernel(ring, FIRST_WIDTH))
    for width, reach in PASSES:
        angle = np.asarray(disorientation_deg(mean[:, None], mean[ring.index], laue_group), np.float64)
        alike = np.exp(-0.5 * np.square(angle / (reach * noise_deg)))
        mean = _mean(seeds.orientation, ring, _kernel(ring, width) * alike)
    return mean


def ring_of(seeds: Seeds, laue_group: str) -> Ring:
    """The points around each seed."""
    count = min(NEIGHBOURS + 1, len(seeds))
    distance, index = (np.asarray(found)[:, 1:] for found in KDTree(seeds.position).query(seeds.position, k=count))
    here = np.broadcast_to(seeds.orientation[:, None], (*index.shape, 4))
    around = turned_to(here.reshape(-1, 4), seeds.orientation[index].reshape(-1, 4), laue_group)
    turned = around.reshape(*index.shape, 4)
    angle = _angle_deg(turned, here)
    own = (angle <= SAME_GRAIN_DEG) & (seeds.group[index] == seeds.group[:, None])
    return Ring(index, turned, distance / distance[:, :4].mean(axis=1, keepdims=True), angle, own)


def noise_in(ring: Ring) -> float | None:
    """Rms noise of one point, degrees; None where too few neighbours share a grain.

    The nugget of the variogram (Matheron, Economic Geology 58 (1963) 1246): the median angles at one and at two
    distances between neighbouring points, drawn back to distance 0 as if their squares grew with `BENDING`.
    """
    near, far = (ring.own & (ring.distance > low) & (ring.distance < high) for low, high in ((0.0, 1.2), (1.7, 2.4)))
    if min(near.sum(), far.sum()) < FEW:
        return None
    (here, level), (there, higher) = (_spread(ring, pairs) for pairs in (near, far))
    nugget = level - max(higher - level, 0.0) * here / (there - here)
    return float(np.sqrt(max(nugget, LEAST_SHARE**2 * level, LEAST_NOISE_DEG**2)))


def _spread(ring: Ring, pairs: NDArray[np.bool_]) -> tuple[float, float]:
    """Of pairs: mean distance to the power of `BENDING`, and the square of the noise that their angles would need."""
    spread_deg = _RMS_OVER_MEDIAN * np.median(ring.angle_deg[pairs])
    return float(np.mean(ring.distance[pairs] ** BENDING)), float(spread_deg**2)


def _kernel(ring: Ring, width: float) -> Reals:
    return np.where(ring.own, np.exp(-0.5 * np.square(ring.distance / width)), 0.0)


def _mean(orientation: NDArray[np.float32], ring: Ring, weight: Reals) -> NDArray[np.float32]:
    """(N, 4) of each point and its ring; the point itself counts 1."""
    total = orientation + np.einsum("np,npe->ne", weight, ring.turned)
    return (total / np.linalg.norm(total, axis=1, keepdims=True)).astype(np.float32)


def _angle_deg(a: NDArray[np.float32], b: NDArray[np.float32]) -> Reals:
    """Angle between quaternions (…, 4) that are the nearest equivalents of each other, degrees."""
    chord = np.linalg.norm(a.astype(np.float64) - b, axis=-1)
    return np.degrees(4 * np.arcsin(np.clip(chord / 2, 0, 1)))
