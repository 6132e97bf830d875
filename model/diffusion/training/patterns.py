"""Which pixels a training example pretends to have measured.

Patterns cover what an acquisition meets: regular grids, random points, coarse grids refined where boundaries are,
fully measured maps, and nothing at all. Masks only; what is measured there is not decided here.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]


def regular_grid(rng: np.random.Generator, shape: tuple[int, int]) -> Mask:
    """A regular grid of spacing 1.4 … 10 px (log-uniform), at a random offset."""
    spacing = float(np.exp(rng.uniform(np.log(1.4), np.log(10))))
    mask = np.zeros(shape, np.bool_)
    rows = np.arange(rng.uniform(0, spacing), shape[0], spacing).astype(int)
    columns = np.arange(rng.uniform(0, spacing), shape[1], spacing).astype(int)
    mask[np.ix_(rows, columns)] = True
    return mask


def random_points(rng: np.random.Generator, shape: tuple[int, int]) -> Mask:
    """Independent points, 0.5 … 30 % of the pixels (log-uniform)."""
    return rng.random(shape) < np.exp(rng.uniform(np.log(0.005), np.log(0.3)))


def refined_grid(rng: np.random.Generator, shape: tuple[int, int], boundary: Mask) -> Mask:
    """A regular grid plus points drawn mostly from near boundaries, as an adaptive acquisition leaves them."""
    mask = regular_grid(rng, shape)
    weight = np.where(boundary, 1.0, rng.uniform(0.02, 0.3)).ravel()
    extra = int(mask.sum() * rng.uniform(0.2, 2.0))
    chosen = rng.choice(weight.size, size=min(extra, weight.size // 3), replace=False, p=weight / weight.sum())
    mask.ravel()[chosen] = True
    return mask


def draw_sparse_pattern(rng: np.random.Generator, shape: tuple[int, int], boundary: Mask) -> Mask:
    """What a partly measured map holds: 49 % grids, 23 % random points, 28 % refined grids."""
    kind = rng.random()
    if kind < 0.49:
        return regular_grid(rng, shape)
    return random_points(rng, shape) if kind < 0.72 else refined_grid(rng, shape, boundary)


def draw_pattern(rng: np.random.Generator, shape: tuple[int, int], boundary: Mask) -> Mask:
    """One pattern of training: 88 % partly measured maps, 8 % full maps, 4 % nothing."""
    kind = rng.random()
    if kind < 0.88:
        return draw_sparse_pattern(rng, shape, boundary)
    return np.full(shape, kind < 0.96, np.bool_)
