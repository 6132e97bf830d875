"""Registration by regions, for where the prediction does not tell the PL level of a grain but only where it ends.

With the tilt alone, say, grains of one tilt differ in colour by their unknown azimuth, so no regression on the tilt can
hold; yet every region of one tilt has one colour. Windows of the map are shifted until their regions are most uniform,
and a warp is fitted to the shifts. Needs a start within a few pixels (`coarse`) and a dense map; points of known
orientation are `refine`'s business.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from grainloop.model.jit import cached
from grainloop.model.light.errors import UnfitPoints
from grainloop.model.light.sample import Images, blur, sample
from grainloop.model.light.warp import BILINEAR, Warp, basis, centre

Array = NDArray[np.float64]
Labels = NDArray[np.intp]

UNLABELLED = -1
SPACING_PX = 30
HALF_WINDOW_PX = 50
REACH_PX = 7
EVERY_PX = 2
BLUR_PX = 0.5
UNLIKE_SD = 0.5
"""Deviation from the level of its region, in sds of the channel, from which a pixel counts as none of it."""
DISAGREE_PX = 1.0
MIN_SHARE = 0.35
"""Share of a window that must lie on labelled pixels inside the image."""
PASSES = 2


@dataclass(frozen=True, eq=False)
class RegionMatch:
    """A warp and the shifts that it was fitted to.

    Attributes:
        warp: the map found.
        windows_px: (n, 2) centres of the windows, EBSD pixels.
        left_px: (n, 2) shift of each window against `warp`, EBSD pixels: what the warp cannot follow, and noise.
    """

    warp: Warp
    windows_px: Array
    left_px: Array


def label_regions(values: Array, tolerance: float, least_px: int) -> Labels:
    """(h, w) labels from 0 of connected pixels whose neighbours differ by less than `tolerance`.

    Regions of fewer than `least_px` pixels get `UNLABELLED`.
    """
    index = np.arange(values.size).reshape(values.shape)
    alike = [np.abs(np.diff(values, axis=axis)) < tolerance for axis in (0, 1)]
    first = np.concatenate([index[:-1][alike[0]], index[:, :-1][alike[1]]])
    second = np.concatenate([index[1:][alike[0]], index[:, 1:][alike[1]]])
    graph = coo_matrix((np.ones(len(first), dtype=bool), (first, second)), shape=(values.size, values.size))
    found = connected_components(graph, directed=False)[1]
    large = np.bincount(found) >= least_px
    renamed = np.where(large, np.cumsum(large) - 1, UNLABELLED)
    return renamed[found].reshape(values.shape).astype(np.intp)


def match_regions(images: Images, labels: Labels, start: Warp, basis_size: int = BILINEAR) -> RegionMatch:
    """The warp under which the regions are most uniform in PL, from windows shifted one by one.

    Args:
        images: (c, h, w) PL channels of unit sd.
        labels: (h, w) region of every EBSD pixel, from 0; below 0 for none.
        start: within about `REACH_PX` of the truth.
        basis_size: functions per coordinate; more than `BILINEAR` adds a smooth field.

    Raises:
        UnfitPoints: fewer windows with two regions or more than the warp has functions.
    """
    points = np.argwhere(labels >= 0)
    points = points[(points % EVERY_PX == 0).all(axis=1)]
    own, soft = labels[points[:, 0], points[:, 1]], blur(images, BLUR_PX * start.scale)
    match = _match_once(soft, points, own, start.with_basis(basis_size))
    for _ in range(PASSES - 1):
        match = _match_once(soft, points, own, match.warp)
    return match


def _match_once(images: Images, points: Labels, labels: Labels, warp: Warp) -> RegionMatch:
    size = warp.coefficients.shape[1]
    found = _window_shifts(images, points, labels, warp)
    if len(found) < size:
        raise UnfitPoints(f"{len(found)} windows of the map can be matched, {size} are needed.", field="labels")
    windows, shifts = found[:, :2], found[:, 2:4]
    functions = basis(windows, warp.grid_shape, size)
    step = _robust_fit(functions, shifts, found[:, 4])
    return RegionMatch(warp.moved(step), windows, shifts - functions @ step.T)


def _window_shifts(images: Images, points: Labels, labels: Labels, warp: Warp) -> Array:
    """(n, 5) centre, best shift and weight of every window whose best shift lies within reach."""
    rows = [
        row
        for middle in _nodes(warp.grid_shape)
        if (row := _match_window(images, points, labels, warp, middle)) is not None
    ]
    return np.array(rows).reshape(-1, 5)


def _nodes(shape: tuple[int, int]) -> Array:
    axes = [np.arange(SPACING_PX // 2, n, SPACING_PX) for n in shape]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2).astype(np.float64)


def _match_window(images: Images, points: Labels, labels: Labels, warp: Warp, middle: Array) -> list[float] | None:
    near = (np.abs(points - middle) < HALF_WINDOW_PX).all(axis=1)
    here, positions, reach = points[near], warp(points[near]), REACH_PX * warp.scale
    half = centre(warp.light_shape)
    inside = (np.abs(positions - half) < half - reach).all(axis=1)
    if inside.sum() < MIN_SHARE * (2 * HALF_WINDOW_PX / EVERY_PX) ** 2:
        return None
    regions, own = np.unique(labels[near][inside], return_inverse=True)
    if len(regions) < 2:
        return None
    offsets = np.arange(-REACH_PX, REACH_PX + 1)
    misfit = np.array(
        [
            [
                _unlike(sample(images, positions[inside] + warp.scale * np.array([i, j])), own, len(regions))
                for j in offsets
            ]
            for i in offsets
        ]
    )
    i, j = np.unravel_index(np.argmin(misfit), misfit.shape)
    if not (0 < i < len(offsets) - 1 and 0 < j < len(offsets) - 1):
        return None
    shift = offsets[i] + _vertex(misfit[i - 1 : i + 2, j]), offsets[j] + _vertex(misfit[i, j - 1 : j + 2])
    depth = float(misfit.mean() - misfit.min())
    return [*here[inside].mean(axis=0), *shift, depth * np.sqrt(inside.sum())]


def _vertex(three: Array) -> float:
    """Where the parabola through values at −1, 0, 1 is lowest."""
    return float((three[0] - three[2]) / (2 * (three[0] + three[2] - 2 * three[1]) + 1e-12))


@cached
def _unlike(values: Array, regions: Labels, n_regions: int) -> float:
    """Mean Welsch loss of (n, c) values about the level of their regions, levels by three reweighted means."""
    count, channels = values.shape
    weight, level, total = np.ones(count), np.zeros((n_regions, channels)), np.zeros(n_regions)
    for _ in range(3):
        level[:], total[:] = 0.0, 1e-9
        for n in range(count):
            total[regions[n]] += weight[n]
            for c in range(channels):
                level[regions[n], c] += weight[n] * values[n, c]
        for n in range(count):
            square = 0.0
            for c in range(channels):
                square += (values[n, c] - level[regions[n], c] / total[regions[n]]) ** 2
            weight[n] = np.exp(-square / (2 * channels * UNLIKE_SD**2))
    return 1 - weight.mean()


def _robust_fit(functions: Array, shifts: Array, weight: Array) -> Array:
    """(2, b) coefficients by iteratively reweighted ridge regression with the Cauchy loss."""
    size = functions.shape[1]
    prior = np.zeros(size)
    prior[BILINEAR - 1 : BILINEAR], prior[BILINEAR:] = 0.3, 1.0
    weight = weight / np.median(weight)
    own, step = weight, np.zeros((size, 2))
    for _ in range(10):
        weighted = functions * own[:, None]
        step = np.linalg.solve(weighted.T @ functions + np.diag(prior + 1e-9), weighted.T @ shifts)
        own = weight / (1 + np.sum((shifts - functions @ step) ** 2, axis=1) / DISAGREE_PX**2)
    return np.asarray(step.T, dtype=np.float64)
