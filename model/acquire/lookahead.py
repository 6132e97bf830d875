"""Expected wrong pixels left after a point, from the candidates of the posterior: the policy `lookahead`.

For a candidate pixel j with outcomes b (the grains that may lie there, or one never hit) and the pixels i around it,
the gain is Σ_b P(b at j) Σ_i [P(the map is right at i | b) − P(it is right now)]. It is the expected local variance
left of Gram-matrix lookahead with 0/1 distances, taken over the exact probabilities of the gate instead of samples of
it: no noise and no bias from few samples. What one pixel tells of another is the one assumption: with probability
exp(−d/L) both belong together, and then their grains follow the maximal coupling of the two distributions. L was
fitted to pairs of pixels in reconstructions of synthetic specimens (`docs/decisions/0013-where-to-ask-next.md`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from grainloop.model.acquire.batch import Windows, even, make_batch
from grainloop.model.acquire.scene import Scene
from grainloop.model.reconstruct.bands import in_bands
from grainloop.protocols.messages import Proposals

BOND_SHARE, LEAST_BOND_PX, LARGEST_BOND_PX = 0.5, 0.8, 8.0
"""Distance over which pixels belong together: that share of the spacing of the points around, and the least on top."""
REACH_BONDS, LARGEST_REACH_PX = 2.0, 7
"""Reach of a window in such distances, and its limit in pixels."""
_PIXELS_AT_ONCE = 4096


@dataclass(frozen=True)
class Lookahead:
    """Greedy batch of the points after which fewest pixels are expected to be wrong."""

    name: str = "lookahead"

    def __call__(self, scene: Scene, count: int, rng: np.random.Generator) -> Proposals:
        """See `Policy`; without candidates a point tells of its own pixel alone."""
        if scene.rivals is None:
            windows = even(np.ones((1, 1), np.float32), scene.measured.shape)
        else:
            every = np.argwhere(np.ones(scene.measured.shape, np.bool_))
            found = influence(scene, every)
            windows = found.reshape(*scene.measured.shape, *found.shape[1:])
        return make_batch(self.name, scene, count, rng, scene.doubt, windows)


def influence(scene: Scene, at: NDArray[np.intp]) -> Windows:
    """(n, 2 r + 1, 2 r + 1) share of the doubt around pixels (n, 2) that measuring them is expected to remove.

    Raises:
        ValueError: the posterior of the scene does not say which grains compete.
    """
    from grainloop.model.acquire import _lookahead_kernels as kernels

    rivals = scene.rivals
    if rivals is None:
        raise ValueError("the posterior of the scene does not say which grains compete")
    length = bond_lengths_px(scene.measured, rivals.length_px)
    reach = int(np.clip(np.ceil(REACH_BONDS * float(np.median(length))), 1, LARGEST_REACH_PX))
    windows = np.zeros((len(at), 2 * reach + 1, 2 * reach + 1), np.float32)
    weight, grain = rivals.all_weights, rivals.grain

    def compute(some: slice) -> None:
        kernels.influence(weight, grain, length, at[some], windows[some])

    in_bands(compute, (len(at), 1), _PIXELS_AT_ONCE)
    return windows


def bond_lengths_px(measured: NDArray[np.bool_], grain_px: float) -> NDArray[np.float32]:
    """(h, w) distance over which pixels belong together, from the density of the points around.

    It is never more than the length `grain_px` over which the grain stays the same.
    """
    share = max(float(measured.mean()), 1e-6)
    density = gaussian_filter(measured.astype(np.float32), 1 / np.sqrt(share), mode="reflect")
    length = LEAST_BOND_PX + BOND_SHARE / np.sqrt(np.maximum(density, 1e-6))
    return np.clip(np.minimum(length, grain_px), LEAST_BOND_PX, LARGEST_BOND_PX).astype(np.float32)


def predicted_gain(scene: Scene, at: NDArray[np.intp]) -> NDArray[np.float32] | None:
    """(n,) expected number of pixels put right by each of the pixels (n, 2), each after those before it.

    None where the posterior does not say which grains compete.
    """
    from grainloop.model.acquire import _greedy_kernels as kernels

    if scene.rivals is None:
        return None
    return kernels.in_order(scene.doubt.copy(), influence(scene, at), scene.chance, at)
