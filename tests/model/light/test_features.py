"""Harmonics of a rotation stack against their closed form, RGB features, tiles and trends."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grainloop.instrument_sim.optics import Optics, render_light
from grainloop.model.crystal import c_axis, random_quaternions
from grainloop.model.light import LightSizeMismatch, UnfitAngles, features_from_rgb, fit_stack, predict_light
from grainloop.model.light.features import RGB_NAMES
from grainloop.model.light.shading import Shading, detrended, tile_positions

EVENLY = tuple(range(0, 180, 20))
SHAPE = (6, 5)


def stack(harmonics, angles_deg):
    """I(ψ) = m − C4 cos 4ψ + S4 sin 4ψ + C2 sin 2ψ + S2 cos 2ψ."""
    psi = np.deg2rad(np.asarray(angles_deg, float))[:, None, None]
    m, c4, s4, c2, s2 = harmonics
    return m - c4 * np.cos(4 * psi) + s4 * np.sin(4 * psi) + c2 * np.sin(2 * psi) + s2 * np.cos(2 * psi)


@given(st.integers(0, 2**32 - 1), st.sampled_from([EVENLY, (0, 15, 40, 75, 100, 150), tuple(range(0, 180, 36))]))
def test_the_fit_returns_the_harmonics_that_made_the_stack(seed, angles):
    harmonics = np.random.default_rng(seed).normal(size=(5, *SHAPE))
    fitted = fit_stack(stack(harmonics, angles), angles)
    assert fitted.names == ("m", "C4", "S4", "C2", "S2")
    np.testing.assert_allclose(fitted.values, harmonics, atol=2e-5)
    assert fitted.notes == ()


@pytest.mark.parametrize("angles", [(0, 30, 60), (0, 22.5, 45, 67.5)])
def test_three_or_four_angles_give_the_short_set_and_say_so(angles):
    harmonics = np.random.default_rng(1).normal(size=(5, *SHAPE))
    harmonics[3:] = 0
    fitted = fit_stack(stack(harmonics, angles), angles)
    assert fitted.names == ("m", "C4", "S4")
    np.testing.assert_allclose(fitted.values, harmonics[:3], atol=1e-5)
    assert "2ψ" in fitted.notes[0]


def test_the_residual_is_the_noise_of_one_image():
    clean = stack(np.ones((5, 60, 60)), EVENLY)
    noisy = clean + np.random.default_rng(2).normal(scale=0.3, size=clean.shape)
    residual = fit_stack(noisy, EVENLY).residual
    assert np.sqrt(np.mean(residual**2)) == pytest.approx(0.3, rel=0.03)
    assert np.isnan(fit_stack(clean[:3], (0, 30, 60)).residual).all()


@pytest.mark.parametrize(
    "angles", [(), (0,), (0, 45), (0, 90, 180), (0, 90, 180, 270, 360), (0, 1, 2, 3, 4), (0.0, 30.0, float("nan"))]
)
def test_angles_that_cannot_be_fitted_are_named(angles):
    with pytest.raises(UnfitAngles, match="stage angles") as refusal:
        fit_stack(np.zeros((len(angles), *SHAPE)), angles)
    assert all(f"{angle:g}°" in str(refusal.value) for angle in angles)


def test_sizes_that_contradict_each_other():
    with pytest.raises(LightSizeMismatch, match="3 stage angles"):
        fit_stack(np.zeros((4, *SHAPE)), (0, 30, 60))
    with pytest.raises(LightSizeMismatch, match="6×5 pixels, the instrument declares 5×6"):
        fit_stack(np.zeros((3, *SHAPE)), (0, 30, 60), declared_shape=(5, 6))
    with pytest.raises(LightSizeMismatch, match="RGB"):
        features_from_rgb(np.zeros((4, *SHAPE)))
    with pytest.raises(LightSizeMismatch, match="declares"):
        features_from_rgb(np.zeros((3, *SHAPE)), declared_shape=(6, 6))
    with pytest.raises(LightSizeMismatch, match="Tile labels"):
        features_from_rgb(np.zeros((3, *SHAPE))).with_tiles(np.zeros((6, 4), int))


def test_features_of_the_exact_optics_follow_the_polynomial():
    q = random_quaternions(400, np.random.default_rng(3)).reshape(20, 20, 4)
    images = render_light(q, np.ones((20, 20), bool), EVENLY, Optics(analyser_offset_deg=1.0))
    seen = fit_stack(images, EVENLY).values.reshape(5, -1)
    predicted = predict_light(q).reshape(-1, 5).T
    for own in (1, 2, 3, 4):
        related = np.array([np.corrcoef(seen[own], other)[0, 1] for other in predicted])
        assert abs(related[own]) > 0.98
        assert np.abs(np.delete(related, own)).max() < 0.3
    assert np.corrcoef(seen[0], predicted[0])[0, 1] > 0.9
    assert np.corrcoef(seen[1], predicted[1])[0, 1] > 0
    assert np.corrcoef(seen[2], predicted[2])[0, 1] > 0


def test_prediction_in_terms_of_tilt_and_azimuth():
    q = random_quaternions(200, np.random.default_rng(4))
    x, y, z = c_axis(q).T
    tilt, azimuth = np.arccos(np.clip(z, -1, 1)), np.arctan2(y, x)
    s = np.sin(tilt)
    expected = [s**4, s**4 * np.cos(4 * azimuth), s**4 * np.sin(4 * azimuth), s**2 * np.cos(2 * azimuth)]
    expected.append(s**2 * np.sin(2 * azimuth))
    np.testing.assert_allclose(predict_light(q).T, expected, atol=1e-12)


def test_rgb_channels_are_kept_and_standardised_by_their_principal_axes():
    rng = np.random.default_rng(5)
    hue, brightness = rng.normal(size=(2, 40, 40))
    image = np.stack([100 + 9 * brightness, 80 + 9 * brightness + hue, 50 + 9 * brightness - hue])
    features = features_from_rgb(image)
    assert features.names == RGB_NAMES
    np.testing.assert_allclose(features.values, image, rtol=1e-6)
    flat = features.standardised.reshape(3, -1)
    np.testing.assert_allclose(np.corrcoef(flat)[:2, :2], np.eye(2), atol=0.1)
    assert abs(np.corrcoef(flat[1], hue.ravel())[0, 1]) > 0.98


def test_a_cubic_trend_leaves_nothing_and_spares_the_rest():
    rng = np.random.default_rng(6)
    rows, columns = np.indices((90, 70))
    trend = Shading((90, 70)).trend(np.stack([rows, columns], -1).reshape(-1, 2)) @ rng.normal(size=9)
    grains = rng.normal(size=(9, 7)).repeat(10, 0).repeat(10, 1)
    flat = detrended(np.stack([trend.reshape(90, 70), grains]))
    assert np.abs(flat[0]).max() < 1e-4
    assert np.corrcoef(flat[1].ravel(), grains.ravel())[0, 1] > 0.85


def test_missing_pixels_stay_missing_and_spoil_nothing_else():
    image = np.random.default_rng(7).normal(size=(1, 40, 40))
    image[0, 3:9, 5:8] = np.nan
    flat = detrended(image)
    assert (np.isnan(flat) == np.isnan(image)).all()


def mosaic():
    """Labels of tiles of 20×30 in a 50×75 frame that cuts the first row and the last column."""
    rows = np.searchsorted([10, 30], np.arange(50), side="right")
    columns = np.searchsorted([30, 60], np.arange(75), side="right")
    return (3 * rows[:, None] + columns).astype(np.int32)


def test_tiles_cut_by_the_frame_keep_their_inner_edges():
    position = tile_positions(mosaic())
    assert position[10, 0] == pytest.approx((-1, -1))
    assert position[29, 29] == pytest.approx((1, 1))
    assert position[9, 29] == pytest.approx((1, 1))
    assert position[0, 0, 0] == pytest.approx(10 / 9.5 - 1)
    assert position[10, 60, 1] == pytest.approx(-1)


def test_shading_that_repeats_in_every_tile_and_steps_between_them_are_taken_out():
    tiles, rng = mosaic(), np.random.default_rng(8)
    u, v = np.moveaxis(tile_positions(tiles), -1, 0)
    image = 5 + 0.8 * u - 0.5 * v + 0.4 * u * v + 0.3 * u**3 + rng.normal(size=9)[tiles]
    assert np.abs(detrended(image[None], tiles)).max() < 1e-4
    assert np.std(detrended(image[None])) > 0.3
