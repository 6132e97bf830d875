"""The policy `spread`: ask where most pixels are expected to be wrong, spread over the section.

The gain of a point is the expected number of wrong pixels around it that can be put right: P(wrong) times the
probability of indexing there, summed under a Gaussian window. After each pick the pixels around it count as explained
by as much as the window covers them, so that a batch is diverse; no two picks of a batch are adjacent while others are
left. A share of the picks fills the largest gaps instead: grains that PL cannot see exist.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from grainloop.model.acquire.batch import even, greedy_picks, make_batch, reasons
from grainloop.model.acquire.scene import Scene
from grainloop.model.jit import free
from grainloop.protocols.messages import Proposals

WINDOW_PX = (0.75, 8.0)
"""Smallest and largest window."""

__all__ = ["WINDOW_PX", "Spread", "expected_gain", "explain", "greedy", "reasons"]


@dataclass(frozen=True)
class Spread:
    """Greedy batch of the points around which most pixels are expected to be wrong.

    Attributes:
        window_share: smallest and largest standard deviation of the window around a point that counts as explained by
            it, as a share of the mean spacing of the points measured so far.
        coarse_px: spacing at which the share would be 1. Where points are far apart doubt is that of whole grains,
            where they are close it is that of the pixel beside a boundary.
    """

    name: str = "spread"
    window_share: tuple[float, float] = (0.15, 0.3)
    coarse_px: float = 45.0

    def __call__(self, scene: Scene, count: int, rng: np.random.Generator) -> Proposals:
        """See `Policy`."""
        windows = even(self.window(scene), scene.measured.shape)
        return make_batch(self.name, scene, count, rng, scene.doubt, windows)

    def window(self, scene: Scene) -> NDArray[np.float32]:
        """(2 r + 1, 2 r + 1) share of the doubt around a point that counts as explained by it."""
        return gaussian(self.window_px(scene))

    def window_px(self, scene: Scene) -> float:
        """Standard deviation of the window."""
        share = np.clip(scene.spacing_px / self.coarse_px, *self.window_share)
        return float(np.clip(share * scene.spacing_px, *WINDOW_PX))


def gaussian(window_px: float) -> NDArray[np.float32]:
    """(2 r + 1, 2 r + 1) Gaussian window of height 1."""
    reach = max(1, int(np.ceil(2 * window_px)))
    axis = np.arange(-reach, reach + 1)
    return np.exp(-(axis[:, None] ** 2 + axis[None] ** 2) / (2 * window_px**2)).astype(np.float32)


def expected_gain(value: NDArray[np.float32], window_px: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(h, w) values summed under a Gaussian window of height 1, and the (2r + 1, 2r + 1) window."""
    from grainloop.model.acquire import _greedy_kernels as kernels

    window = gaussian(window_px)
    return kernels.worths(value, even(window, value.shape)), window


def greedy(
    value: NDArray[np.float32],
    free: NDArray[np.bool_],
    kernel: NDArray[np.float32],
    count: int,
    before: NDArray[np.intp],
) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """As `greedy_picks` with one window for all pixels, where every measurement succeeds."""
    chance = np.ones(value.shape, np.float32)
    return greedy_picks(value, free, even(kernel, value.shape), chance, count, before)


@free
def explain(value: NDArray[np.float32], kernel: NDArray[np.float32], r: int, c: int) -> None:
    """Count `value` around a measured pixel as explained, in place, by as much as the window covers it."""
    reach = len(kernel) // 2
    for rr in range(max(r - reach, 0), min(r + reach + 1, value.shape[0])):
        for cc in range(max(c - reach, 0), min(c + reach + 1, value.shape[1])):
            value[rr, cc] *= 1 - kernel[rr - r + reach, cc - c + reach]
