"""Self-calibration against a known forward model, the inverse, the noise map, and the sharpening."""

import numpy as np
import pytest
from scipy import ndimage

from grainloop.model.light.calibrate import calibrate
from grainloop.model.light.explain import MIN_POINTS, explained_variance
from grainloop.model.light.inverse import UNSEEN, fit_inverse
from grainloop.model.light.noise import DISTRUST, disagreement, edge_noise
from grainloop.model.light.refine import PointTargets
from grainloop.model.light.shading import Shading
from grainloop.model.light.sharpen import noise_sd, sharpen
from grainloop.model.light.warp import Warp

SHAPE = (100, 120)
MIXING = np.array([[1.0, 0.2, -0.1], [0.1, -0.8, 0.3], [0.0, 0.4, 0.9], [0.5, 0.5, 0.0]])
OFFSET = np.array([3.0, -1.0, 0.5, 2.0])
NOISE = 0.05


def forward(seed, n=600, outliers=0.1, gain=None, shading=None, steps=None):
    """Values (n, 4) of targets (n, 3) at positions, by g·(A·P + b + step) + noise; a share of the points is wild."""
    rng = np.random.default_rng(seed)
    positions, targets = rng.uniform((0, 0), SHAPE, size=(n, 2)), rng.uniform(-1, 1, size=(n, 3))
    shading = shading or Shading(SHAPE)
    values = targets @ MIXING.T + OFFSET
    if steps is not None:
        values = values + shading.steps(positions) @ steps
    if gain is not None:
        values = values * (1 + shading.trend(positions) @ gain)[:, None]
    values = values + rng.normal(scale=NOISE, size=values.shape)
    wild = rng.random(n) < outliers
    values[wild] += rng.normal(scale=5.0, size=(int(wild.sum()), 4))
    return values, targets, positions, wild


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_mixing_and_noise_are_recovered_among_outliers(seed):
    values, targets, positions, wild = forward(seed)
    found = calibrate(values, targets, positions, Shading(SHAPE))
    np.testing.assert_allclose(found.mixing, MIXING, atol=0.03)
    np.testing.assert_allclose(found.scale, NOISE, rtol=0.25)
    assert np.median(found.weight[wild]) < 0.05
    assert np.median(found.weight[~wild]) > 0.85


@pytest.mark.parametrize("seed", [4, 5])
def test_uneven_light_is_learnt_and_taken_out(seed):
    gain = np.array([0.1, -0.08, 0.03, 0.02, 0.0, 0.0, 0.02, 0.0, 0.01])
    values, targets, positions, wild = forward(seed, gain=gain)
    found = calibrate(values, targets, positions, Shading(SHAPE), rounds=4)
    left = (found.correct(values, positions) - targets @ MIXING.T)[~wild]
    assert np.sqrt(np.mean(left**2)) < 1.3 * NOISE


