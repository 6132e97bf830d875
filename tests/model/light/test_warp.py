"""The warp: its conventions, homologous points, sampling and blurring."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grainloop.instrument_sim.warp import misregistration, similarity
from grainloop.model.light import UnfitPoints, Warp, fit_affine
from grainloop.model.light.sample import blur, fill_gaps, sample, sample_with_gradient
from grainloop.model.light.warp import BILINEAR, grid_positions

GRID, LIGHT = (40, 50), (80, 100)
WARP = Warp.nominal(GRID, LIGHT, 2.0)
SEEDS = st.integers(0, 2**32 - 1)


def test_the_nominal_warp_puts_centre_on_centre():
    assert WARP(np.array([[19.5, 24.5]]))[0] == pytest.approx((39.5, 49.5))
    assert WARP(np.array([[20.5, 24.5]]))[0] == pytest.approx((41.5, 49.5))
    assert np.abs(WARP.displacement_px()).max() == 0


@given(SEEDS)
def test_homologous_points_give_back_an_affine_map(seed):
    rng = np.random.default_rng(seed)
    coefficients = np.zeros((2, BILINEAR))
    coefficients[:, :3] = rng.normal(scale=4, size=(2, 3))
    true = WARP.moved(coefficients)
    places = rng.uniform((0, 0), GRID, size=(6, 2))
    np.testing.assert_allclose(fit_affine(places, true(places), WARP).coefficients, coefficients, atol=1e-6)


@pytest.mark.parametrize("pairs", [np.empty((0, 2)), np.eye(2), np.arange(10.0).reshape(5, 2), np.full((4, 2), np.nan)])
def test_homologous_points_that_fix_nothing_are_refused(pairs):
    with pytest.raises(UnfitPoints, match="omologous"):
        fit_affine(pairs, pairs, WARP)


def test_homologous_points_without_partner_are_refused():
    with pytest.raises(UnfitPoints, match="no pairs"):
        fit_affine(np.ones((4, 2)), np.ones((3, 2)), WARP)


@given(SEEDS)
def test_the_basis_can_hold_what_the_simulator_does(seed):
    rng = np.random.default_rng(seed)
    true = misregistration(rng, GRID, 3.0)
    ours = Warp(GRID, GRID, 1.0, true.coefficients[:, [0, 1, 2, 3]])
    np.testing.assert_allclose(ours(grid_positions(GRID)), true(grid_positions(GRID)), atol=1e-9)


def test_a_rotation_as_the_simulator_means_it():
    true = similarity(GRID, (3.0, -2.0), 5.0, 1.03)
    points = grid_positions(GRID)[::37]
    found = fit_affine(points, true(points), Warp.nominal(GRID, GRID, 1.0))
    np.testing.assert_allclose(found.displacement_px(), true.field(), atol=1e-6)


def test_a_wider_basis_changes_nothing_until_it_is_used():
    warp = WARP.moved(np.random.default_rng(1).normal(size=(2, BILINEAR)))
    wide = warp.with_basis(12)
    np.testing.assert_allclose(wide.displacement_px(), warp.displacement_px())
    np.testing.assert_allclose(wide.with_basis(BILINEAR).coefficients, warp.coefficients)


def test_sampling_is_exact_at_pixels_and_for_planes_and_nan_outside():
    rng = np.random.default_rng(2)
    image = rng.normal(size=(1, 12, 15)).astype(np.float32)
    np.testing.assert_allclose(sample(image, grid_positions((12, 15)))[:, 0], image[0].ravel(), atol=1e-6)
    rows, columns = np.indices((12, 15))
    plane = (3 * rows - 2 * columns)[None].astype(np.float32)
    places = rng.uniform(2, 9, size=(20, 2))
    values, slopes = sample_with_gradient(plane, places)
    np.testing.assert_allclose(values[:, 0], places @ (3, -2), atol=1e-4)
    np.testing.assert_allclose(slopes[:, 0], np.tile((3, -2), (20, 1)), atol=1e-4)
    assert np.isnan(sample(image, np.array([[-0.6, 3], [3, 14.6]]))).all()


def test_slopes_are_the_derivative_of_the_values():
    image = np.random.default_rng(3).normal(size=(2, 12, 15)).astype(np.float32)
    places, step = np.random.default_rng(4).uniform(2, 9, size=(30, 2)), 1e-4
    slopes = sample_with_gradient(image, places)[1]
    for axis in (0, 1):
        ahead, behind = (sample(image, places + sign * step * np.eye(2)[axis]) for sign in (1, -1))
        np.testing.assert_allclose(slopes[..., axis], (ahead - behind) / (2 * step), atol=1e-3)


def test_gaps_take_the_nearest_value_and_blurring_keeps_the_mean():
    image = np.ones((1, 20, 20), np.float32)
    image[0, 5, 5] = np.nan
    assert (fill_gaps(image) == 1).all()
    assert (fill_gaps(np.full((1, 3, 3), np.nan, np.float32)) == 0).all()
    assert blur(image, 2.0) == pytest.approx(1.0)
    assert blur(image, 0.0) == pytest.approx(1.0)
