"""The Euler frame is found from PL among eight, or is told to be ambiguous."""

import numpy as np
import pytest

from grainloop.model.crystal import (
    CANDIDATE_FRAMES,
    AmbiguousFrame,
    Refusal,
    ShapeMismatch,
    azimuth_features,
    c_axis,
    check_frame,
    multiply,
    quaternion_from_axis_angle,
    random_quaternions,
)
from grainloop.model.crystal.frame_check import distinguishable_rows


def observe(c, frame, rng, noise=0.1, gain=(0.5, 0.08)):
    """PL features seen in `frame`: each harmonic with its own gain, an offset, noise in proportion."""
    exact = azimuth_features(c_axis(frame.turn(c)))
    scale = np.repeat(gain, 2)
    return exact * scale + [0.1, -0.05, 0.02, 0] + noise * scale * rng.standard_normal(exact.shape)


def predict_from(q):
    return lambda frame: azimuth_features(c_axis(q), frame)


@pytest.mark.parametrize("frame", CANDIDATE_FRAMES, ids=lambda frame: frame.name)
def test_features_of_a_frame_are_those_of_the_turned_crystal(frame, rng):
    q = random_quaternions(200, rng)
    assert np.allclose(azimuth_features(c_axis(q), frame), azimuth_features(c_axis(frame.turn(q))), atol=1e-12)


@pytest.mark.parametrize("frame", CANDIDATE_FRAMES, ids=lambda frame: frame.name)
def test_the_true_frame_is_found_among_eight(frame, rng):
    q = random_quaternions(60, rng)
    seen = observe(q, frame, rng, noise=0.3)
    seen[:6] = rng.standard_normal((6, 4))  # dust and mis-indexed points
    check = check_frame(predict_from(q), seen)
    assert check.best == frame
    assert check.margin > check.required_margin
    assert check.explained[CANDIDATE_FRAMES.index(frame)] == max(check.explained)
    assert check.points == 60


def test_without_the_second_harmonic_a_quarter_turn_is_ambiguous(rng):
    q = random_quaternions(500, rng)
    seen = observe(q, CANDIDATE_FRAMES[0], rng)
    seen[:, 2:] = rng.standard_normal((500, 2))
    with pytest.raises(AmbiguousFrame, match="φ \\+ 90°") as refused:
        check_frame(predict_from(q), seen)
    assert refused.value.reason is Refusal.CLOSE
    assert {refused.value.check.best.turn_deg, refused.value.check.runner_up.turn_deg} == {0.0, 90.0}


def test_without_the_second_harmonic_fewer_candidates_can_be_told_apart(rng):
    q = random_quaternions(500, rng)
    seen = observe(q, CANDIDATE_FRAMES[5], rng)[:, :2]
    four = [frame for frame in CANDIDATE_FRAMES if frame.turn_deg < 90]
    check = check_frame(
        lambda frame: azimuth_features(c_axis(q), frame)[:, :2], seen, harmonics=[(0, 1)], candidates=four
    )
    assert check.best == CANDIDATE_FRAMES[5]


def test_one_grain_measured_many_times_decides_nothing(rng):
    one = random_quaternions(1, rng)
    axes = rng.standard_normal((300, 3))
    q = multiply(quaternion_from_axis_angle(axes, np.full(300, np.radians(0.5))), one)
    with pytest.raises(AmbiguousFrame) as refused:
        check_frame(predict_from(q), observe(q, CANDIDATE_FRAMES[0], rng, noise=0.2))
    assert refused.value.reason in {Refusal.CLOSE, Refusal.UNEXPLAINED}


def test_a_basal_section_has_no_contrast_to_decide_with(rng):
    q = np.tile([1.0, 0, 0, 0], (100, 1))
    with pytest.raises(AmbiguousFrame) as refused:
        check_frame(predict_from(q), rng.standard_normal((100, 4)))
    assert refused.value.reason is Refusal.NO_CONTRAST


@pytest.mark.parametrize("seed", range(20))
def test_light_that_says_nothing_is_never_taken_for_a_frame(seed):
    rng = np.random.default_rng(seed)
    q = random_quaternions(int(rng.integers(12, 400)), rng)
    with pytest.raises(AmbiguousFrame) as refused:
        check_frame(predict_from(q), rng.standard_normal((len(q), 4)))
    assert refused.value.reason in {Refusal.UNEXPLAINED, Refusal.CLOSE}
    assert refused.value.check.points == len(q)


def test_a_constant_image_is_refused(rng):
    q = random_quaternions(100, rng)
    with pytest.raises(AmbiguousFrame) as refused:
        check_frame(predict_from(q), np.ones((100, 4)))
    assert refused.value.reason is Refusal.NO_CONTRAST


def test_too_few_usable_points_are_refused(rng):
    q = random_quaternions(40, rng)
    seen = observe(q, CANDIDATE_FRAMES[0], rng)
    seen[11:] = np.nan
    with pytest.raises(AmbiguousFrame, match="11 usable") as refused:
        check_frame(predict_from(q), seen)
    assert refused.value.reason is Refusal.TOO_FEW_POINTS
    assert refused.value.check is None


def test_a_mirrored_gain_is_not_allowed_to_stand_for_a_turn(rng):
    """−C4, −S4 is a turn by 45°, which a free sign of the gain would hide."""
    q = random_quaternions(300, rng)
    seen = observe(q, CANDIDATE_FRAMES[1], rng)
    check = check_frame(predict_from(q), seen)
    assert check.best == CANDIDATE_FRAMES[1]
    assert check.explained[0] < 0.3


def test_shapes_must_agree(rng):
    q = random_quaternions(40, rng)
    with pytest.raises(ShapeMismatch):
        check_frame(predict_from(q), np.zeros((39, 4)))


def test_independent_points_are_counted_by_grain(rng):
    c = c_axis(random_quaternions(8, rng))
    features = azimuth_features(c)
    many = np.repeat(features, 50, axis=0) + 1e-3 * rng.standard_normal((400, 4))
    assert 8 <= distinguishable_rows(many) <= 16
    assert distinguishable_rows(np.ones((10, 4))) == 1
