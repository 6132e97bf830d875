"""How far a reconstructed map is from a true one: disorientation per pixel and agreement of boundaries.

Boundary pixels are those of `neighbours.boundary_map`. Distances between boundary pixels are chessboard distances, so
that "within 1 px" is the 3×3 neighbourhood. Knows only maps; which pixels were measured is the caller's business.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from grainloop.model.crystal.disorientation import c_axis_error_deg, disorientation_deg
from grainloop.model.crystal.errors import CrystalError, ShapeMismatch
from grainloop.model.crystal.neighbours import (
    GRAIN_THRESHOLD_DEG,
    BoolMap,
    boundaries_between,
    boundary_map,
    checked_map,
    mark_pixels,
)
from grainloop.model.crystal.symmetry import LaueGroup

WRONG_DEG = 5.0


class NothingToScore(CrystalError):
    """No pixel of the true map is indexed."""


@dataclass(frozen=True)
class MapScore:
    """Error of a map over the indexed pixels of the true map.

    Attributes:
        error_mean_deg: mean disorientation.
        error_over_5deg: share of pixels with a disorientation above 5°, 0 … 1.
        boundary_f1: F1 of the 5° boundary pixels at 1 px tolerance.
    """

    error_mean_deg: float
    error_over_5deg: float
    boundary_f1: float


@dataclass(frozen=True)
class BoundaryScore:
    """Agreement of two sets of boundary pixels.

    Attributes:
        precision: share of the estimated pixels within the tolerance of a true one; 1 where none are estimated.
        recall: share of the true pixels within the tolerance of an estimated one; 1 where there are none.
        mean_distance_px: mean of both directed mean distances; NaN where one set is empty and the other is not.
    """

    precision: float
    recall: float
    mean_distance_px: float

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; 1 where both maps are free of boundaries, 0 where only one is."""
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total > 0 else 0.0


def score_map(
    estimate_q: ArrayLike, truth_q: ArrayLike, group: LaueGroup | str, indexed: ArrayLike | None = None
) -> MapScore:
    """Compare maps (h, w, 4) over the pixels where the truth is `indexed` (h, w), by default all.

    Both boundary maps leave out pairs with a pixel outside `indexed`.

    Raises:
        NothingToScore: `indexed` is False everywhere, or the map has no pixels.
        BadOrientation, ShapeMismatch, UnknownPointGroup: see `neighbours.checked_map` and `laue_group`.
    """
    estimate, truth, mask = _checked_pair(estimate_q, truth_q, indexed)
    error = disorientation_deg(estimate[mask], truth[mask], group)
    boundaries = [boundary_map(q, group, GRAIN_THRESHOLD_DEG, mask) for q in (estimate, truth)]
    return MapScore(
        error_mean_deg=float(error.mean(dtype=np.float64)),
        error_over_5deg=float(np.mean(error > WRONG_DEG)),
        boundary_f1=score_boundaries(*boundaries, tolerance_px=1).f1,
    )


def _checked_pair(
    estimate_q: ArrayLike, truth_q: ArrayLike, indexed: ArrayLike | None
) -> tuple[NDArray[np.floating], NDArray[np.floating], BoolMap]:
    truth, mask = checked_map(truth_q, indexed)
    estimate, _ = checked_map(estimate_q, indexed)
    if estimate.shape != truth.shape:
        raise ShapeMismatch(f"estimate of shape {estimate.shape} for a true map of {truth.shape}")
    if mask is None:
        mask = np.ones(truth.shape[:2], dtype=bool)
    if not mask.any():
        raise NothingToScore(f"none of the {mask.size} pixels of the true map is indexed")
    return estimate, truth, mask


def score_boundaries(estimate: ArrayLike, truth: ArrayLike, tolerance_px: int = 1) -> BoundaryScore:
    """Compare boundary pixels (h, w) at a tolerance in px, chessboard metric; 0 asks for the same pixels.

    Raises:
        ShapeMismatch: the maps differ in shape.
    """
    estimated, true = np.asarray(estimate, dtype=bool), np.asarray(truth, dtype=bool)
    if estimated.shape != true.shape or true.ndim != 2:
        raise ShapeMismatch(f"boundary maps of shapes {estimated.shape} and {true.shape}")
    to_truth = distance_px(true)[estimated]
    to_estimate = distance_px(estimated)[true]
    return BoundaryScore(
        precision=_share_within(to_truth, tolerance_px),
        recall=_share_within(to_estimate, tolerance_px),
        mean_distance_px=_mean_distance(to_truth, to_estimate),
    )


def distance_px(mask: ArrayLike) -> NDArray[np.int32]:
    """(h, w) chessboard distance to the nearest set pixel; h + w, more than any distance, where none is set."""
    from grainloop.model.crystal import _distance_kernels

    array = np.ascontiguousarray(mask, dtype=bool)
    out = np.empty(array.shape, np.int32)
    _distance_kernels.chessboard(array, sum(array.shape), out)
    return out


def _share_within(distances: NDArray[np.int32], tolerance_px: int) -> float:
    return float(np.mean(distances <= tolerance_px)) if distances.size else 1.0


def _mean_distance(to_truth: NDArray[np.int32], to_estimate: NDArray[np.int32]) -> float:
    if to_truth.size == 0 and to_estimate.size == 0:
        return 0.0
    if to_truth.size == 0 or to_estimate.size == 0:
        return float("nan")
    return float(to_truth.mean() + to_estimate.mean()) / 2


def split_boundaries(
    q_map: ArrayLike,
    group: LaueGroup | str,
    valid: ArrayLike | None = None,
    c_axis_deg: float = 5.0,
    threshold_deg: float = GRAIN_THRESHOLD_DEG,
) -> tuple[BoolMap, BoolMap]:
    """Boundary pixels (h, w) that PL can see, and those that it cannot: together `boundary_map`, without overlap.

    PL sees the c-axis only: a boundary is visible where the c-axes across it, to the right or below, differ by more
    than `c_axis_deg`. Recall of either kind: ``score_boundaries(estimate, visible).recall``.
    """
    right, down = boundaries_between(q_map, group, threshold_deg, valid)
    q = np.asarray(q_map)
    if valid is None:
        safe = q
    else:
        safe = np.where(np.asarray(valid, dtype=bool)[..., None], q, np.array([1, 0, 0, 0], q.dtype))
    seen_right = right & (c_axis_error_deg(safe[:, :-1], safe[:, 1:]) > c_axis_deg)
    seen_down = down & (c_axis_error_deg(safe[:-1], safe[1:]) > c_axis_deg)
    visible = mark_pixels(seen_right, seen_down)
    return visible, mark_pixels(right, down) & ~visible
