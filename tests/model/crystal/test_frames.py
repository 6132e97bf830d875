"""Euler frames of vendors: their names, turns and ways back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grainloop.model.crystal import (
    CANDIDATE_FRAMES,
    FRAME_PRESETS,
    AzimuthFrame,
    UnknownFrame,
    azimuth_deg,
    c_axis,
    convert_hexagonal_axis,
    disorientation_deg,
    euler_from_quaternion,
    matrix_from_quaternion,
    multiply,
    presets_that_fit,
    random_quaternions,
    rotate_vectors,
    tilt_deg,
    to_euler_frame,
    to_map_frame,
)
from grainloop.model.crystal.frames import azimuth_effect, euler_to_map_rotation
from grainloop.protocols.values import FramePreset, HexagonalAxis

AXES = {"edax-1": (1, 1, 0), "edax-2": (1, -1, 0), "edax-3": (1, 0, 0), "edax-4": (0, 1, 0)}
AXES |= {"oxford": (1, 0, 0), "bruker": (1, 0, 0)}
candidates = st.sampled_from(CANDIDATE_FRAMES)


def apart(a, b):
    """Difference of two line directions in degrees."""
    return np.abs((np.asarray(a) - b + 90) % 180 - 90)


def test_names_are_those_of_the_messages():
    assert set(FRAME_PRESETS) == {preset.value for preset in FramePreset}
    for axis in HexagonalAxis:
        assert np.array_equal(convert_hexagonal_axis([1, 0, 0, 0], axis.value, axis.value), [1, 0, 0, 0])


@pytest.mark.parametrize("preset", FRAME_PRESETS)
def test_presets_are_half_turns_about_their_axes(preset):
    matrix = matrix_from_quaternion(euler_to_map_rotation(preset))
    if preset == "identity":
        assert np.array_equal(matrix, np.eye(3))
        return
    axis = np.array(AXES[preset]) / np.linalg.norm(AXES[preset])
    assert np.allclose(matrix, 2 * np.outer(axis, axis) - np.eye(3), atol=1e-12)


@pytest.mark.parametrize("preset", FRAME_PRESETS)
def test_conversion_turns_the_crystal_and_comes_back(preset, rng):
    q = random_quaternions(50, rng).astype(np.float32)
    mapped = to_map_frame(q, preset)
    assert mapped.dtype == np.float32
    assert np.allclose(c_axis(mapped), rotate_vectors(euler_to_map_rotation(preset), c_axis(q)), atol=1e-6)
    assert disorientation_deg(to_euler_frame(mapped, preset), q, "-1").max() < 1e-3
    assert np.allclose(tilt_deg(mapped), tilt_deg(q), atol=1e-3)


def test_edax_and_oxford_are_a_quarter_turn_apart():
    relative = multiply(euler_to_map_rotation("oxford"), to_euler_frame([1, 0, 0, 0], "edax-2"))
    assert np.allclose(matrix_from_quaternion(relative)[:, 2], [0, 0, 1], atol=1e-12)
    assert disorientation_deg(relative, [1, 0, 0, 0], "-1") == pytest.approx(90)


def test_unknown_names_are_refused():
    with pytest.raises(UnknownFrame, match="edax-5"):
        to_map_frame([1, 0, 0, 0], "edax-5")
    with pytest.raises(UnknownFrame, match="'b'"):
        convert_hexagonal_axis([1, 0, 0, 0], "a", "b")


def test_a_star_adds_thirty_degrees_to_phi2(rng):
    q = random_quaternions(100, rng)
    star = convert_hexagonal_axis(q, "a", "a*")
    before, after = euler_from_quaternion(q), euler_from_quaternion(star)
    assert np.allclose(after[:, :2], before[:, :2], atol=1e-9)
    assert np.allclose((np.degrees(after[:, 2] - before[:, 2]) + 1) % 360 - 1, 30, atol=1e-6)
    assert disorientation_deg(convert_hexagonal_axis(star, "a*", "a"), q, "-1").max() < 1e-5
    # The same crystal: its direction [10-10], at 30° from x when x is a, is x when x is a*.
    direction = rotate_vectors(q, [np.cos(np.pi / 6), np.sin(np.pi / 6), 0])
    assert np.allclose(rotate_vectors(star, [1, 0, 0]), direction, atol=1e-12)


def test_the_hexagonal_axis_hides_in_6mmm_and_shows_in_3m(rng):
    a, b = random_quaternions(300, rng), random_quaternions(300, rng)
    star_a, star_b = (convert_hexagonal_axis(q, "a", "a*") for q in (a, b))
    assert np.allclose(disorientation_deg(star_a, star_b, "6/mmm"), disorientation_deg(a, b, "6/mmm"), atol=1e-6)
    assert np.abs(disorientation_deg(star_a, star_b, "-3m") - disorientation_deg(a, b, "-3m")).max() > 10


@given(candidates, candidates, st.integers(0, 1000))
def test_azimuth_frames_act_as_rotations_do_and_compose(first, second, seed):
    q = random_quaternions(1, np.random.default_rng(seed))
    phi = azimuth_deg(q)
    assert apart(azimuth_deg(first.turn(q)), (-phi if first.mirror else phi) + first.turn_deg) < 1e-6
    assert np.allclose(tilt_deg(first.turn(q)), tilt_deg(q), atol=1e-6)
    both = second.after(first)
    assert both in CANDIDATE_FRAMES
    assert apart(azimuth_deg(both.turn(q)), azimuth_deg(second.turn(first.turn(q)))) < 1e-6


def test_there_are_eight_different_candidates():
    q = random_quaternions(50, np.random.default_rng(1))
    seen = np.stack([azimuth_deg(frame.turn(q)) for frame in CANDIDATE_FRAMES])
    for i in range(8):
        for j in range(i):
            assert apart(seen[i], seen[j]).max() > 10
    assert len({frame.name for frame in CANDIDATE_FRAMES}) == 8


@pytest.mark.parametrize("preset", FRAME_PRESETS)
def test_the_azimuth_effect_of_a_preset_is_what_it_does(preset, rng):
    q = random_quaternions(50, rng)
    assert apart(azimuth_deg(to_map_frame(q, preset)), azimuth_deg(azimuth_effect(preset).turn(q))).max() < 1e-6


def test_a_wrong_preset_is_traced_to_those_that_fit():
    identity = AzimuthFrame(False, 0.0)
    assert presets_that_fit("identity", identity) == ("identity",)
    assert presets_that_fit("oxford", identity) == ("edax-3", "edax-4", "oxford", "bruker")
    assert presets_that_fit("oxford", AzimuthFrame(False, 90.0)) == ("edax-1", "edax-2")
    assert presets_that_fit("identity", AzimuthFrame(True, 90.0)) == ("edax-1", "edax-2")
    assert presets_that_fit("identity", AzimuthFrame(False, 45.0)) == ()
