"""From candidate weights to a map: orientation, probability of being wrong, expected error, boundaries, grains.

Candidates within 5° of each other count as one. The map takes the candidate on which most weight agrees; measured
pixels keep what was measured. Where the weights come from is the methods' business.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.crystal import disorientation_deg, segment_grains
from model.reconstruct.problem import WRONG_DEG, Candidates, Posterior, Problem
from model.reconstruct.seeds import Seeds

KEPT = 4
"""Candidates kept per pixel; the weight of the others counts as that of a grain never hit."""
NEGLIGIBLE = 0.01
SHARED = 2.0
"""Odds of one grain against independent neighbours: they err together. Makes boundaries calibrated on real maps."""


class PairAngles:
    """Disorientations between seeds, computed once per pair that occurs."""

    def __init__(self, seeds: Seeds, laue_group: str) -> None:
        self._orientation = seeds.orientation
        self._laue_group = laue_group

    def __call__(self, first: NDArray[np.int32], second: NDArray[np.int32]) -> NDArray[np.float32]:
        """Degrees between the seeds of two index arrays of one shape; 180 where one of them is −1."""
        count = np.int64(len(self._orientation) + 1)
        low, high = np.minimum(first, second) + 1, np.maximum(first, second) + 1
        keys, inverse = np.unique((low * count + high).ravel(), return_inverse=True)
        a, b = keys // count - 1, keys % count - 1
        known = (a >= 0) & (b >= 0)
        angle = np.full(len(keys), 180, dtype=np.float32)
        angle[known] = disorientation_deg(self._orientation[a[known]], self._orientation[b[known]], self._laue_group)
        return angle[inverse].reshape(np.shape(first))


def read_out(
    problem: Problem,
    seeds: Seeds,
    seed: NDArray[np.int32],
    weight: NDArray[np.float32],
    *,
    choice: NDArray[np.int32] | None = None,
    light_used: bool = False,
    degraded: tuple[str, ...] = (),
) -> Posterior:
    """The posterior of weighted candidates.

    `seed` (h, w, K) holds candidates as seeds (−1: none), `weight` their probabilities; what is missing to 1 is that of
    a grain never hit. `choice` (h, w) names the seed whose orientation the map takes, instead of the one on which most
    weight agrees.
    """
    seed, weight = _heaviest(seed, weight)
    angles = PairAngles(seeds, problem.laue_group)
    chosen = _agreed(seed, weight, angles) if choice is None else choice.copy()
    chosen[tuple(seeds.position.T)] = np.arange(len(seeds))
    free = np.clip(1 - weight.sum(axis=-1), 0, 1)
    angle = angles(np.broadcast_to(chosen[..., None], seed.shape), seed)
    right = np.where(angle <= WRONG_DEG, weight, 0).sum(axis=-1)
    error = np.where(seed >= 0, weight * angle, 0).sum(axis=-1) + free * typical_error_deg(seeds, problem.laue_group)
    orientation = seeds.orientation[chosen]
    return Posterior(
        orientation=orientation,
        expected_error_deg=error.astype(np.float32),
        p_wrong=np.clip(1 - right, 0, 1).astype(np.float32),
        boundary=boundary_probability(seed, weight, angles),
        grain=grain_labels(orientation, problem.laue_group),
        candidates=Candidates(np.where(seed >= 0, seeds.index[seed], -1).astype(np.int32), weight, free),
        light_used=light_used,
        degraded=degraded,
    )


def _heaviest(seed: NDArray[np.int32], weight: NDArray[np.float32]) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    order = np.argsort(-weight, axis=-1, kind="stable")[..., :KEPT]
    return np.take_along_axis(seed, order, axis=-1), np.take_along_axis(weight, order, axis=-1)


def _agreed(seed: NDArray[np.int32], weight: NDArray[np.float32], angles: PairAngles) -> NDArray[np.int32]:
    """(h, w) the candidate within 5° of which most weight lies; of equals the heaviest."""
    support = weight.copy()
    for i in range(seed.shape[-1]):
        for j in range(i):
            agree = angles(seed[..., i], seed[..., j]) <= WRONG_DEG
            support[..., i] += agree * weight[..., j]
            support[..., j] += agree * weight[..., i]
    return np.take_along_axis(seed, support.argmax(axis=-1)[..., None], axis=-1)[..., 0]


def typical_error_deg(seeds: Seeds, laue_group: str) -> float:
    """Mean disorientation between unlike orientations of the section; of random ones where it has fewer than two."""
    rng = np.random.default_rng(0)
    orientation = seeds.orientation if len(np.unique(seeds.group)) > 1 else rng.normal(size=(256, 4))
    orientation = orientation / np.linalg.norm(orientation, axis=-1, keepdims=True)
    first, second = rng.integers(len(orientation), size=(2, 2000))
    angle = disorientation_deg(orientation[first], orientation[second], laue_group)
    return float(np.mean(angle, where=angle > WRONG_DEG)) if (angle > WRONG_DEG).any() else WRONG_DEG


def boundary_probability(
    seed: NDArray[np.int32], weight: NDArray[np.float32], angles: PairAngles
) -> NDArray[np.float32]:
    """(h, w) probability that the pixel and its right or its lower neighbour belong to different grains."""
    boundary = np.zeros(seed.shape[:2], dtype=np.float32)
    for axis in (0, 1):
        here, there = _halves(seed, axis)
        weight_here, weight_there = _halves(weight, axis)
        differ = _differ(here, there, weight_here, weight_there, angles)
        target = boundary[:-1] if axis == 0 else boundary[:, :-1]
        np.maximum(target, differ, out=target)
    return boundary


def _halves(values: NDArray[Any], axis: int) -> tuple[NDArray[Any], NDArray[Any]]:
    return (values[:-1], values[1:]) if axis == 0 else (values[:, :-1], values[:, 1:])


def _differ(
    here: NDArray[np.int32],
    there: NDArray[np.int32],
    weight_here: NDArray[np.float32],
    weight_there: NDArray[np.float32],
    angles: PairAngles,
) -> NDArray[np.float32]:
    free_here, free_there = 1 - weight_here.sum(axis=-1), 1 - weight_there.sum(axis=-1)
    same = free_here * free_there
    for i in range(here.shape[-1]):
        for j in range(there.shape[-1]):
            joint = weight_here[..., i] * weight_there[..., j]
            a, b = here[..., i], there[..., j]
            agree = a == b
            ask = ~agree & (joint > NEGLIGIBLE)
            agree[ask] = angles(a[ask], b[ask]) <= WRONG_DEG
            same = same + joint * agree
    same = np.clip(same, 0, 1)
    return (1 - same) / (1 - same + SHARED * same)


def grain_labels(orientation: NDArray[np.float32], laue_group: str) -> NDArray[np.int32]:
    """(h, w) labels from 1 of regions without a step of more than 5° inside."""
    return np.asarray(segment_grains(orientation, laue_group, WRONG_DEG)).astype(np.int32)
