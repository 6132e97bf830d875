"""Which grains compete for each pixel: the candidates of a posterior, those that agree within 5° taken for one grain.

What follows from it for the next points is the business of the policies.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from grainloop.model.crystal import disorientation_of_pairs_deg
from grainloop.model.reconstruct import WRONG_DEG, Candidates
from grainloop.model.reconstruct.seeds import correlation_length_px, neighbour_pairs
from grainloop.protocols.values import PointBlock

Pairs = NDArray[np.integer[Any]]


@dataclass(frozen=True, eq=False)
class Rivals:
    """The grains that compete for each pixel.

    Attributes:
        grain: (h, w, K) int32 labels of grains as far as points near each other, or candidates of one pixel, show;
            −1 is none. No grain occurs twice at a pixel.
        point: (h, w, K) int32 a measured point of each, −1 is none.
        weight: (h, w, K) float32 probabilities; 0 where there is none.
        free: (h, w) float32 probability of a grain never hit.
        length_px: distance over which the grain at a point stays the same, as near points show.
    """

    grain: NDArray[np.int32]
    point: NDArray[np.int32]
    weight: NDArray[np.float32]
    free: NDArray[np.float32]
    length_px: float

    @property
    def all_weights(self) -> NDArray[np.float32]:
        """(h, w, K + 1) probabilities, last that of a grain never hit, with sum 1."""
        every = np.concatenate([self.weight, self.free[..., None]], axis=-1)
        return np.asarray(every / np.maximum(every.sum(axis=-1, keepdims=True), 1e-9), np.float32)


def find_rivals(candidates: Candidates, points: PointBlock, laue_groups: Mapping[int, str]) -> Rivals:
    """The rivals of each pixel.

    Args:
        candidates: of a posterior; their points are indices into `points`.
        points: measured.
        laue_groups: of the phases, by their numbers.
    """
    point = np.where(candidates.weight > 0, candidates.point, -1)
    near, length_px = _near(points, laue_groups)
    competing = _competing(point, len(points))
    label = _connected(np.concatenate([near, competing[_agree(competing, points, laue_groups)]]), len(points))
    grain, weight, point = _merged(np.where(point >= 0, label[point], -1).astype(np.int32), candidates.weight, point)
    return Rivals(grain, point, weight, candidates.free, length_px)


def _near(points: PointBlock, laue_groups: Mapping[int, str]) -> tuple[Pairs, float]:
    """(P, 2) points near each other that agree, and the distance over which the grain stays the same."""
    indexed = np.flatnonzero(points.indexed).astype(np.int32)
    pairs, distance = neighbour_pairs(points.position_px[indexed])
    near = indexed[pairs]
    alike = _agree(near, points, laue_groups)
    return near[alike], correlation_length_px(distance, ~alike)


def _merged(
    grain: NDArray[np.int32], weight: NDArray[np.float32], point: NDArray[np.int32]
) -> tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.int32]]:
    """Grains (h, w, K), weights and points with each grain of a pixel once, where it came first."""
    grain, weight, point = grain.copy(), np.where(grain >= 0, weight, 0).astype(np.float32), point.astype(np.int32)
    for later in range(1, grain.shape[-1]):
        for earlier in range(later):
            same = (grain[..., later] == grain[..., earlier]) & (grain[..., later] >= 0)
            weight[..., earlier] += np.where(same, weight[..., later], 0)
            weight[..., later][same], grain[..., later][same], point[..., later][same] = 0, -1, -1
    return grain, weight, point


def _connected(pairs: Pairs, count: int) -> NDArray[np.int32]:
    """(N,) labels of points that pairs (P, 2) connect."""
    graph = coo_matrix((np.ones(len(pairs), np.bool_), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    return np.asarray(connected_components(graph, directed=False)[1], np.int32)


def _competing(point: NDArray[np.int32], count: int) -> Pairs:
    """(P, 2) points that are candidates of one pixel, each pair once."""
    keys = [_keys(point[..., i], point[..., j], count) for i in range(1, point.shape[-1]) for j in range(i)]
    found = np.unique(np.concatenate([np.empty(0, np.int64), *keys]))
    return np.stack(np.divmod(found, max(count, 1)), axis=-1)


def _keys(one: NDArray[np.int32], other: NDArray[np.int32], count: int) -> NDArray[np.int64]:
    both = (one >= 0) & (other >= 0)
    a, b = one[both].astype(np.int64), other[both].astype(np.int64)
    return np.unique(np.minimum(a, b) * count + np.maximum(a, b))


def _agree(pairs: Pairs, points: PointBlock, laue_groups: Mapping[int, str]) -> NDArray[np.bool_]:
    """(P,) whether both points of (P, 2) are of one phase and at most 5° apart."""
    phase, alike = points.phase_id[pairs], np.zeros(len(pairs), np.bool_)
    for number, group in laue_groups.items():
        own = (phase == number).all(axis=1)
        alike[own] = disorientation_of_pairs_deg(points.orientation, pairs[own], group) <= WRONG_DEG
    return alike
