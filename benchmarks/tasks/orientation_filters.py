"""Filters for orientation maps that are in use today, as references for the denoising of EBSD.

Of the same kind as those of MTEX (Hielscher, Silbermann, Schmidl & Ihlemann, J. Appl. Cryst. 52 (2019) 984, which
compares them): a mean over the neighbours of the same grain, the Kuwahara filter (Kuwahara et al., in Digital
Processing of Biomedical Images, 1976; for EBSD Humphreys, Bate & Hurley, J. Microsc. 201 (2001) 50) and a
half-quadratic filter. All work on points of a regular grid, taken as a map of their own; points without an orientation
do not count.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from grainloop.model.reconstruct import SparsePoints
from grainloop.model.reconstruct.within import turned_to

GRAIN_DEG = 5.0
"""Neighbours further away in orientation belong to another grain."""
CORNER_DEG = 0.1
"""Where the half-quadratic penalty turns from square to linear."""
ROUNDS = 15
Quaternions = NDArray[np.float64]
Offsets = NDArray[np.intp]
Filter = Callable[[Quaternions, NDArray[np.bool_], str], Quaternions]


@dataclass(frozen=True, eq=False)
class Windows:
    """What lies around each of (h, w) points.

    Attributes:
        turned: (P, h, w, 4) orientations around as the equivalents nearest to that of the point.
        known: (P, h, w) whether there is a point that has one.
    """

    turned: Quaternions
    known: NDArray[np.bool_]


def square(radius: int) -> Offsets:
    """(P, 2) offsets of a square of 2 radius + 1 points."""
    side = 2 * radius + 1
    return np.indices((side, side)).reshape(2, -1).T - radius


EDGES: Offsets = np.array([(-1, 0), (0, -1), (0, 1), (1, 0)])


def windows(q: Quaternions, known: NDArray[np.bool_], offsets: Offsets, laue_group: str) -> Windows:
    """What lies around each point of a map (h, w, 4) at offsets (P, 2)."""
    h, w = known.shape
    margin = int(np.abs(offsets).max())
    wide, there = np.pad(q, ((margin, margin), (margin, margin), (0, 0)), "edge"), np.pad(known, margin)
    at = [(slice(r, r + h), slice(c, c + w)) for r, c in offsets + margin]
    around = np.stack([wide[one] for one in at]).reshape(-1, 4)
    here = np.broadcast_to(q, (len(at), h, w, 4)).reshape(-1, 4)
    turned = turned_to(here, around, laue_group).reshape(len(at), h, w, 4).astype(np.float64)
    return Windows(turned, np.stack([there[one] for one in at]))


def mean_of_grain(radius: int) -> Filter:
    """The mean over a square of 2 radius + 1 points, of those within `GRAIN_DEG` of the one in its middle."""

    def filtered(q: Quaternions, known: NDArray[np.bool_], laue_group: str) -> Quaternions:
        around = windows(q, known, square(radius), laue_group)
        weight = around.known & (angle_deg(around.turned, q) <= GRAIN_DEG)
        return _unit(q * ~known[..., None] + (around.turned * weight[..., None]).sum(axis=0))

    return filtered


def kuwahara(radius: int) -> Filter:
    """The mean of that of four squares of radius + 1 points, one to each corner of the point, that spreads least."""

    def filtered(q: Quaternions, known: NDArray[np.bool_], laue_group: str) -> Quaternions:
        offsets = square(radius)
        around = windows(q, known, offsets, laue_group)
        corners = [np.all(offsets * sign >= 0, axis=1) for sign in ((1, 1), (1, -1), (-1, 1), (-1, -1))]
        means, spreads = zip(*[_mean_and_spread(around, corner, laue_group) for corner in corners], strict=True)
        best = np.argmin(spreads, axis=0)
        chosen = np.take_along_axis(np.stack(means), best[None, ..., None], axis=0)[0]
        return np.where(known[..., None], chosen, q)

    return filtered


def _mean_and_spread(
    around: Windows, corner: NDArray[np.bool_], laue_group: str
) -> tuple[Quaternions, NDArray[np.float64]]:
    """(h, w, 4) mean of a part of the windows, and (h, w) the mean square angle to it."""
    turned, weight = around.turned[corner], around.known[corner]
    total = (turned * weight[..., None]).sum(axis=0)
    mean = _unit(np.where(np.linalg.norm(total, axis=-1, keepdims=True) > 0, total, 1.0))
    spots = np.broadcast_to(mean, turned.shape).reshape(-1, 4)
    apart = angle_deg(turned_to(spots, turned.reshape(-1, 4), laue_group), spots).reshape(weight.shape)
    count = weight.sum(axis=0)
    return mean, np.where(count > 1, (apart**2 * weight).sum(axis=0) / np.maximum(count, 1), np.inf)


def half_quadratic(strength_deg: float) -> Filter:
    """The map that minimises Σ d²(point, measured) + 2 strength Σ √(d² + corner²) over neighbours within a grain.

    Iteratively reweighted means over the four neighbours; `strength_deg` is worth an angle of the same size.
    """

    def filtered(q: Quaternions, known: NDArray[np.bool_], laue_group: str) -> Quaternions:
        around = windows(q, known, EDGES, laue_group)
        grain = around.known & (angle_deg(around.turned, q) <= GRAIN_DEG) & known
        found = q
        for _ in range(ROUNDS):
            near = windows(found, known, EDGES, laue_group).turned
            pull = strength_deg * grain / np.hypot(angle_deg(near, found), CORNER_DEG)
            measured = turned_to(found.reshape(-1, 4), q.reshape(-1, 4), laue_group).reshape(q.shape)
            found = _unit(measured + (near * pull[..., None]).sum(axis=0))
        return found

    return filtered


def on_grid(points: SparsePoints, filtered: Filter, laue_group: str) -> NDArray[np.float32]:
    """(N, 4) the orientations of points of a regular grid after a filter; the identity where there is none."""
    row, column = (np.unique(each, return_inverse=True)[1] for each in points.position_px.T)
    q = np.zeros((row.max() + 1, column.max() + 1, 4))
    q[..., 0] = 1
    known = np.zeros(q.shape[:2], np.bool_)
    seen = points.indexed
    q[row[seen], column[seen]] = points.orientation[seen]
    known[row[seen], column[seen]] = True
    return filtered(q, known, laue_group)[row, column].astype(np.float32)


def angle_deg(a: NDArray[np.floating], b: NDArray[np.floating]) -> NDArray[np.float64]:
    """Angle between quaternions (…, 4) that are the nearest equivalents of each other, degrees."""
    chord = np.linalg.norm(np.asarray(a, np.float64) - b, axis=-1)
    return np.degrees(4 * np.arcsin(np.clip(chord / 2, 0, 1)))


def _unit(total: Quaternions) -> Quaternions:
    return total / np.linalg.norm(total, axis=-1, keepdims=True)
