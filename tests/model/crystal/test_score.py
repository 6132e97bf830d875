"""Scores of maps: perfect against themselves, blind to the description and to what is not indexed."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from grainloop.model.crystal import (
    BadOrientation,
    NothingToScore,
    ShapeMismatch,
    boundary_map,
    multiply,
    quaternion_from_axis_angle,
    random_quaternions,
    score_boundaries,
    score_map,
    split_boundaries,
)
from grainloop.model.crystal.score import distance_px


def two_grains(column, angle_deg=40, axis=(1, 0, 0), shape=(20, 30)):
    q = np.tile([1.0, 0, 0, 0], (*shape, 1))
    q[:, column:] = quaternion_from_axis_angle(np.array(axis, float), np.radians(angle_deg))
    return q


def test_a_map_scores_perfectly_against_itself_in_another_description(rng):
    q = random_quaternions(30, rng)[rng.integers(30, size=(12, 15))]
    score = score_map(multiply(q, [0, 1, 0, 0]), q, "6/mmm")
    assert score.error_mean_deg == pytest.approx(0, abs=1e-5)
    assert score.error_over_5deg == 0
    assert score.boundary_f1 == 1


@pytest.mark.parametrize(("shift", "f1"), [(0, 1), (1, 1), (2, 0)])
def test_a_boundary_may_be_one_pixel_off(shift, f1):
    score = score_map(two_grains(10 + shift), two_grains(10), "6/mmm")
    assert score.boundary_f1 == f1
    assert score.error_over_5deg == pytest.approx(shift / 30)
    assert score.error_mean_deg == pytest.approx(40 * shift / 30)


def test_not_indexed_pixels_count_nowhere():
    truth, estimate = two_grains(10), two_grains(10)
    estimate[3:6, 20:25] = quaternion_from_axis_angle([0, 1, 0], 0.7)
    truth[3:6, 20:25] = np.nan
    indexed = np.isfinite(truth[..., 0])
    score = score_map(estimate, truth, "6/mmm", indexed)
    assert (score.error_mean_deg, score.error_over_5deg, score.boundary_f1) == (0, 0, 1)
    with pytest.raises(BadOrientation):
        score_map(estimate, truth, "6/mmm")


def test_nothing_to_score_is_said():
    q = two_grains(10)
    with pytest.raises(NothingToScore, match="none of the 600 pixels"):
        score_map(q, q, "6/mmm", np.zeros((20, 30), bool))
    with pytest.raises(ShapeMismatch):
        score_map(q[:, :-1], q, "6/mmm")


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_distances_are_those_of_scipy(seed):
    rng = np.random.default_rng(seed)
    mask = rng.random(rng.integers(1, 25, 2)) < 0.05
    expected = ndimage.distance_transform_cdt(~mask, metric="chessboard")
    if not mask.any():
        expected = np.full(mask.shape, sum(mask.shape))
    assert np.array_equal(distance_px(mask), expected)


def test_precision_and_recall_are_counted_apart():
    truth, estimate = np.zeros((2, 9, 9), bool)
    truth[:, 2] = True
    estimate[:, [2, 6]] = True
    score = score_boundaries(estimate, truth, tolerance_px=0)
    assert (score.precision, score.recall, score.f1) == (0.5, 1, pytest.approx(2 / 3))
    assert score.mean_distance_px == pytest.approx((0 + 2) / 2)
    assert score_boundaries(estimate, truth, tolerance_px=4).f1 == 1
    shifted = np.roll(truth, 1, axis=1)
    assert score_boundaries(shifted, truth, tolerance_px=0).f1 == 0
    assert score_boundaries(shifted, truth, tolerance_px=1).f1 == 1


def test_maps_without_boundaries():
    none, some = np.zeros((5, 5), bool), np.eye(5, dtype=bool)
    assert score_boundaries(none, none).f1 == 1
    assert score_boundaries(none, none).mean_distance_px == 0
    assert score_boundaries(none, some).f1 == 0
    assert score_boundaries(some, none).f1 == 0
    assert math.isnan(score_boundaries(some, none).mean_distance_px)


def test_boundaries_split_by_what_light_can_see():
    q = two_grains(10, angle_deg=15, axis=(0, 0, 1))  # same c: blind
    q[10:, 20:] = quaternion_from_axis_angle([1, 0, 0], np.radians(30))
    visible, blind = split_boundaries(q, "6/mmm")
    assert np.array_equal(visible | blind, boundary_map(q, "6/mmm"))
    assert not (visible & blind).any()
    assert blind[:, 9].all()
    assert visible[10:, 19].all()
    assert visible[9, 20:].all()
    assert visible.sum() == 20
    assert score_boundaries(visible, blind).recall < 0.2


def test_pixels_that_hold_nothing_are_neither_seen_nor_blind():
    q = two_grains(10)
    valid = np.ones(q.shape[:2], bool)
    valid[:, 10] = False
    q[:, 10] = np.nan
    visible, blind = split_boundaries(q, "6/mmm", valid)
    assert not visible.any()
    assert not blind.any()
