"""The PL camera: noise, dust and shading as stated, the same for the same seed."""

import numpy as np
import pytest
from scipy import ndimage

from grainloop.instrument_sim import camera
from grainloop.instrument_sim.camera import Camera, LightNuisances, take_images
from grainloop.instrument_sim.optics import ISOTROPIC, Optics, render_light, render_rgb
from grainloop.instrument_sim.warp import Warp, aligned

ANGLES = np.arange(0.0, 180.0, 10.0)
SHAPE = (60, 80)


@pytest.fixture(scope="module")
def grains():
    q = np.random.default_rng(5).normal(size=(6, 8, 4))
    return (q / np.linalg.norm(q, axis=-1, keepdims=True)).repeat(10, axis=0).repeat(10, axis=1)


@pytest.fixture(scope="module")
def ideal(grains):
    return render_light(grains, np.ones(SHAPE, bool), ANGLES, Optics())


def only(**nuisances):
    return LightNuisances(**{**LightNuisances.none().__dict__, **nuisances})


def test_a_perfect_camera_returns_the_ideal_image_up_to_gain(ideal):
    images, _ = take_images(ideal, LightNuisances.none(), np.random.default_rng(0))
    assert images.dtype == np.float32
    clipped = images < 1
    ratio = images[clipped] / ideal[clipped]
    assert np.ptp(ratio) < 1e-4 * ratio.mean()
    assert np.percentile(images, 99.5) == pytest.approx(0.7, abs=1e-3)


def test_noise_has_the_stated_share_of_the_contrast(ideal):
    clean, _ = take_images(ideal, only(offset=0.3), np.random.default_rng(1))
    noisy, _ = take_images(ideal, only(offset=0.3, noise=0.15), np.random.default_rng(1))
    contrast = np.subtract(*np.percentile(clean, [99, 1]))
    inside = (noisy > 0) & (noisy < 1) & (clean > 0.25) & (clean < 0.6)
    assert np.std((noisy - clean)[inside]) == pytest.approx(0.15 * contrast, rel=0.03)
    assert abs(np.mean((noisy - clean)[inside])) < 0.01 * contrast


@pytest.mark.parametrize("colour", [True, False])
def test_noise_follows_the_contrast_of_each_channel_of_a_colour_image_and_of_a_stack_as_a_whole(grains, colour):
    channels = render_rgb(grains, np.ones(SHAPE, bool), Optics())
    clean, noisy = (exposed(channels, only(offset=0.2, noise=noise), colour) for noise in (0.0, 0.15))
    spread = (noisy - clean)[:, (clean > 0.1).all(0) & (clean < 0.7).all(0)].std(axis=1)
    contrast = np.subtract(*np.percentile(clean, [99, 1], axis=(1, 2)))
    whole = np.subtract(*np.percentile(clean, [99, 1]))
    assert contrast.max() < 0.4 * whole  # the plate tints the background
    np.testing.assert_allclose(spread, 0.15 * (contrast if colour else np.full(3, whole)), rtol=0.05)


def exposed(ideal, nuisances, colour):
    mounted = Camera.mount(np.random.default_rng(1), SHAPE, nuisances)
    return mounted.expose(ideal, np.random.default_rng(9), colour=colour)


def test_noise_is_fresh_in_every_image_and_every_exposure(ideal):
    rng = np.random.default_rng(2)
    mounted = Camera.mount(rng, SHAPE, only(noise=0.15, offset=0.3))
    one, two = mounted.expose(ideal, rng), mounted.expose(ideal, rng)
    change = (one - two).reshape(len(ANGLES), -1)
    correlation = np.corrcoef(change)[np.triu_indices(len(ANGLES), 1)]
    assert np.abs(correlation).max() < 0.08
    assert change.std() > 0.01


def test_same_seed_same_images_other_seed_other_images(ideal):
    def taken(seed):
        return take_images(ideal, LightNuisances(), np.random.default_rng(seed))[0]

    assert np.array_equal(taken(7), taken(7))
    assert not np.array_equal(taken(7), taken(8))