def test_tile_steps_are_taken_out():
    tiles = (np.indices(SHAPE)[1] // 40).astype(np.int32)
    steps = np.array([[0.6, 0.3, 0.0, -0.2], [-0.4, 0.5, 0.2, 0.0], [0.1, -0.6, 0.4, 0.3]])
    values, targets, positions, wild = forward(6, shading=Shading(SHAPE, tiles), steps=steps)
    right = calibrate(values, targets, positions, Shading(SHAPE, tiles))
    wrong = calibrate(values, targets, positions, Shading(SHAPE))
    np.testing.assert_allclose(right.scale, NOISE, rtol=0.3)
    assert (wrong.scale > 1.4 * right.scale).all()
    left = (right.correct(values, positions) - targets @ MIXING.T)[~wild]
    assert np.sqrt(np.mean((left - left.mean(axis=0)) ** 2)) < 1.3 * NOISE


def test_points_outside_the_image_play_no_part():
    values, targets, positions, _ = forward(7)
    whole = calibrate(values[:400], targets[:400], positions[:400], Shading(SHAPE))
    values[400:] = np.nan
    found = calibrate(values, targets, positions, Shading(SHAPE))
    assert (found.weight[400:] == 0).all()
    assert np.isnan(found.residual[400:]).all()
    np.testing.assert_allclose(found.mixing, whole.mixing, atol=0.01)


def test_the_inverse_returns_targets_with_the_noise_it_states_and_marks_the_unseen():
    rng = np.random.default_rng(8)
    targets = rng.normal(size=(2000, 3))
    channels = np.stack([targets[:, 0] + targets[:, 1], targets[:, 0] - targets[:, 1]], axis=1)
    channels += rng.normal(scale=0.3, size=channels.shape)
    inverse = fit_inverse(channels, targets, np.ones(2000))
    back = inverse(channels)
    assert inverse.sigma[2] == UNSEEN
    for k in (0, 1):
        assert np.polyfit(targets[:, k], back[:, k], 1)[0] == pytest.approx(1.0, abs=0.02)
        assert np.std(back[:, k] - targets[:, k]) == pytest.approx(inverse.sigma[k], rel=0.1)


def test_explained_variance_is_the_share_that_was_put_in_and_zero_for_noise():
    rng = np.random.default_rng(9)
    field = ndimage.gaussian_filter(rng.normal(size=(1, 60, 60)), (0, 1, 1))
    field /= field.std()
    points = np.argwhere(np.ones((60, 60)))[::5].astype(float)
    told = PointTargets(points, field[0].ravel()[::5, None])
    warp = Warp.nominal((60, 60), (60, 60), 1.0)
    noise = rng.normal(size=field.shape)
    mixed = ((field + 0.5 * noise) / np.sqrt(1.25)).astype(np.float32)
    assert explained_variance(mixed, told, Shading((60, 60)), warp) == pytest.approx(0.8, abs=0.04)
    assert explained_variance(noise.astype(np.float32), told, Shading((60, 60)), warp) < 0.01
    few = told.subset(np.arange(MIN_POINTS - 1))
    assert explained_variance(mixed, few, Shading((60, 60)), warp) == 0


def test_the_noise_grows_under_dust_that_a_point_has_met_and_not_for_one_bad_point():
    rng = np.random.default_rng(10)
    image = np.zeros((1, 60, 60))
    image[0, 20:30, 20:30] = 3.0  # dust: no orientation predicts this
    points = np.argwhere(np.ones((60, 60)))[::1].reshape(60, 60, 2)[2::4, 2::4].reshape(-1, 2)
    dusty = image[0, points[:, 0], points[:, 1]] > 1
    distance = np.abs(rng.normal(scale=0.7, size=len(points))) + 30 * dusty
    lonely = int(np.flatnonzero((points == (50, 50)).all(axis=1))[0])
    distance[lonely] = 40.0
    factor = disagreement(image, points, distance, 0.1)
    assert factor[24, 24] > DISTRUST
    assert factor[48:53, 48:53].max() < DISTRUST
    assert np.median(factor) == 1.0


def test_a_misregistered_edge_is_noise_in_proportion_to_its_slope():
    image = np.zeros((1, 30, 30))
    image[0, :, 15:] = 1.0
    assert edge_noise(image, 0.0).max() == 0
    assert edge_noise(2 * image, 0.5) == pytest.approx(edge_noise(image, 1.0))
    assert edge_noise(image, 1.0)[15, 15] > 0.3
    assert edge_noise(image, 1.0)[15, 3] < 1e-6


def test_sharpening_brings_a_noisy_blurred_edge_closer_to_the_truth():
    rng = np.random.default_rng(11)
    truth = rng.normal(size=(2, 8, 8)).repeat(8, 1).repeat(8, 2)
    seen = ndimage.gaussian_filter(truth, (0, 0.7, 0.7)) + rng.normal(scale=0.3, size=truth.shape)
    found = sharpen(seen.astype(np.float32))
    np.testing.assert_allclose(noise_sd(seen.astype(np.float32)), 0.3, rtol=0.2)
    assert np.sqrt(np.mean((found - truth) ** 2)) < 0.6 * np.sqrt(np.mean((seen - truth) ** 2))
