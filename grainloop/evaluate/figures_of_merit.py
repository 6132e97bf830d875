"""How good a reconstruction is, and how good what it says of itself, against a known map of any number of phases.

Everything is counted over the pixels where the truth is indexed, measured ones included, unless a name says otherwise.
A pixel shown as another phase is wrong, has no disorientation, and lies beyond every bound below 180°.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from grainloop.model.crystal import boundaries_between, disorientation_deg, score_boundaries
from grainloop.model.crystal.neighbours import mark_pixels
from grainloop.model.crystal.score import WRONG_DEG
from grainloop.model.estimate.scores import auroc, ause, coverage
from grainloop.model.maps import OrientationMap

OTHER_PHASE_DEG = 180.0
"""Error of a pixel that is shown as another phase: beyond every disorientation."""


class Claimed(Protocol):
    """A map and what it says of itself; `protocols.messages.Reconstruction` is one."""

    @property
    def orientation(self) -> NDArray[np.float32]:
        """(h, w, 4) unit quaternions in the Euler frame of the truth."""
        ...

    @property
    def phase_id(self) -> NDArray[np.uint8]:
        """(h, w); 0 where nothing is said."""
        ...

    @property
    def p_wrong(self) -> NDArray[np.float32]:
        """(h, w) probability of an error above 5°."""
        ...

    @property
    def expected_error_deg(self) -> NDArray[np.float32]:
        """(h, w) degrees."""
        ...

    @property
    def bound90_deg(self) -> NDArray[np.float32]:
        """(h, w) degrees that the error stays below with probability 0.9."""
        ...


@dataclass(frozen=True)
class FiguresOfMerit:
    """Errors of a map, and how well its uncertainty tells of them. Shares are 0 … 1; NaN where there is no answer.

    Attributes:
        error_mean_deg: mean disorientation of the pixels shown as the right phase.
        error_over_5deg: share of pixels off by more than 5°, or shown as another phase.
        boundary_f1: F1 of the boundary pixels (5° or a change of phase) at 1 px tolerance.
        auroc: probability that a wrong pixel is doubted more than a right one.
        coverage90: share of pixels whose error stays below their 90 % bound; 0.9 is meant.
        coverage90_inferred: the same over the pixels that were not measured.
        predicted_over_5deg: what the map itself expects `error_over_5deg` to be.
        expected_error_deg: what it expects `error_mean_deg` to be.
        ause_deg: area under the sparsification error curve of the doubt, 0 at best.
    """

    error_mean_deg: float
    error_over_5deg: float
    boundary_f1: float
    auroc: float
    coverage90: float
    coverage90_inferred: float
    predicted_over_5deg: float
    expected_error_deg: float
    ause_deg: float

    def to_json(self) -> dict[str, float | None]:
        """By name, None for NaN."""
        return {name: None if math.isnan(value) else value for name, value in asdict(self).items()}


def figures_of_merit(claimed: Claimed, truth: OrientationMap, measured: NDArray[np.bool_]) -> FiguresOfMerit:
    """Compare a map with the truth; `measured` (h, w) says which pixels were measured."""
    inside, inferred = truth.indexed, truth.indexed & ~measured
    error = error_map_deg(claimed.orientation, claimed.phase_id, truth)
    doubt, bound = claimed.p_wrong, claimed.bound90_deg
    wrong = error > WRONG_DEG
    right_phase = inside & (claimed.phase_id == truth.phase_id)
    return FiguresOfMerit(
        error_mean_deg=_mean(error[right_phase]),
        error_over_5deg=_mean(wrong[inside]),
        boundary_f1=boundary_f1(claimed, truth),
        auroc=auroc(doubt[inside], wrong[inside]),
        coverage90=coverage(error[inside], bound[inside]),
        coverage90_inferred=coverage(error[inferred], bound[inferred]) if inferred.any() else math.nan,
        predicted_over_5deg=_mean(doubt[inside]),
        expected_error_deg=_mean(claimed.expected_error_deg[inside]),
        ause_deg=ause(doubt[inside], error[inside]),
    )


def error_map_deg(
    orientation: NDArray[np.float32], phase_id: NDArray[np.uint8], truth: OrientationMap
) -> NDArray[np.float32]:
    """(h, w) disorientation from the truth by the symmetry of its phase; NaN where the truth is not indexed."""
    error = np.where(truth.indexed, OTHER_PHASE_DEG, np.nan).astype(np.float32)
    for phase in truth.phases:
        here = (truth.phase_id == phase.phase_id) & (phase_id == phase.phase_id)
        if here.any():
            error[here] = disorientation_deg(orientation[here], truth.orientation[here], phase.laue_group)
    return error


def boundary_f1(claimed: Claimed, truth: OrientationMap) -> float:
    """F1 of the boundary pixels of both maps within the indexed part of the truth, at 1 px tolerance."""
    shown = np.where(truth.indexed, claimed.phase_id, 0).astype(np.uint8)
    estimated = _boundaries(claimed.orientation, shown, truth)
    return score_boundaries(estimated, _boundaries(truth.orientation, truth.phase_id, truth), tolerance_px=1).f1


def _boundaries(
    orientation: NDArray[np.float32], phase_id: NDArray[np.uint8], truth: OrientationMap
) -> NDArray[np.bool_]:
    """(h, w) pixels with a boundary to their right or lower neighbour: 5° within a phase, or another phase."""
    known = phase_id > 0
    right = (phase_id[:, :-1] != phase_id[:, 1:]) & known[:, :-1] & known[:, 1:]
    down = (phase_id[:-1] != phase_id[1:]) & known[:-1] & known[1:]
    for phase in truth.phases:
        here = phase_id == phase.phase_id
        if here.any():
            own_right, own_down = boundaries_between(_unit(orientation, here), phase.laue_group, WRONG_DEG, here)
            right, down = right | own_right, down | own_down
    return mark_pixels(right, down)


def _unit(orientation: NDArray[np.float32], here: NDArray[np.bool_]) -> NDArray[np.float32]:
    return np.where(here[..., None], orientation, np.array([1, 0, 0, 0], np.float32))


def _mean(values: NDArray[np.floating] | NDArray[np.bool_]) -> float:
    return float(np.mean(values, dtype=np.float64)) if values.size else math.nan