def test_the_pl_image_at_w_of_p_shows_the_specimen_at_p(ideal):
    coefficients = np.zeros((2, 4))
    coefficients[:, 0] = 4.0, -6.0
    shifted = Warp(SHAPE, coefficients)
    images, _ = take_images(ideal, LightNuisances.none(), np.random.default_rng(0), shifted)
    straight, _ = take_images(ideal, LightNuisances.none(), np.random.default_rng(0), aligned(SHAPE))
    for p in [(10, 30), (40, 50)]:
        q = tuple(shifted(p).astype(int))
        assert q == (p[0] + 4, p[1] - 6)
        np.testing.assert_allclose(images[(slice(None), *q)], straight[(slice(None), *p)], atol=1e-5)


def test_drawn_misregistration_moves_the_grains_as_its_field_says(ideal):
    images, warp = take_images(ideal, only(misregistration_px=3.0), np.random.default_rng(11))
    assert warp.rms_px == pytest.approx(3.0)
    straight, _ = take_images(ideal, LightNuisances.none(), np.random.default_rng(0), aligned(SHAPE))
    positions = np.moveaxis(warp(np.stack(np.mgrid[8:52, 8:72], -1)), -1, 0)
    undone = np.stack([ndimage.map_coordinates(i, positions, order=1) for i in images])
    truth = straight[:, 8:52, 8:72]
    assert np.abs(undone - truth).mean() < 0.3 * np.abs(images[:, 8:52, 8:72] - truth).mean()
    inner = ndimage.minimum_filter(ndimage.generic_gradient_magnitude(truth.sum(0), ndimage.sobel) < 1e-3, 5)
    np.testing.assert_allclose(undone[:, inner], truth[:, inner], atol=1e-3)


def test_shading_reaches_the_stated_amplitude_and_is_smooth():
    field = camera.shading(np.random.default_rng(3), (100, 120), 0.15)
    assert field.max() == pytest.approx(1.15)
    assert field.min() == pytest.approx(0.85)
    assert np.abs(np.diff(field, axis=0)).max() < 0.03


def test_dust_covers_the_stated_share_and_stays_in_place(ideal):
    opacity, glow = camera.dust(np.random.default_rng(4), (300, 300), 0.007)
    assert np.mean(opacity > 0) == pytest.approx(0.007, abs=5e-4)
    assert np.all(glow[opacity == 0] == 0)
    rng = np.random.default_rng(4)
    mounted = Camera.mount(rng, SHAPE, only(dust=0.02))
    change = mounted.expose(ideal, rng) - Camera.mount(rng, SHAPE, LightNuisances.none()).expose(ideal, rng)
    assert np.all(change[:, mounted.opacity == 0] == 0)
    assert np.abs(change[:, mounted.opacity > 0]).max() > 0.1


def test_tiles_step_at_their_edges_only():
    steps = camera.tiles(np.random.default_rng(5), (50, 70), only(tile_px=20, tile_step=0.05))
    jumps = np.flatnonzero(np.abs(np.diff(steps, axis=1)).max(axis=0) > 1e-9)
    assert jumps.tolist() == [19, 39, 59]
    assert 0.01 < steps.std() < 0.15


def test_cubic_specimen_gives_flat_images(grains):
    flat = render_light(grains, np.ones(SHAPE, bool), ANGLES, Optics(ISOTROPIC))
    images, _ = take_images(flat, only(misregistration_px=3.0, noise=0.15), np.random.default_rng(6))
    assert np.ptp(images) < 1e-5
    nuisances = LightNuisances(shading=0.0, dust=0.0)
    images, _ = take_images(flat, nuisances, np.random.default_rng(6))
    assert images.std() == pytest.approx(nuisances.read_noise, rel=0.05)


def test_another_pixel_size_gives_another_frame(ideal):
    images, warp = take_images(ideal, only(ratio=1.5, misregistration_px=2.0), np.random.default_rng(8))
    assert images.shape == (18, 90, 120)
    assert warp.light_shape_px == (90, 120)


def test_converter_steps():
    steps = camera.quantise(np.linspace(-0.2, 1.2, 1000), 3)
    np.testing.assert_allclose(np.unique(steps), np.arange(8) / 7, atol=1e-7)
