"""From candidate weights to a map: orientation, probability of being wrong, expected error, boundaries, grains.

Candidates within 5° of each other count as one. The map takes the candidate on which most weight agrees; measured
pixels keep what was measured. Where the weights come from is the methods' business.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaincinv

from grainloop.model.crystal import disorientation_deg, segment_grains
from grainloop.model.reconstruct.problem import WRONG_DEG, Candidates, Posterior, Problem
from grainloop.model.reconstruct.seeds import Seeds
from grainloop.model.reconstruct.within import Partners, bent_map, scatter_at

KEPT = 4
"""Candidates kept per pixel; the weight of the others counts as that of a grain never hit."""
LEVEL = 0.9
"""Probability with which the error stays below the bound that is told."""
QUANTILES = 201
QUANTILE_MAX = 0.995
"""Maxwell's law is not believed beyond."""
SMALL_TABLE = 4096
"""Pairs of seeds that a table has room for at first; it grows."""
NEGLIGIBLE = 0.01
SHARED = 2.0
"""Odds of one grain against independent neighbours: they err together. Makes boundaries calibrated on real maps."""


class PairAngles:
    """Disorientations between seeds, computed once per pair that occurs."""

    def __init__(self, seeds: Seeds, laue_group: str) -> None:
        from grainloop.model.reconstruct import _readout_kernels as kernels

        self._kernels = kernels
        self._orientation = seeds.orientation
        self._laue_group = laue_group
        self._pairs = kernels.new_pairs(SMALL_TABLE)

    def agreed(self, seed: NDArray[np.int32], weight: NDArray[np.float32]) -> NDArray[np.int32]:
        """(h, w) the candidate within 5° of which most weight lies; of equals the heaviest."""
        self._measure(self._kernels.add_within, seed)
        chosen = np.empty(seed.shape[:2], np.int32)
        self._kernels.agreed(self._pairs, seed, weight, WRONG_DEG, chosen)
        return chosen

    def between(self, first: NDArray[np.int32], second: NDArray[np.int32]) -> NDArray[np.float32]:
        """(h, w, K) degrees between seeds (h, w) and (h, w, K); 180 where one of them is −1."""
        flat, others = first.reshape(-1), second.reshape(-1, second.shape[-1])
        self._measure(self._kernels.add_between, flat, others)
        out = np.empty(others.shape, np.float32)
        self._kernels.angles(self._pairs, flat, others, out)
        return out.reshape(second.shape)

    def boundary(self, seed: NDArray[np.int32], weight: NDArray[np.float32]) -> NDArray[np.float32]:
        """(h, w) probability that the pixel and its right or its lower neighbour belong to different grains."""
        self._measure(self._kernels.add_neighbours, seed, weight, NEGLIGIBLE)
        out = np.empty(seed.shape[:2], np.float32)
        self._kernels.boundaries(self._pairs, seed, weight, (WRONG_DEG, NEGLIGIBLE, SHARED), out)
        return out

    def _measure(self, add: Callable[..., bool], *of: Any) -> None:
        """Add pairs to the table and compute the angles that it lacks."""
        while not add(self._pairs, *of):
            self._pairs = self._kernels.enlarged(self._pairs)
        key, angle, _ = self._pairs
        new = np.flatnonzero((key >= 0) & np.isnan(angle))
        first, second = key[new] >> 32, key[new] & 0xFFFFFFFF
        angle[new] = disorientation_deg(self._orientation[first], self._orientation[second], self._laue_group)


