"""Disorientation against orix, and as a metric."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from orix.quaternion import Orientation
from orix.quaternion import symmetry as orix_symmetry

from grainloop.model.crystal import (
    LAUE_GROUP_NAMES,
    BadOrientation,
    ShapeMismatch,
    UnknownPointGroup,
    UnsupportedSymmetry,
    c_axis,
    c_axis_error_deg,
    conjugate,
    disorientation_deg,
    disorientation_of_pairs_deg,
    laue_group,
    multiply,
    quaternion_from_axis_angle,
    random_quaternions,
    reduce_to_fundamental_zone,
    rotation_about_c_error_deg,
)
from grainloop.model.crystal.disorientation import BLOCK

ORIX = {
    "-1": orix_symmetry.Ci,
    "2/m": orix_symmetry.C2h,
    "mmm": orix_symmetry.D2h,
    "4/m": orix_symmetry.C4h,
    "4/mmm": orix_symmetry.D4h,
    "-3": orix_symmetry.S6,
    "-3m": orix_symmetry.D3d,
    "6/m": orix_symmetry.C6h,
    "6/mmm": orix_symmetry.D6h,
    "m-3": orix_symmetry.Th,
    "m-3m": orix_symmetry.Oh,
}
# Largest possible disorientation, Morawiec, Orientations and Rotations (2004), table 6.1; for C3 and T orix agrees.
LARGEST = {"6/mmm": 93.84, "m-3m": 62.80, "4/mmm": 98.42, "mmm": 120.0, "-3m": 104.48, "m-3": 90.0}
seeds = st.integers(0, 2**32 - 1)
groups = st.sampled_from(LAUE_GROUP_NAMES)


def pairs(n, rng):
    """Random pairs and pairs that are close: 1e-6 ... 10 degrees apart."""
    a, b = random_quaternions(n, rng), random_quaternions(n, rng)
    near = quaternion_from_axis_angle(rng.standard_normal((n, 3)), np.radians(10.0 ** rng.uniform(-6, 1, n)))
    return np.concatenate([a, a]), np.concatenate([b, multiply(a, near)])


@pytest.mark.parametrize("name", LAUE_GROUP_NAMES)
def test_disorientation_agrees_with_orix(name, rng):
    a, b = pairs(1500, rng)
    symmetry = ORIX[name]
    theirs = Orientation(conjugate(a), symmetry).angle_with(Orientation(conjugate(b), symmetry), degrees=True)
    assert np.abs(disorientation_deg(a, b, name) - theirs).max() < 1e-5


@pytest.mark.parametrize("name", LARGEST)
def test_disorientation_reaches_and_respects_its_known_maximum(name, rng):
    found = disorientation_deg(random_quaternions(100_000, rng), [1, 0, 0, 0], name).max()
    assert LARGEST[name] - 4 < found < LARGEST[name] + 0.01


@settings(max_examples=60, deadline=None)
@given(seeds, groups)
def test_disorientation_is_a_metric_on_crystals(seed, name):
    rng = np.random.default_rng(seed)
    a, b, c, frame = (random_quaternions(1, rng) for _ in range(4))
    s = laue_group(name).operators
    there = disorientation_deg(a, b, name)
    assert np.abs(disorientation_deg(multiply(a, s), multiply(b, s[::-1]), name) - there).max() < 1e-6
    assert disorientation_deg(b, a, name) == pytest.approx(there, abs=1e-6)
    assert disorientation_deg(multiply(frame, a), multiply(frame, b), name) == pytest.approx(there, abs=1e-6)
    assert disorientation_deg(a, multiply(a, s), name).max() < 5e-6
    assert there <= disorientation_deg(a, c, name) + disorientation_deg(c, b, name) + 1e-6


@pytest.mark.parametrize("name", ["6/mmm", "m-3m", "-3m"])
def test_many_orientations_are_compared_as_few(name, rng):
    q = random_quaternions(BLOCK + 37, rng).astype(np.float32)
    whole = disorientation_deg(q, q[0], name)
    edge = slice(BLOCK - 5, None)
    assert np.array_equal(whole[:5], disorientation_deg(q[:5], q[0], name))
    assert np.abs(whole[edge] - disorientation_deg(q[edge], q[0], name)).max() < 1e-5
    others = rng.integers(len(q), size=(len(q), 2))
    of_pairs = disorientation_of_pairs_deg(q, others, name)
    assert of_pairs.dtype == np.float32
    assert np.array_equal(of_pairs, disorientation_deg(q[others[:, 0]], q[others[:, 1]], name))


@pytest.mark.parametrize("name", ["6/mmm", "m-3m", "4/mmm"])
@pytest.mark.parametrize("angle", [0.0, 0.01, 0.5, 5.0])
def test_float32_input_does_not_invent_degrees(name, angle, rng):
    a = random_quaternions(2000, rng)
    b = multiply(a, quaternion_from_axis_angle(rng.standard_normal((2000, 3)), np.full(2000, np.radians(angle))))
    found = disorientation_deg(a.astype(np.float32), b.astype(np.float32), name)
    assert found.dtype == np.float32
    assert np.abs(found - angle).max() < 2e-5  # rounding of the quaternions themselves


def test_disorientation_broadcasts(rng):
    a, b = random_quaternions(4, rng), random_quaternions(3, rng)
    table = disorientation_deg(a[:, None], b[None], "622")
    assert table.shape == (4, 3)
    assert table[2, 1] == disorientation_deg(a[2], b[1], "622")
    assert disorientation_deg(a[0], b[0], "622").shape == ()
    assert disorientation_deg(np.empty((0, 4)), b[0], "622").shape == (0,)


def test_bad_input_is_refused(rng):
    q = random_quaternions(3, rng)
    with pytest.raises(BadOrientation):
        disorientation_deg(q, 2 * q, "622")
    with pytest.raises(BadOrientation):
        reduce_to_fundamental_zone(np.full((2, 4), np.nan), "622")
    with pytest.raises(ShapeMismatch, match="do not broadcast"):
        disorientation_deg(q, random_quaternions(2, rng), "622")
    with pytest.raises(ShapeMismatch):
        disorientation_deg(q[:, :3], q, "622")
    with pytest.raises(UnknownPointGroup):
        disorientation_deg(q, q, "hcp")


@pytest.mark.parametrize("name", LAUE_GROUP_NAMES)
def test_the_fundamental_zone_is_nearest_to_the_identity(name, rng):
    q = random_quaternions(500, rng)
    reduced = reduce_to_fundamental_zone(q, name)
    assert disorientation_deg(q, reduced, name).max() < 5e-6
    angle = np.degrees(2 * np.arccos(np.clip(reduced[:, 0], 0, 1)))
    assert np.allclose(angle, disorientation_deg(q, [1, 0, 0, 0], name), atol=1e-6)
    assert np.allclose(reduce_to_fundamental_zone(reduced, name), reduced, atol=1e-12)
    orix_angle = Orientation(conjugate(q), ORIX[name]).reduce().angle
    assert np.allclose(np.degrees(orix_angle), angle, atol=1e-5)


def test_all_equivalents_reduce_to_the_same_rotation(rng):
    q = random_quaternions(200, rng)
    for name in ("6/mmm", "m-3m"):
        equivalents = multiply(q[:, None], laue_group(name).operators[None])
        reduced = reduce_to_fundamental_zone(equivalents, name)
        assert np.abs(reduced - reduced[:, :1]).max() < 1e-9


def test_c_axis_error_is_the_angle_between_lines(rng):
    q = random_quaternions(100, rng)
    flip = multiply(q, [0, 1, 0, 0])
    assert c_axis_error_deg(q, flip).max() < 1e-5
    tilted = multiply(q, quaternion_from_axis_angle([1.0, 0.4, 0], np.radians(20)))
    assert np.allclose(c_axis_error_deg(q, tilted), 20, atol=1e-9)
    assert np.allclose(c_axis(multiply(q, quaternion_from_axis_angle([0, 0, 1.0], 0.3))), c_axis(q), atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(seeds, st.floats(0, 29.9), st.floats(0, 44))
def test_an_error_splits_into_swing_and_twist(seed, twist, swing):
    rng = np.random.default_rng(seed)
    s = laue_group("622").operators
    q = random_quaternions(1, rng)
    in_plane = np.append(rng.standard_normal(2), 0)
    swung = quaternion_from_axis_angle(in_plane, np.radians(swing))
    twisted = quaternion_from_axis_angle([0, 0, 1.0], np.radians(twist))
    other = multiply(multiply(multiply(q, swung), twisted), s)
    assert np.allclose(c_axis_error_deg(q, other), swing, atol=1e-5)
    assert np.allclose(rotation_about_c_error_deg(q, other, "622"), twist, atol=1e-5)


def test_rotation_about_c_needs_a_unique_c():
    for name in ("m-3m", "6/m", "mmm"):
        with pytest.raises(UnsupportedSymmetry, match=name):
            rotation_about_c_error_deg([1, 0, 0, 0], [1, 0, 0, 0], name)
