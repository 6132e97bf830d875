"""Figures of merit against cases whose answer is known by counting."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import pytest
from numpy.typing import NDArray

from grainloop.evaluate.figures_of_merit import FiguresOfMerit, error_map_deg, figures_of_merit
from grainloop.model.crystal import multiply, quaternion_from_axis_angle, score_map
from grainloop.model.maps import OrientationMap
from tests.grainloop.small_maps import chessboard, two_phases, with_hole

NONE = np.zeros((48, 60), np.bool_)


@dataclass(frozen=True)
class Told:
    """What a method says."""

    orientation: NDArray[np.float32]
    phase_id: NDArray[np.uint8]
    p_wrong: NDArray[np.float32]
    expected_error_deg: NDArray[np.float32]
    bound90_deg: NDArray[np.float32]


def told(truth: OrientationMap, p_wrong: float = 0.1) -> Told:
    """The truth, claimed to be wrong by 1° and at most by 3°."""
    flat = np.ones(truth.shape_px, np.float32)
    return Told(truth.orientation.copy(), np.maximum(truth.phase_id, 1), p_wrong * flat, 1 * flat, 3 * flat)


def turned(one: Told, where: tuple[slice, slice], angle_deg: float) -> Told:
    """The same turned by an angle in some pixels, with more doubt there."""
    turn = quaternion_from_axis_angle(np.array([0.6, 0.0, 0.8]), np.array(np.deg2rad(angle_deg)))
    orientation, doubt = one.orientation.copy(), one.p_wrong.copy()
    orientation[where] = multiply(orientation[where].astype(np.float64), turn)
    doubt[where] += 0.2
    return replace(one, orientation=orientation, p_wrong=doubt)


def test_the_truth_itself() -> None:
    merit = figures_of_merit(told(chessboard()), chessboard(), NONE)
    assert merit.error_mean_deg == pytest.approx(0, abs=0.01)
    assert (merit.error_over_5deg, merit.boundary_f1, merit.coverage90) == (0, 1, 1)
    assert math.isnan(merit.auroc)
    assert merit.predicted_over_5deg == pytest.approx(0.1)
    assert merit.expected_error_deg == pytest.approx(1)
    assert merit.to_json()["auroc"] is None


def test_shares_are_counted() -> None:
    truth = chessboard()
    wrong = turned(told(truth), (slice(0, 12), slice(0, 12)), 10)  # one grain of twenty
    slight = turned(wrong, (slice(12, 24), slice(0, 12)), 4)  # beyond the bound, not wrong
    measured = NONE.copy()
    measured[24:] = True
    merit = figures_of_merit(slight, truth, measured)
    assert merit.error_over_5deg == pytest.approx(0.05)
    assert merit.error_mean_deg == pytest.approx(0.05 * 14, rel=1e-2)
    assert merit.coverage90 == pytest.approx(0.9)
    assert merit.coverage90_inferred == pytest.approx(0.8)
    assert merit.predicted_over_5deg == pytest.approx(0.1 + 0.1 * 0.2)
    assert merit.auroc == pytest.approx(1 - 0.5 * 0.05 / 0.95, abs=1e-3)  # tied with as many right pixels
    assert merit.ause_deg > 0


def test_of_one_phase_it_is_the_score_of_a_map() -> None:
    truth = with_hole(chessboard(), slice(5, 20), slice(3, 30))
    one = turned(told(truth), (slice(0, 40), slice(20, 33)), 25)
    merit, score = (
        figures_of_merit(one, truth, NONE),
        score_map(one.orientation, truth.orientation, "6/mmm", truth.indexed),
    )
    for name in ("error_mean_deg", "error_over_5deg", "boundary_f1"):
        assert getattr(merit, name) == pytest.approx(getattr(score, name), abs=1e-6)
    assert merit.boundary_f1 < 1


def test_another_phase_is_wrong_without_a_disorientation() -> None:
    truth = two_phases()
    one = told(truth)
    phase_id = one.phase_id.copy()
    phase_id[:12, :12] = 2
    other = replace(one, phase_id=phase_id)
    error = error_map_deg(other.orientation, other.phase_id, truth)
    assert (error[:12, :12] == 180).all()
    assert error[:12, 12:].max() < 0.05
    merit = figures_of_merit(other, truth, NONE)
    assert merit.error_over_5deg == pytest.approx(0.05)
    assert merit.coverage90 == pytest.approx(0.95)
    assert merit.error_mean_deg < 0.01
    everywhere = replace(one, phase_id=(3 - truth.phase_id).astype(np.uint8))
    assert math.isnan(figures_of_merit(everywhere, truth, NONE).error_mean_deg)


def test_a_change_of_phase_is_a_boundary() -> None:
    truth = two_phases()
    alike = np.broadcast_to(truth.orientation[:1, :1], truth.orientation.shape).copy()
    truth = replace(truth, orientation=alike)
    assert figures_of_merit(told(truth), truth, NONE).boundary_f1 == 1
    flat = replace(told(truth), phase_id=np.ones(truth.shape_px, np.uint8))
    assert figures_of_merit(flat, truth, NONE).boundary_f1 == 0


def test_nothing_inferred_has_no_coverage() -> None:
    merit: FiguresOfMerit = figures_of_merit(told(chessboard()), chessboard(), ~NONE)
    assert math.isnan(merit.coverage90_inferred)
