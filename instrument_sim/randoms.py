"""Random numbers that belong to a place and an exposure instead of to an order of calls.

A counter-based generator (the finaliser of SplitMix64, Steele, Lea & Flood 2014): the numbers of a scan point depend on
the seed, its position and how often it was exposed, so that the route of the beam changes none of them.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint64]

_GOLDEN: Final = 0x9E3779B97F4A7C15
_MASK: Final = (1 << 64) - 1


def _mix(words: Words) -> Words:
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))


def keys(seed: int, *counters: NDArray[np.integer[Any]]) -> Words:
    """(N,) one 64-bit key per tuple of counters (each (N,), ≥ 0)."""
    state = np.full(len(counters[0]), (seed * _GOLDEN + 1) & _MASK, np.uint64)
    for counter in counters:
        state = _mix(state + np.uint64(_GOLDEN) * (counter.astype(np.uint64) + np.uint64(1)))
    return state


def uniforms(key: Words, draws: int) -> NDArray[np.float64]:
    """(draws, N) uniform numbers in (0, 1), `draws` for each key (N,)."""
    step = np.arange(1, draws + 1, dtype=np.uint64)[:, None] * np.uint64(_GOLDEN)
    return ((_mix(key + step) >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53


def normals(uniform: NDArray[np.float64]) -> NDArray[np.float64]:
    """Standard normal numbers (2n, N) from uniform ones (2n, N), by the method of Box and Muller (1958)."""
    half = len(uniform) // 2
    radius, angle = np.sqrt(-2 * np.log(uniform[:half])), 2 * np.pi * uniform[half:]
    return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])
