"""Candidate orientations of every pixel: which measured points could it belong to?

For each pixel the candidates are the nearest measured point and the points that are nearest as seen from two rings
around it, so that every direction is represented however unevenly the points lie. Nothing is learnt.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, pi, sin
from typing import cast

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, gaussian_filter

from model.diffusion._candidate_kernels import gather

RINGS = ((0.75, 6), (1.45, 8))
"""(radius in units of the local point spacing, number of directions). On real maps 15 candidates miss the true grain at
0.4 % of the pixels of a 6 % grid and at 6 % of those of a 2 % grid."""
COUNT = 1 + sum(n for _, n in RINGS)
FEATURES = 4
"""Static features of a candidate: distance, excess distance, likeness to the nearest, agreement among candidates."""


def _offsets() -> NDArray[np.float32]:
    """(COUNT, 2) row, column directions in units of the local spacing; the first is the pixel itself."""
    rows = [(0.0, 0.0)]
    for ring, (radius, n) in enumerate(RINGS):
        turns = [2 * pi * (k + 0.5 * ring) / n for k in range(n)]
        rows += [(radius * sin(t), radius * cos(t)) for t in turns]
    return np.array(rows, np.float32)


OFFSETS = _offsets()


@dataclass(frozen=True)
class Candidates:
    """Candidates of every pixel of a (h, w) map.

    Attributes:
        index: (K, h, w) int32 into the list of points.
        unique: (K, h, w) bool; false where an earlier slot already holds the same point.
        features: (K, FEATURES, h, w) float32.
        context: (2, h, w) float32: distance to the nearest point over the local spacing, log of the local spacing.
    """

    index: NDArray[np.int32]
    unique: NDArray[np.bool_]
    features: NDArray[np.float32]
    context: NDArray[np.float32]


def no_candidates(shape: tuple[int, int]) -> Candidates:
    """What to hand over when nothing was measured: one dummy point that no slot may use."""
    return Candidates(
        np.zeros((COUNT, *shape), np.int32),
        np.zeros((COUNT, *shape), np.bool_),
        np.zeros((COUNT, FEATURES, *shape), np.float32),
        np.zeros((2, *shape), np.float32) + np.array([4.0, 4.0], np.float32)[:, None, None],
    )


def local_spacing(measured: NDArray[np.bool_]) -> NDArray[np.float32]:
    """(h, w) spacing of a regular grid as dense as the points around each pixel, in px."""
    mean = np.sqrt(measured.size / max(1, int(measured.sum())))
    density = gaussian_filter(measured.astype(np.float32), mean, mode="reflect", truncate=3.0)
    return np.clip(1 / np.sqrt(np.maximum(density, 1e-6)), 1.0, 4 * mean).astype(np.float32)


def gather_candidates(
    points_px: NDArray[np.int32], embedding: NDArray[np.float32], shape: tuple[int, int], chord_per_deg: float
) -> Candidates:
    """Candidates of every pixel from points at `points_px` (n, 2) with embeddings (n, E); n may be 0."""
    if len(points_px) == 0:
        return no_candidates(shape)
    owner = np.full(shape, -1, np.int32)
    owner[points_px[:, 0], points_px[:, 1]] = np.arange(len(points_px), dtype=np.int32)
    measured = owner >= 0
    distance, nearest = cast(
        "tuple[NDArray[np.float64], NDArray[np.int32]]", distance_transform_edt(~measured, return_indices=True)
    )
    nearest_owner = owner[nearest[0], nearest[1]]
    spacing = np.maximum(local_spacing(measured), distance.astype(np.float32))
    index, unique, features = gather(
        nearest_owner, spacing, points_px.astype(np.float32), np.ascontiguousarray(embedding), OFFSETS, chord_per_deg
    )
    context = np.stack([distance / spacing, np.log(spacing)]).astype(np.float32)
    return Candidates(index, unique, features, context)
