"""Quaternions and Euler angles against closed forms and orix."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from orix.quaternion import Orientation

from grainloop.model.crystal import (
    BadOrientation,
    ShapeMismatch,
    azimuth_deg,
    c_axis,
    check_orientations,
    conjugate,
    euler_from_quaternion,
    matrix_from_quaternion,
    multiply,
    normalise,
    quaternion_from_axis_angle,
    quaternion_from_euler,
    random_quaternions,
    rotate_vectors,
    tilt_deg,
)

angle = st.floats(-7, 7)


def about_z(a):
    return np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])


def about_x(a):
    return np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])


def same_rotation(a, b):
    return np.abs(np.sum(a * b, axis=-1))


@given(angle, angle, angle)
def test_bunge_angles_are_the_product_of_three_turns(phi1, tilt, phi2):
    q = quaternion_from_euler([phi1, tilt, phi2])
    assert np.allclose(matrix_from_quaternion(q), about_z(phi1) @ about_x(tilt) @ about_z(phi2), atol=1e-12)
    expected = (np.sin(tilt) * np.sin(phi1), -np.sin(tilt) * np.cos(phi1), np.cos(tilt))
    assert np.allclose(c_axis(q), expected, atol=1e-12)


@given(angle, angle, angle)
def test_euler_angles_come_back_as_the_same_rotation_in_range(phi1, tilt, phi2):
    q = quaternion_from_euler([phi1, tilt, phi2])
    back = euler_from_quaternion(q)
    assert same_rotation(quaternion_from_euler(back), q) == pytest.approx(1, abs=1e-12)
    assert 0 <= back[0] < 2 * np.pi
    assert 0 <= back[1] <= np.pi
    assert 0 <= back[2] < 2 * np.pi


@pytest.mark.parametrize("tilt", [0.0, np.pi])
def test_euler_angles_at_the_poles_put_everything_into_phi1(tilt):
    q = quaternion_from_euler([[0.3, tilt, 0.5], [6.0, tilt, 6.0]])
    back = euler_from_quaternion(q)
    assert np.array_equal(back[:, 2], [0, 0])
    assert np.allclose(same_rotation(quaternion_from_euler(back), q), 1, atol=1e-12)


def test_orix_holds_the_inverse_rotation(rng):
    euler = rng.uniform(0, [2 * np.pi, np.pi, 2 * np.pi], (500, 3))
    passive = Orientation.from_euler(euler)
    assert np.allclose(same_rotation(passive.data, conjugate(quaternion_from_euler(euler))), 1, atol=1e-12)
    assert np.allclose(same_rotation(passive.data, quaternion_from_euler(euler)).min(), 0, atol=0.05)
    # ... and of an orientation of ours orix makes the Euler angles that we make.
    q = random_quaternions(500, rng)
    assert np.allclose(Orientation(conjugate(q)).to_euler(), euler_from_quaternion(q), atol=1e-9)


def test_product_is_the_right_turn_first(rng):
    a, b = random_quaternions(200, rng), random_quaternions(200, rng)
    v = rng.standard_normal((200, 3))
    assert np.allclose(rotate_vectors(multiply(a, b), v), rotate_vectors(a, rotate_vectors(b, v)), atol=1e-12)
    assert np.allclose(rotate_vectors(a, v), np.einsum("nij,nj->ni", matrix_from_quaternion(a), v), atol=1e-12)
    assert np.allclose(multiply(a, conjugate(a)), [1, 0, 0, 0], atol=1e-12)


def test_axis_angle_turns_by_the_right_hand():
    q = quaternion_from_axis_angle([0, 0, 5], np.pi / 2)
    assert np.allclose(rotate_vectors(q, [1, 0, 0]), [0, 1, 0])
    many = quaternion_from_axis_angle([[1, 0, 0], [0, 1, 0]], [[0.1], [0.2], [0.3]])
    assert many.shape == (3, 2, 4)


@pytest.mark.parametrize(
    ("c", "tilt", "azimuth"),
    [([0, 0, 1], 0, 0), ([0, 0, -1], 0, 0), ([1, 1, 0], 90, 45), ([-1, -1, 0], 90, 45), ([-1, 0, 1], 45, 0)],
)
def test_tilt_and_azimuth_take_the_c_axis_as_a_line(c, tilt, azimuth):
    unit = np.array(c) / np.linalg.norm(c)
    half = np.array([1 + unit[2], -unit[1], unit[0], 0]) if unit[2] > -1 else np.array([0.0, 1, 0, 0])
    q = normalise(half)
    assert np.allclose(c_axis(q), unit, atol=1e-12)
    assert tilt_deg(q) == pytest.approx(tilt, abs=1e-9)
    assert (azimuth_deg(q) - azimuth + 90) % 180 - 90 == pytest.approx(0, abs=1e-9)
    assert 0 <= azimuth_deg(q) < 180


def test_random_rotations_are_uniform():
    q = random_quaternions(40_000, np.random.default_rng(5))
    # Uniform on SO(3): the angle has density (1 − cos ω)/π, so its mean is π/2 + 2/π; the c-axis has a uniform z.
    angle_of_turn = 2 * np.arccos(np.abs(q[:, 0]))
    assert angle_of_turn.mean() == pytest.approx(np.pi / 2 + 2 / np.pi, abs=0.01)
    assert np.histogram(c_axis(q)[:, 2], bins=10, range=(-1, 1))[0] == pytest.approx(4000, abs=300)


def test_float32_stays_float32(rng):
    q = random_quaternions(10, rng).astype(np.float32)
    v = rng.standard_normal((10, 3)).astype(np.float32)
    results = [multiply(q, q), conjugate(q), rotate_vectors(q, v), c_axis(q), tilt_deg(q), azimuth_deg(q)]
    results += [normalise(q), euler_from_quaternion(q), quaternion_from_euler(v), matrix_from_quaternion(q)]
    assert {result.dtype for result in results} == {np.dtype(np.float32)}


@pytest.mark.parametrize(
    "bad", [[np.nan, 0, 0, 0], [np.inf, 0, 0, 0], [0, 0, 0, 0], [1.002, 0, 0, 0], [0.998, 0, 0, 0]]
)
def test_a_bad_quaternion_is_named_with_its_place(bad):
    q = np.tile([1.0, 0, 0, 0], (3, 5, 1))
    q[2, 4] = bad
    with pytest.raises(BadOrientation, match=r"1 quaternions .* \(2, 4\)"):
        check_orientations(q)


def test_rounding_of_files_is_no_bad_orientation():
    assert check_orientations([1.0009, 0, 0, 0]).shape == (4,)
    assert check_orientations(np.empty((0, 4))).shape == (0, 4)


def test_a_quaternion_without_direction_cannot_be_normalised():
    with pytest.raises(BadOrientation):
        normalise([[1, 0, 0, 0], [0, 0, 0, 0]])


@pytest.mark.parametrize("shape", [(3,), (4, 3), ()])
def test_wrong_shapes_are_refused(shape):
    with pytest.raises(ShapeMismatch):
        check_orientations(np.zeros(shape))
    with pytest.raises(ShapeMismatch):
        quaternion_from_euler(np.zeros((2, 2)))
