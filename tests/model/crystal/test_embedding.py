"""The embedding of orientations: one for symmetric equivalents, undone by decoding, true to small angles."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grainloop.model.crystal import (
    LAUE_GROUP_NAMES,
    BadOrientation,
    ShapeMismatch,
    UnsupportedSymmetry,
    c_axis,
    chord_for_degrees,
    decode,
    degrees_per_chord,
    disorientation_deg,
    embed,
    embedding_of,
    laue_group,
    multiply,
    quaternion_from_axis_angle,
    random_quaternions,
)

GROUPS = ["6/mmm", "m-3m"]
seeds = st.integers(0, 2**32 - 1)
groups = st.sampled_from(GROUPS)


def turned(q, angle_deg, rng):
    """`q` turned by an angle about a random axis each."""
    axes = rng.standard_normal((*q.shape[:-1], 3))
    return multiply(q, quaternion_from_axis_angle(axes, np.full(q.shape[:-1], np.radians(angle_deg))))


def chords(e, other, group):
    return np.linalg.norm(e - other, axis=-1) * degrees_per_chord(group)


@settings(max_examples=60, deadline=None)
@given(seeds, groups)
def test_symmetric_equivalents_have_one_embedding(seed, group):
    q = random_quaternions(20, np.random.default_rng(seed))
    equivalents = multiply(q[:, None], laue_group(group).operators)
    assert np.abs(embed(equivalents, group) - embed(q, group)[:, None]).max() < 1e-12
    assert np.abs(embed(-q, group) - embed(q, group)).max() < 1e-12


@settings(max_examples=60, deadline=None)
@given(seeds, groups, st.sampled_from([np.float32, np.float64]))
def test_decoding_undoes_embedding(seed, group, dtype):
    q = random_quaternions(200, np.random.default_rng(seed)).astype(dtype)
    e = embed(q, group)
    back = decode(e, group)
    assert e.dtype == back.dtype == dtype
    assert disorientation_deg(back, q, group).max() < 1e-4


@pytest.mark.parametrize("group", GROUPS)
def test_decoding_works_on_the_special_orientations(group):
    operators = laue_group("m-3m").operators
    special = np.concatenate([operators, laue_group("6/mmm").operators, [[0, 0, 1, 0], [0, 1, 0, 0]]])
    assert disorientation_deg(decode(embed(special, group), group), special, group).max() < 1e-4


@pytest.mark.parametrize(
    ("group", "angle", "low", "high"),
    [
        ("6/mmm", 0.5, 0.49994, 0.5),
        ("6/mmm", 5, 4.94, 4.995),
        ("6/mmm", 10, 9.54, 9.95),
        ("6/mmm", 20, 16.5, 19.6),
        ("m-3m", 0.5, 0.49997, 0.5),
        ("m-3m", 5, 4.97, 4.99),
        ("m-3m", 10, 9.79, 9.89),
        ("m-3m", 20, 18.4, 19.1),
    ],
)
def test_small_chords_are_angles(group, angle, low, high, rng):
    q = random_quaternions(50_000, rng)
    found = chords(embed(q, group), embed(turned(q, angle, rng), group), group)
    assert low <= found.min()
    assert found.max() <= high


@settings(max_examples=40, deadline=None)
@given(seeds, groups)
def test_turning_the_sample_turns_the_embedding_rigidly(seed, group):
    rng = np.random.default_rng(seed)
    a, b, frame = random_quaternions(20, rng), random_quaternions(20, rng), random_quaternions(1, rng)
    assert np.allclose(
        np.sum(embed(a, group) * embed(b, group), axis=-1),
        np.sum(embed(multiply(frame, a), group) * embed(multiply(frame, b), group), axis=-1),
        atol=1e-11,
    )
    start = 0
    for size in embedding_of(group).blocks:
        block = embed(a, group)[:, start : start + size]
        assert np.ptp(np.linalg.norm(block, axis=1)) < 1e-12
        start += size
    assert start == embedding_of(group).channels


def test_orientations_that_differ_stay_apart(rng):
    for group in GROUPS:
        a, b = random_quaternions(50_000, rng), random_quaternions(50_000, rng)
        angle = disorientation_deg(a, b, group)
        chord = chords(embed(a, group), embed(b, group), group)
        assert (chord / np.maximum(angle, 1e-9)).min() > 0.3
        assert (chord <= angle * (1 + 1e-9)).all()


def test_the_first_block_holds_the_c_axis_as_polarized_light_sees_it(rng):
    q = random_quaternions(100, rng)
    e, c = embed(q, "6/mmm"), c_axis(q)
    weight = np.sqrt(54 * 11 / 36)
    azimuthal = 2 / np.sqrt(3) * (e[:, 4] + 1j * e[:, 0]) / weight
    assert np.allclose(azimuthal, (c[:, 0] + 1j * c[:, 1]) ** 2, atol=1e-12)
    assert np.allclose(e[:, 2] / weight, (3 * c[:, 2] ** 2 - 1) / 2, atol=1e-12)


def test_a_turn_about_c_moves_the_second_block_only(rng):
    q = random_quaternions(100, rng)
    about_c = multiply(q, quaternion_from_axis_angle([0, 0, 1.0], np.radians(30)))
    difference = embed(about_c, "6/mmm") - embed(q, "6/mmm")
    assert np.abs(difference[:, :5]).max() < 1e-12
    assert np.allclose(embed(about_c, "6/mmm")[:, 5:], -embed(q, "6/mmm")[:, 5:], atol=1e-12)


@pytest.mark.parametrize("group", GROUPS)
def test_a_random_orientation_has_unit_mean_square_per_channel(group, rng):
    e = embed(random_quaternions(100, rng), group)
    assert np.allclose(np.sum(e**2, axis=1), embedding_of(group).channels, atol=1e-12)
    assert np.abs(embed(random_quaternions(100_000, rng), group).mean(axis=0)).max() < 0.03


def test_scales_are_those_of_the_documentation():
    assert chord_for_degrees(1, "6/mmm") == pytest.approx(0.1283, abs=5e-5)
    assert chord_for_degrees(1, "m-3m") == pytest.approx(0.1352, abs=5e-5)
    for group in GROUPS:
        assert chord_for_degrees([2.0, 4.0], group) * degrees_per_chord(group) == pytest.approx([2, 4])


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("sigma_deg", [0.5, 2.0])
def test_noise_in_the_embedding_decodes_to_as_much_noise_as_it_must(group, sigma_deg, rng):
    """Each of three directions in orientation space gets σ of noise, so the rms disorientation is √3 σ at best."""
    q = random_quaternions(20_000, rng)
    noise = chord_for_degrees(sigma_deg, group) * rng.standard_normal((len(q), embedding_of(group).channels))
    noisy = embed(q, group) + noise
    error = disorientation_deg(decode(noisy, group), q, group)
    best = np.sqrt(3) * sigma_deg
    assert best * 0.95 < np.sqrt(np.mean(error**2)) < best * 1.1


@pytest.mark.parametrize("group", GROUPS)
def test_decoding_ignores_length_and_survives_nothing(group, rng):
    q = random_quaternions(50, rng)
    for factor in (1e-6, 0.1, 100.0):
        assert disorientation_deg(decode(factor * embed(q, group), group), q, group).max() < 1e-4
    junk = np.concatenate([np.zeros((1, embedding_of(group).channels)), np.eye(embedding_of(group).channels)])
    junk = np.concatenate([junk, -junk, rng.standard_normal((2000, junk.shape[1]))])
    assert np.allclose(np.linalg.norm(decode(junk, group), axis=1), 1, atol=1e-9)


def test_shapes_are_kept(rng):
    q = random_quaternions(12, rng).reshape(2, 3, 2, 4)
    assert embed(q, "622").shape == (2, 3, 2, 18)
    assert decode(embed(q, "432"), "432").shape == q.shape
    assert embed(q[0, 0, 0], "432").shape == (9,)
    assert embed(np.empty((0, 4)), "622").shape == (0, 18)
    strided = q[:, ::2]
    assert np.array_equal(embed(strided, "622"), embed(strided.copy(), "622"))


def test_groups_without_an_embedding_are_named():
    for name in set(LAUE_GROUP_NAMES) - set(GROUPS):
        with pytest.raises(UnsupportedSymmetry, match=name):
            embed([1, 0, 0, 0], name)


def test_bad_input_is_refused():
    with pytest.raises(BadOrientation):
        embed([1, 1, 0, 0], "622")
    with pytest.raises(BadOrientation, match="NaN"):
        decode(np.full((3, 18), np.nan), "622")
    with pytest.raises(ShapeMismatch):
        decode(np.zeros((3, 9)), "622")
