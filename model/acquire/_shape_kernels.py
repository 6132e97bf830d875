"""Compiled inner loops of the choice of shapes: discounting by many points, and the best candidate of a lazy heap."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from grainloop.model.acquire.spread import explain
from grainloop.model.jit import free

OPEN, NEAR, CLOSED = 0, 1, 2
"""State of a pixel: may be exposed; only as part of a line or rectangle; not at all."""


LEAST_GAIN = 1e-3
"""Pixels; where a shape puts less right than this, nothing is left to win."""


class Catalogue(NamedTuple):
    """Templates as ragged arrays: those of template t are from `first[t]` up to `first[t + 1]`.

    Attributes:
        pixels: (sum of points, 2) int32, with `first_pixel` (T + 1,).
        coverage: flat float32, with `first_cover` (T + 1,) and the number of columns of each, `cover_columns` (T,).
        seconds: (T,) cost.
        single: (T,) bool, free points, which keep off their neighbours.
        closable: (T,) share of its pixels that may be closed: 0, or up to 1 where the instrument skips pixels.
    """

    pixels: NDArray[np.int32]
    first_pixel: NDArray[np.int64]
    coverage: NDArray[np.float32]
    first_cover: NDArray[np.int64]
    cover_columns: NDArray[np.int64]
    seconds: NDArray[np.float64]
    single: NDArray[np.bool_]
    closable: NDArray[np.float64]


@free
def explain_all(value: NDArray[np.float32], kernel: NDArray[np.float32], pixels: NDArray[np.int32]) -> None:
    """Count `value` around each of the pixels (n, 2) as explained, in place."""
    for i in range(len(pixels)):
        explain(value, kernel, pixels[i, 0], pixels[i, 1])


@free
def covered(padded: NDArray[np.float32], coverage: NDArray[np.float32], columns: int, row: int, column: int) -> float:
    """The value under a flat coverage whose box begins at (row, column) of the padded values."""
    total = 0.0
    for i in range(len(coverage) // columns):
        for j in range(columns):
            total += padded[row + i, column + j] * coverage[i * columns + j]
    return total


@free
def best_left(
    ratio: NDArray[np.float64],
    which: NDArray[np.int64],
    size: int,
    candidates: NDArray[np.int32],
    padded: NDArray[np.float32],
    state: NDArray[np.uint8],
    catalogue: Catalogue,
    left_s: float,
    left_points: int,
) -> tuple[int, int]:
    """Take the candidate of highest gain per second from a heap whose ratios are upper bounds (lazy greedy).

    Gains only ever fall, so a candidate that after looking again is still above the next one is the best (Minoux 1978).

    Args:
        ratio: (size,) upper bounds, a heap with the highest on top; changed.
        which: (size,) the candidate of each; changed.
        size: how many the heap holds.
        candidates: (n, 3) template, row and column of the corner of its box.
        padded: values with the reach of the window added on all sides.
        state: (h, w) `OPEN`, `NEAR` or `CLOSED`.
        catalogue: the templates.
        left_s: seconds that may be spent.
        left_points: points that may be spent.

    Returns:
        The candidate, −1 when there is none, and the size of the heap after it was taken.
    """
    while size > 0:
        here = which[0]
        t, row, column = candidates[here, 0], candidates[here, 1], candidates[here, 2]
        points = catalogue.first_pixel[t + 1] - catalogue.first_pixel[t]
        too_much = catalogue.seconds[t] > left_s or points > left_points
        if too_much or _is_closed(state, catalogue, t, row, column):
            size = _drop_top(ratio, which, size)
            continue
        cover = catalogue.coverage[catalogue.first_cover[t] : catalogue.first_cover[t + 1]]
        now = covered(padded, cover, int(catalogue.cover_columns[t]), row, column) / catalogue.seconds[t]
        runner_up = max(ratio[1] if size > 1 else 0.0, ratio[2] if size > 2 else 0.0)
        if now >= runner_up * (1 - 1e-6):
            size = _drop_top(ratio, which, size)
            return (here if now * catalogue.seconds[t] > LEAST_GAIN else -1), size
        ratio[0] = now
        _sink(ratio, which, size)
    return -1, 0


@free
def _is_closed(state: NDArray[np.uint8], catalogue: Catalogue, t: int, row: int, column: int) -> bool:
    worst = NEAR if catalogue.single[t] else CLOSED
    first, last = catalogue.first_pixel[t], catalogue.first_pixel[t + 1]
    bearable = catalogue.closable[t] * (last - first)
    closed = 0
    for i in range(first, last):
        if state[row + catalogue.pixels[i, 0], column + catalogue.pixels[i, 1]] >= worst:
            closed += 1
            if closed > bearable:
                return True
    return False


@free
def _drop_top(ratio: NDArray[np.float64], which: NDArray[np.int64], size: int) -> int:
    ratio[0], which[0] = ratio[size - 1], which[size - 1]
    _sink(ratio, which, size - 1)
    return size - 1


@free
def _sink(ratio: NDArray[np.float64], which: NDArray[np.int64], size: int) -> None:
    """Let the top of a heap sink to its place."""
    i = 0
    while True:
        larger = i
        for child in (2 * i + 1, 2 * i + 2):
            if child < size and ratio[child] > ratio[larger]:
                larger = child
        if larger == i:
            return
        ratio[i], ratio[larger] = ratio[larger], ratio[i]
        which[i], which[larger] = which[larger], which[i]
        i = larger