def read_out(
    problem: Problem,
    seeds: Seeds,
    seed: NDArray[np.int32],
    weight: NDArray[np.float32],
    *,
    choice: NDArray[np.int32] | None = None,
    partners: Partners | None = None,
    light_used: bool = False,
    prior_used: bool = False,
    degraded: tuple[str, ...] = (),
) -> Posterior:
    """The posterior of weighted candidates.

    `seed` (h, w, K) holds candidates as seeds (−1: none), `weight` their probabilities; what is missing to 1 is that of
    a grain never hit. `choice` (h, w) names the seed whose orientation the map takes, instead of the one on which most
    weight agrees. With `partners` the orientation is that of its grain at the pixel (`within`). Whoever makes weights
    tile by tile keeps the `heaviest` of each tile and reads out the section once.
    """
    seed, weight = heaviest(seed, weight)
    angles = PairAngles(seeds, problem.laue_group)
    chosen = angles.agreed(seed, weight) if choice is None else choice.astype(np.int32)
    chosen[tuple(seeds.position.T)] = np.arange(len(seeds))
    free = np.clip(1 - weight.sum(axis=-1), 0, 1)
    angle, unlike = angles.between(chosen, seed), unlike_angles_deg(seeds, problem.laue_group)
    right = np.where(angle <= WRONG_DEG, weight, 0).sum(axis=-1)
    error = np.where(seed >= 0, weight * angle, 0).sum(axis=-1) + free * np.float32(unlike.mean())
    orientation = seeds.orientation[chosen] if partners is None else bent_map(seeds, partners, chosen)
    orientation[tuple(seeds.position.T)] = seeds.orientation
    scatter = None if partners is None else scatter_at(seeds, partners, chosen)
    bound = error_bound_deg(angle, weight, unlike)
    return Posterior(
        orientation=orientation,
        expected_error_deg=error.astype(np.float32) if scatter is None else np.hypot(error, scatter).astype(np.float32),
        bound90_deg=bound if scatter is None else np.where(right > LEVEL, bound_within_deg(right, scatter), bound),
        scatter_deg=scatter,
        p_wrong=np.clip(1 - right, 0, 1).astype(np.float32),
        boundary=angles.boundary(seed, weight),
        grain=grain_labels(orientation, problem.laue_group),
        candidates=Candidates(np.where(seed >= 0, seeds.index[seed], -1).astype(np.int32), weight, free),
        light_used=light_used,
        prior_used=prior_used,
        degraded=degraded,
    )


def heaviest(seed: NDArray[np.int32], weight: NDArray[np.float32]) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The `KEPT` candidates (h, w, k) of most weight, heaviest first and of equals the first; `read_out` drops more."""
    from grainloop.model.reconstruct import _readout_kernels as kernels

    shape = (*seed.shape[:2], min(KEPT, seed.shape[2]))
    kept_seed, kept = np.empty(shape, np.int32), np.empty(shape, np.float32)
    kernels.heaviest(np.ascontiguousarray(seed), np.ascontiguousarray(weight), kept_seed, kept)
    return kept_seed, kept


def unlike_angles_deg(seeds: Seeds, laue_group: str) -> NDArray[np.float64]:
    """(n,) disorientations between unlike orientations of the section; of random ones where it has fewer than two."""
    rng = np.random.default_rng(0)
    orientation = seeds.orientation if len(np.unique(seeds.group)) > 1 else rng.normal(size=(256, 4))
    orientation = orientation / np.linalg.norm(orientation, axis=-1, keepdims=True)
    first, second = rng.integers(len(orientation), size=(2, 2000))
    angle = np.asarray(disorientation_deg(orientation[first], orientation[second], laue_group), np.float64)
    return angle[angle > WRONG_DEG] if (angle > WRONG_DEG).any() else np.array([WRONG_DEG])


def error_bound_deg(
    angle: NDArray[np.float32], weight: NDArray[np.float32], unlike: NDArray[np.float64]
) -> NDArray[np.float32]:
    """(h, w) angle that the error stays below with probability `LEVEL`.

    The error is `angle` (h, w, K) with probability `weight`; in a grain never hit it is distributed as `unlike` (n,).
    """
    from grainloop.model.reconstruct import _readout_kernels as kernels

    quantiles = np.quantile(unlike, np.linspace(0, 1, QUANTILES)).astype(np.float32)
    out = np.empty(angle.shape[:2], np.float32)
    flat, heavy = (np.ascontiguousarray(values).reshape(out.size, -1) for values in (angle, weight))
    kernels.bounds(flat, heavy, quantiles, LEVEL, out.reshape(-1))
    return out


def bound_within_deg(right: NDArray[np.float32], scatter_deg: NDArray[np.float32]) -> NDArray[np.float32]:
    """(h, w) angle that the error stays below with probability `LEVEL`, where the map shows the right grain likelier.

    Errors inside the grain, which is the right one with probability `right` (h, w), follow Maxwell's law with the rms
    `scatter_deg` (h, w); those of another grain are larger.
    """
    within = np.clip(LEVEL / np.maximum(right, LEVEL), 0, QUANTILE_MAX)
    table = np.linspace(LEVEL, QUANTILE_MAX, QUANTILES)
    multiple = np.interp(within, table, np.sqrt(2 * gammaincinv(1.5, table) / 3))
    return np.minimum(multiple * scatter_deg, WRONG_DEG).astype(np.float32)


def grain_labels(orientation: NDArray[np.float32], laue_group: str) -> NDArray[np.int32]:
    """(h, w) labels from 1 of regions without a step of more than 5° inside."""
    return np.asarray(segment_grains(orientation, laue_group, WRONG_DEG)).astype(np.int32)
