"""Seeds: the measured points that carry an orientation, once per pixel, and the groups in which they agree.

Not-indexed points never seed. Says in plain words what it had to leave out; how seeds spread is the methods' business.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

from grainloop.model.crystal import disorientation_deg, disorientation_of_pairs_deg
from grainloop.model.reconstruct.problem import WRONG_DEG, Problem

NEIGHBOURS = 8
"""Seeds that a seed is compared with to find its group: about one ring around it."""
MIN_LENGTH_PX, MAX_LENGTH_PX = 0.5, 1000.0


class NearPairs(NamedTuple):
    """(P, 2) pairs of near positions, those of one position together and nearest first, and (P,) distances in px."""

    pairs: NDArray[np.int32]
    distance: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Seeds:
    """Measured orientations to spread.

    Attributes:
        position: (N, 2) int32 row, column, each pixel once.
        orientation: (N, 4) float32.
        index: (N,) indices into the points of the problem.
        group: (N,) int32 labels of seeds that belong to one grain as far as neighbours show.
        length_px: distance over which the grain at a point stays the same with probability 1/e.
        known_pairs: the `neighbour_pairs` of `position` where they were looked up already; ask `near_pairs`.
    """

    position: NDArray[np.int32]
    orientation: NDArray[np.float32]
    index: NDArray[np.intp]
    group: NDArray[np.int32]
    length_px: float
    known_pairs: NearPairs | None = None

    def __len__(self) -> int:
        return len(self.position)

    def near_pairs(self) -> NearPairs:
        """As `neighbour_pairs` of the positions."""
        return neighbour_pairs(self.position) if self.known_pairs is None else self.known_pairs

    def select(self, keep: NDArray[np.bool_]) -> Seeds:
        """Some of the seeds; groups keep their labels."""
        return Seeds(self.position[keep], self.orientation[keep], self.index[keep], self.group[keep], self.length_px)


def find_seeds(problem: Problem) -> tuple[Seeds, tuple[str, ...]]:
    """The seeds of a problem, and sentences on points that contradict each other."""
    points = problem.points
    index = np.flatnonzero(points.indexed)
    pixel = points.position_px[index].astype(np.int64) @ (problem.shape[1], 1)
    index, contradictions = _once_per_pixel(index, pixel, points.orientation, problem.laue_group)
    position, orientation = points.position_px[index], points.orientation[index]
    pairs, distance = near = neighbour_pairs(position)
    angle = disorientation_of_pairs_deg(orientation, pairs, problem.laue_group)
    group = _connected(pairs[angle < WRONG_DEG], len(index))
    length = correlation_length_px(distance, angle > WRONG_DEG)
    notes: tuple[str, ...] = ()
    if contradictions:
        notes = (
            f"{contradictions} pixels were measured more than once with orientations more than {WRONG_DEG:g}° apart; "
            "the measurement closest to the others, or else the latest, is kept in the map.",
        )
    return Seeds(position, orientation, index, group, length, near), notes


def _once_per_pixel(
    index: NDArray[np.intp], pixel: NDArray[np.int64], orientation: NDArray[np.float32], laue_group: str
) -> tuple[NDArray[np.intp], int]:
    """One of the measurements of each pixel (their medoid, the latest of equals), and how many pixels contradict.

    They come in the order of the pixels: of points equally far away the first counts as nearer, and networks were
    trained on that order.
    """
    order = np.argsort(pixel, kind="stable")
    starts = np.flatnonzero(np.diff(pixel[order], prepend=-1))
    ends = np.append(starts[1:], len(order))
    kept, contradictions = index[order[ends - 1]] if len(index) else index, 0
    for number in np.flatnonzero(ends - starts > 1):
        run = index[order[starts[number] : ends[number]]]
        q = orientation[run]
        angle = disorientation_deg(q[:, None], q[None], laue_group)
        total = angle.sum(axis=1).round(3)[::-1]
        kept[number] = run[len(run) - 1 - int(total.argmin())]
        contradictions += bool(angle.max() > WRONG_DEG)
    return kept, contradictions


def neighbour_pairs(position: NDArray[np.int32]) -> NearPairs:
    """Each of the positions (N, 2) with its nearest others: as many for all, so P is a multiple of N."""
    count = min(NEIGHBOURS + 1, len(position))
    if count < 2:
        return NearPairs(np.empty((0, 2), np.int32), np.empty(0))
    distance, near = KDTree(position).query(position, k=count)
    pairs = np.empty((len(position), count - 1, 2), np.int32)
    pairs[..., 0], pairs[..., 1] = np.arange(len(position))[:, None], np.asarray(near)[:, 1:]
    return NearPairs(pairs.reshape(-1, 2), np.asarray(distance)[:, 1:].ravel())


def _connected(pairs: NDArray[np.int32], count: int) -> NDArray[np.int32]:
    graph = coo_matrix((np.ones(len(pairs), np.bool_), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int32)


def correlation_length_px(distance: NDArray[np.float64], different: NDArray[np.bool_]) -> float:
    """The length L for which P(another grain at distance d) = 1 − exp(−d/L) explains the pairs best.

    The exponential is the indicator variogram of a Poisson line tessellation (Matheron 1975; Chilès & Delfiner,
    Geostatistics, 2012), here fitted by maximum likelihood. Without pairs it is `MAX_LENGTH_PX`.
    """
    if not len(distance):
        return MAX_LENGTH_PX
    lengths = np.geomspace(MIN_LENGTH_PX, MAX_LENGTH_PX, 160)
    bins, inverse = np.unique(distance, return_inverse=True)
    apart = np.bincount(inverse, weights=different)
    alike = np.bincount(inverse) - apart
    ratio = np.maximum(bins, 0.5)[None] / lengths[:, None]
    likelihood = apart @ np.log(-np.expm1(-ratio)).T - alike @ ratio.T
    return float(lengths[likelihood.argmax()])
