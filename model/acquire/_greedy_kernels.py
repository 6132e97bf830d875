"""Compiled loops of greedy batches: what a point is worth under its window, and picks one after the other.

Windows are (h, w, 2 r + 1, 2 r + 1): the share of the value around each pixel that measuring it explains. One window
for all pixels is the same array broadcast.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from grainloop.model.jit import kernel


@kernel
def worth(value: Any, window: Any, r: int, c: int) -> Any:
    """The value that measuring pixel (r, c) explains."""
    reach = window.shape[0] // 2
    total = np.float32(0)
    for rr in range(max(r - reach, 0), min(r + reach + 1, value.shape[0])):
        for cc in range(max(c - reach, 0), min(c + reach + 1, value.shape[1])):
            total += window[rr - r + reach, cc - c + reach] * value[rr, cc]
    return total


@kernel
def worths(value: Any, windows: Any) -> Any:
    """(h, w) the value that measuring each pixel explains."""
    out = np.empty(value.shape, np.float32)
    for r in range(value.shape[0]):
        for c in range(value.shape[1]):
            out[r, c] = worth(value, windows[r, c], r, c)
    return out


@kernel
def discount(value: Any, window: Any, r: int, c: int) -> None:
    """Count the value around pixel (r, c) as explained, in place, by as much as its window says."""
    reach = window.shape[0] // 2
    for rr in range(max(r - reach, 0), min(r + reach + 1, value.shape[0])):
        for cc in range(max(c - reach, 0), min(c + reach + 1, value.shape[1])):
            value[rr, cc] *= np.float32(1) - window[rr - r + reach, cc - c + reach]


@kernel
def in_order(value: Any, windows: Any, chance: Any, picks: Any) -> Any:
    """(n,) what picks (n, 2) with windows (n, …) are worth, each after those before it; `value` is what is left."""
    gains = np.empty(len(picks), np.float32)
    for i in range(len(picks)):
        r, c = picks[i]
        gains[i] = chance[r, c] * worth(value, windows[i], r, c)
        discount(value, windows[i], r, c)
    return gains


@kernel
def _best_column(gain: Any, free: Any) -> int:
    best = -1
    for c in range(len(gain)):
        if free[c] and (best < 0 or gain[c] > gain[best]):
            best = c
    return best


@kernel
def pick(value: Any, windows: Any, chance: Any, free: Any, count: int, keep_off: int) -> Any:
    """(n, 2) pixels of most worth, each after what those before it explain, and (n,) their worths.

    No pick comes within `keep_off` of one before it; `value` and `free` are changed. Keeps the best column of each row,
    so that a pick costs its window and not the image.
    """
    h, w = value.shape
    reach = windows.shape[2] // 2
    gain = worths(value, windows) * chance
    best = np.empty(h, np.int64)
    for r in range(h):
        best[r] = _best_column(gain[r], free[r])
    picks, gains = np.empty((max(count, 0), 2), np.int64), np.empty(max(count, 0), np.float32)
    found = 0
    while found < count:
        row = -1
        for r in range(h):
            if best[r] >= 0 and (row < 0 or gain[r, best[r]] > gain[row, best[row]]):
                row = r
        if row < 0:
            break
        column = best[row]
        picks[found, 0], picks[found, 1], gains[found] = row, column, gain[row, column]
        found += 1
        free[max(row - keep_off, 0) : row + keep_off + 1, max(column - keep_off, 0) : column + keep_off + 1] = False
        discount(value, windows[row, column], row, column)
        for r in range(max(row - 2 * reach, 0), min(row + 2 * reach + 1, h)):
            for c in range(max(column - 2 * reach, 0), min(column + 2 * reach + 1, w)):
                gain[r, c] = chance[r, c] * worth(value, windows[r, c], r, c)
            best[r] = _best_column(gain[r], free[r])
    return picks[:found], gains[:found]
