"""The PL noise map: how far registered, calibrated PL may lie from what the orientations predict, pixel by pixel.

The level comes from the residuals at the measured points; it grows where points with similar PL nearby disagree with
it, near PL edges by what the registration leaves, and to infinity outside the PL image.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import KDTree

Array = NDArray[np.float64]

NEIGHBOURS = 7
TOLERATED = 2.5
"""Typical residual of the neighbourhood, in noise sds, up to which PL is trusted at its global level."""
PRIOR_POINTS = 1.5
DISTRUST = 3.0
"""A pixel whose noise exceeds the global level by this factor is counted as distrusted."""


def disagreement(registered: Array, points_px: NDArray[np.intp], distance: Array, level: float) -> Array:
    """(h, w) factor ≥ 1: weighted median residual of the nearest points that show similar PL, in noise sds.

    A median, so that one mis-indexed point among agreeing neighbours changes nothing, while a speck of dust, which
    looks like none of its neighbours, is judged by the point inside it alone.

    Args:
        registered: (c, h, w) calibrated PL; NaN outside the image.
        points_px: (n, 2) measured points.
        distance: (n,) residual of the points in noise sds; NaN where unknown.
        level: noise sd of `registered`, the width of "similar".
    """
    shape = registered.shape[1:]
    known = np.isfinite(distance)
    if known.sum() < NEIGHBOURS:
        return np.ones(shape)
    places, distance = points_px[known], distance[known]
    smooth = np.stack([ndimage.gaussian_filter(np.nan_to_num(channel), 0.8) for channel in registered])
    here = smooth.reshape(len(smooth), -1).T
    rows, columns = np.indices(shape).reshape(2, -1)
    reach, nearest = KDTree(places).query(np.stack([rows, columns], axis=1), k=NEIGHBOURS)
    there = smooth[:, places[:, 0], places[:, 1]].T
    unlike = np.sum((here[:, None, :] - there[nearest]) ** 2, axis=2) / (2 * len(smooth) * max(level, 1e-6) ** 2)
    spacing = np.median(reach[:, -1])
    weight = np.exp(-np.minimum(unlike, 30) - (reach / spacing) ** 2) + 1e-12
    typical, support = _weighted_median(distance[nearest], weight), weight.sum(axis=1)
    shrunk = (support * typical**2 + PRIOR_POINTS * np.minimum(typical, 1) ** 2) / (support + PRIOR_POINTS)
    return np.maximum(np.sqrt(shrunk) / TOLERATED, 1.0).reshape(shape)


def edge_noise(registered: Array, residual_px: float) -> Array:
    """(h, w) rms over the channels of residual misregistration × local gradient."""
    filled = np.nan_to_num(registered)
    power = [np.square(ndimage.gaussian_gradient_magnitude(channel, 1.0)) for channel in filled]
    return residual_px * np.sqrt(np.mean(power, axis=0))


def _weighted_median(values: Array, weight: Array) -> Array:
    """(n,) median along the last axis."""
    order = np.argsort(values, axis=1)
    ranked, mass = np.take_along_axis(values, order, 1), np.take_along_axis(weight, order, 1)
    middle = np.argmax(np.cumsum(mass, axis=1) >= mass.sum(axis=1, keepdims=True) / 2, axis=1)
    return ranked[np.arange(len(ranked)), middle]
