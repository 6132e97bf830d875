"""The warp between PL and EBSD: of the size asked for, and undone by its inverse."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grainloop.instrument_sim import warp


@given(st.integers(0, 2**32 - 1), st.tuples(st.integers(20, 90), st.integers(20, 90)), st.floats(0.1, 4.0))
@settings(max_examples=40, deadline=None)
def test_rms_is_the_one_asked_for_and_the_inverse_undoes_the_warp(seed, shape, rms):
    drawn = warp.misregistration(np.random.default_rng(seed), shape, rms, ratio=1.5)
    p = warp.pixel_positions(shape)
    seen = np.sqrt(((drawn(p) + 0.5) / 1.5 - 0.5 - p).__pow__(2).sum(-1).mean())
    assert seen == pytest.approx(rms, rel=1e-9)
    np.testing.assert_allclose(drawn.inverse(drawn(p)), p, atol=1e-6)


def test_affine_alone_has_no_bilinear_term():
    drawn = warp.misregistration(np.random.default_rng(3), (50, 60), 3.0, bilinear=False)
    assert np.all(drawn.coefficients[:, 3] == 0)
    second_difference = np.diff(drawn.field(), n=2, axis=0)
    assert np.abs(second_difference).max() < 1e-12


def test_similarity_shifts_rotates_and_scales_about_the_centre():
    s = warp.similarity((101, 201), (4.0, -7.0), 5.0, 1.03)
    centre = np.array([50.0, 100.0])
    np.testing.assert_allclose(s(centre), np.add(centre, (4.0, -7.0)), atol=1e-12)
    arm = s(np.add(centre, (0.0, 10.0))) - s(centre)
    assert np.hypot(*arm) == pytest.approx(10.3)
    assert np.rad2deg(np.arctan2(arm[0], arm[1])) == pytest.approx(5.0)


def test_aligned_frame_maps_pixel_edges_onto_pixel_edges():
    doubled = warp.aligned((10, 20), ratio=2.0)
    assert doubled.light_shape_px == (20, 40)
    np.testing.assert_allclose(doubled([-0.5, 19.5]), [-0.5, 39.5])
