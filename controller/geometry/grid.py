"""Where to measure when nothing is known: the coarse regular grid of the first pass, and space-filling points.

Space filling is the declared fallback that decides when the model service does not. All functions are pure and
deterministic; positions are (N, 2) int32 (row, column).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.int32]
Mask = NDArray[np.bool_]


def coarse_grid(shape_px: tuple[int, int], count: int) -> Pixels:
    """A regular grid of at most `count` points over the section, as many as equal spacing allows.

    Rows and columns are spread evenly, each point in the middle of its cell; the two spacings are as alike as
    possible. With `count` = all pixels it holds every pixel.
    """
    height, width = shape_px
    count = min(count, height * width)
    rows, columns = _grid_counts(height, width, count)
    r = ((np.arange(rows) + 0.5) * height / rows).astype(np.int32)
    c = ((np.arange(columns) + 0.5) * width / columns).astype(np.int32)
    return np.stack(np.meshgrid(r, c, indexing="ij"), axis=-1).reshape(-1, 2).astype(np.int32)


def coarse_grid_of_at_least(shape_px: tuple[int, int], count: int) -> Pixels:
    """The smallest regular grid of `count` points or a few more; all pixels when there are no more."""
    size = shape_px[0] * shape_px[1]
    grid = coarse_grid(shape_px, count)
    while len(grid) < min(count, size):
        count += 1
        grid = coarse_grid(shape_px, count)
    return grid


def _grid_counts(height: int, width: int, count: int) -> tuple[int, int]:
    """Rows and columns of a grid of at most `count` points whose cells are nearly square and few points are lost."""
    ideal = math.sqrt(count * height / width)

    def score(rows: int) -> float:
        columns = min(width, count // rows)
        return rows * columns / count - 0.5 * abs(math.log(rows / height * width / columns))

    candidates = {min(height, max(1, math.floor(ideal * f))) for f in (0.9, 0.95, 1.0, 1.05, 1.1)}
    candidates |= {min(height, max(1, math.ceil(ideal))), min(height, count)}
    rows = max((r for r in candidates if r <= count), key=lambda r: (score(r), -r))
    return rows, min(width, count // rows)


def nearest_of(pixels: Pixels, may: Mask) -> Pixels:
    """For each pixel in turn the nearest one of `may` (h, w) that is not taken yet; fewer where there are fewer."""
    free = np.argwhere(may).astype(np.int32)
    chosen = list[NDArray[np.int32]]()
    for pixel in pixels[: len(free)]:
        nearest = int(np.argmin(((free - pixel) ** 2).sum(axis=1)))
        chosen.append(free[nearest])
        free = np.delete(free, nearest, axis=0)
    return np.array(chosen, np.int32).reshape(-1, 2)


def spread_apart(points: Pixels, count: int) -> Mask:
    """(N,) bool mask of `count` of the points that lie far from each other: farthest first, from the one in the middle.

    Used to hold part of the first pass back, so that the instrument has work while the model thinks.
    """
    picked = np.zeros(len(points), np.bool_)
    if count >= len(points):
        return ~picked
    rows, columns = points.T.astype(np.float64)
    distance = -((rows - rows.mean()) ** 2 + (columns - columns.mean()) ** 2)
    for i in range(count):
        pick = int(np.argmax(distance))
        picked[pick] = True
        here = (rows - rows[pick]) ** 2 + (columns - columns[pick]) ** 2
        distance = np.minimum(distance, here) if i else here
        distance[pick] = -np.inf
    return picked


def space_filling(taken: Mask, count: int, never: Mask | None = None) -> Pixels:
    """Up to `count` free pixels, each the farthest from all pixels taken or picked before it (ties: first in the map).

    Args:
        taken: (h, w) pixels that are measured, queued or forbidden.
        count: how many to pick; fewer come back when fewer are free.
        never: (h, w) those of `taken` that nothing is known of, so that their neighbours are as far as others.

    Source: Gonzalez 1985 (farthest-first traversal); Eldar et al. 1997 (farthest-point sampling).
    """
    free = np.argwhere(~taken).astype(np.int32)
    if count >= len(free):
        return free
    distance = _squared_distance(taken if never is None else taken & ~never)
    distance[taken] = -1
    down, right = (np.arange(size) for size in taken.shape)
    farthest = distance.max(axis=1)  # of each row
    picks = np.empty((count, 2), np.int32)
    for i in range(count):
        r = int(np.argmax(farthest))
        c = int(np.argmax(distance[r]))
        picks[i] = r, c
        reach = math.isqrt(int(distance[r, c]))  # no pixel beyond has its nearest one here
        rows, columns = (slice(max(0, at - reach), at + reach + 1) for at in (r, c))
        near = distance[rows, columns]
        np.minimum(near, (down[rows, None] - r) ** 2 + (right[columns] - c) ** 2, out=near)
        distance[r, c] = -1
        farthest[rows] = distance[rows].max(axis=1)
    return picks


def inside(pixels: NDArray[np.integer], shape_px: tuple[int, ...]) -> Mask:
    """(N,) bool, pixels (N, 2) on the grid."""
    return np.logical_and.reduce((pixels >= 0) & (pixels < np.asarray(shape_px)), axis=1)


def around(pixels: Pixels, radius_px: float, shape_px: tuple[int, int]) -> Mask:
    """(h, w) bool mask of everything within `radius_px` of `pixels`."""
    mask = np.zeros(shape_px, np.bool_)
    if len(pixels) == 0:
        return mask
    reach = int(radius_px)
    offsets = np.argwhere(np.hypot(*np.mgrid[-reach : reach + 1, -reach : reach + 1]) <= radius_px) - reach
    near = (pixels[:, None, :] + offsets[None]).reshape(-1, 2)
    near = near[inside(near, shape_px)]
    mask[near[:, 0], near[:, 1]] = True
    return mask


def adjacent_share(pixels: Pixels) -> float:
    """Share of the pixels (N, 2) of a batch that touch another one of it, corners included; NaN for an empty batch."""
    if len(pixels) < 2:
        return 0.0 if len(pixels) else math.nan
    from scipy.spatial import KDTree

    apart = np.asarray(KDTree(pixels).query(pixels, k=2, p=np.inf)[0])[:, 1]
    return float(np.mean(apart <= 1))


def _squared_distance(taken: Mask) -> NDArray[np.int64]:
    """Squared distance to the nearest taken pixel, −1 on taken ones; with none taken, largest in the middle."""
    height, width = taken.shape
    if not taken.any():
        rows, columns = np.ogrid[:height, :width]
        return -((rows - height // 2) ** 2 + (columns - width // 2) ** 2) + height**2 + width**2
    from scipy.ndimage import distance_transform_edt

    distance = np.rint(np.asarray(distance_transform_edt(~taken)) ** 2).astype(np.int64)
    distance[taken] = -1
    return distance
