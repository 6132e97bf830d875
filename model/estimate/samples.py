"""Samples of the whole map from the gate's probabilities: each pixel right on average, neighbours choosing alike.

A pixel takes the candidate with the largest log w_k + g_k, where g_k is a standard Gumbel number: candidate k then wins
with probability w_k exactly. The numbers of neighbouring pixels come from one smooth field per grain, so a sample moves
a boundary or swaps a grain as a whole instead of sprinkling pixels: a Gaussian copula over the marginals of the gate.
It takes no evaluation of the network;
`docs/decisions/0010-posterior-samples-come-from-the-gate.md` compares it with samplers that do.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from grainloop.model.estimate._sample_kernels import choose

SPACING_PX = 4.0
"""Distance between independent values of a field; neighbours 2 px apart choose alike for the most part."""


@dataclass(frozen=True, eq=False)
class Weighted:
    """Candidates of each pixel and what is said of them.

    Attributes:
        weight: (h, w, K) float32 probabilities.
        group: (h, w, K) int32 grain that each candidate belongs to; −1 is none.
        free: (h, w) float32 probability of a grain never hit.
        origin: row and column of the first pixel in the section, for tiles.
    """

    weight: NDArray[np.float32]
    group: NDArray[np.int32]
    free: NDArray[np.float32]
    origin: tuple[int, int] = (0, 0)


def samples_of(given: Weighted, count: int, seed: int) -> Iterator[NDArray[np.int32]]:
    """`count` samples one after the other: the slot (h, w) that wins in every pixel, −1 where it is a grain never hit.

    The same for a seed, whatever the tile of the section that is asked for.
    """
    group = given.group.astype(np.int64)
    for number in range(count):
        rng = np.random.default_rng((seed, number))
        key, shift = rng.integers(2**62), rng.uniform(0, SPACING_PX, 2)
        yield choose(given.weight, group, given.free, key, shift, SPACING_PX, *given.origin)


def sample_slots(given: Weighted, count: int, seed: int) -> NDArray[np.int32]:
    """(count, h, w) all samples of `samples_of`."""
    return np.stack(list(samples_of(given, count, seed)))


def never_hit_orientations(
    orientation: NDArray[np.float32], shape: tuple[int, ...], length_px: float, seed: int
) -> Iterator[NDArray[np.float32]]:
    """(h, w, 4) orientations for pixels of grains never hit, another map for every sample.

    Nothing is known of such a grain but that it belongs to the section, so each cell of about the size of a grain takes
    the orientation of any of the measured points (m, 4).
    """
    h, w = shape
    edge = int(np.clip(round(2 * length_px), 2, max(h, w)))
    rng = np.random.default_rng((seed, 0x6E6577))
    while True:
        cells = rng.integers(len(orientation), size=(-(-h // edge), -(-w // edge)))
        yield orientation[cells.repeat(edge, axis=0).repeat(edge, axis=1)[:h, :w]]
