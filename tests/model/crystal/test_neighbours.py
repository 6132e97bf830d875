"""Disorientation of neighbours, boundaries and grains, against pairs and by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from grainloop.model.crystal import (
    BadOrientation,
    ShapeMismatch,
    boundaries_between,
    boundary_map,
    disorientation_deg,
    laue_group,
    multiply,
    neighbour_disorientation_deg,
    quaternion_from_axis_angle,
    random_quaternions,
    segment_grains,
)


def grain_map(labels, rng, name="6/mmm", noise_deg=0.5):
    """A map with one random orientation per label, another symmetric equivalent in each pixel, and noise."""
    q = random_quaternions(labels.max() + 1, rng)[labels]
    operators = laue_group(name).operators
    q = multiply(q, operators[rng.integers(len(operators), size=labels.shape)])
    noise = quaternion_from_axis_angle(
        rng.standard_normal((*labels.shape, 3)), np.radians(noise_deg) * rng.random(labels.shape)
    )
    return multiply(noise, q).astype(np.float32)


def voronoi(shape, n, rng):
    sites = rng.uniform(0, shape, (n, 2))
    grid = np.stack(np.indices(shape), axis=-1)
    return np.argmin(((grid[:, :, None] - sites) ** 2).sum(axis=-1), axis=-1)


@pytest.mark.parametrize("name", ["6/mmm", "m-3m", "-3m", "-1"])
@pytest.mark.parametrize("shape", [(17, 23), (1, 9), (9, 1), (1, 1)])
def test_neighbours_agree_with_pairs(name, shape, rng):
    q = random_quaternions(shape[0] * shape[1], rng).reshape(*shape, 4).astype(np.float32)
    right, down = neighbour_disorientation_deg(q, name)
    assert right.dtype == np.float32
    assert np.array_equal(right, disorientation_deg(q[:, :-1], q[:, 1:], name))
    assert np.array_equal(down, disorientation_deg(q[:-1], q[1:], name))


def test_a_boundary_belongs_to_the_left_and_upper_pixel():
    q = np.tile([1.0, 0, 0, 0], (4, 5, 1))
    q[1:3, 2:4] = quaternion_from_axis_angle([1, 0, 0], np.radians(20))
    expected = np.array([[0, 0, 1, 1, 0], [0, 1, 0, 1, 0], [0, 1, 1, 1, 0], [0, 0, 0, 0, 0]], bool)
    assert np.array_equal(boundary_map(q, "6/mmm"), expected)
    assert not boundary_map(q, "6/mmm", threshold_deg=21).any()


def test_invalid_pixels_make_no_boundary_and_may_hold_anything(rng):
    q = grain_map(np.zeros((6, 7), int), rng)
    valid = np.ones((6, 7), bool)
    valid[2, 3] = valid[5, 6] = False
    q[2, 3], q[5, 6] = np.nan, [0, 1, 0, 0]
    assert not boundary_map(q, "6/mmm", valid=valid).any()
    labels = segment_grains(q, "6/mmm", valid=valid)
    assert np.array_equal(labels, valid.astype(int))
    with pytest.raises(BadOrientation, match=r"\(2, 3\)"):
        boundary_map(q, "6/mmm")


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.sampled_from(["6/mmm", "m-3m"]))
def test_grains_are_the_components_that_boundaries_leave(seed, n, name):
    rng = np.random.default_rng(seed)
    shape = (int(rng.integers(1, 30)), int(rng.integers(1, 30)))
    q = grain_map(voronoi(shape, n, rng), rng, name)
    valid = rng.random(shape) > 0.2
    labels = segment_grains(q, name, valid=valid)
    assert np.array_equal(labels, components(q, name, valid))


def components(q, name, valid):
    """The same by another way: pixels and the gaps between them as one image of twice the size, labelled by scipy."""
    h, w = valid.shape
    right, down = boundaries_between(q, name, 5, valid)
    image = np.zeros((2 * h - 1, 2 * w - 1), bool)
    image[::2, ::2] = valid
    image[::2, 1::2] = valid[:, :-1] & valid[:, 1:] & ~right
    image[1::2, ::2] = valid[:-1] & valid[1:] & ~down
    found = ndimage.label(image)[0][::2, ::2]
    order = np.zeros(found.max() + 1, int)
    seen = list(dict.fromkeys(found[found > 0].tolist()))
    order[seen] = np.arange(1, len(seen) + 1)
    return order[found]


def test_small_grains_lose_their_label_and_numbers_stay_dense(rng):
    layout = np.zeros((8, 8), int)
    layout[0, 0], layout[4:, 4:], layout[0, 5:7] = 1, 2, 3
    q = grain_map(layout, rng)
    assert segment_grains(q, "6/mmm").max() == 4
    labels = segment_grains(q, "6/mmm", min_size_px=3)
    assert set(np.unique(labels)) == {0, 1, 2}
    assert np.array_equal(labels == 0, (layout == 1) | (layout == 3))
    assert labels.dtype == np.int32


def test_a_slow_drift_is_one_grain():
    angles = np.radians(np.arange(30.0))
    q = quaternion_from_axis_angle([[[1.0, 0, 0]]], angles[None])
    assert segment_grains(q, "6/mmm", threshold_deg=1.01).max() == 1
    assert segment_grains(q, "6/mmm", threshold_deg=0.99).max() == 30


def test_shapes_are_checked(rng):
    q = random_quaternions(6, rng)
    with pytest.raises(ShapeMismatch, match="an orientation map"):
        neighbour_disorientation_deg(q, "6/mmm")
    with pytest.raises(ShapeMismatch, match="mask"):
        boundary_map(q.reshape(2, 3, 4), "6/mmm", valid=np.ones((3, 2), bool))
