"""Polynomial PL: the polynomial itself, honest noise maps, and each nuisance doing what it says."""

from dataclasses import fields, replace

import numpy as np
import pytest
from scipy.ndimage import binary_dilation, gaussian_filter
from scipy.ndimage import label as connected

from grainloop.model.light import predict_light
from grainloop.model.microstructure import (
    RECIPES,
    LightNuisances,
    Specimen,
    draw_example,
    make_specimen,
    polynomial_light,
)
from grainloop.model.microstructure.ebsd import label_boundary
from grainloop.model.microstructure.light import SIGMA_ABSENT, _blurred, _drift_field
from grainloop.model.microstructure.light_flaws import draw_blemishes

SILENT = LightNuisances(
    noise=(1e-6, 1e-6),
    channel_noise=(1.0, 1.0),
    correlated=(0.0, 0.0),
    blur_px=(0.0, 0.0),
    law=(0.0, 0.0),
    offset=(0.0, 0.0),
    shading=(0.0, 0.0),
    mixing=(0.0, 0.0),
    tile_step=(0.0, 0.0),
    dust=(0.0, 0.0),
    scratched=0.0,
    stained=0.0,
    drift_px=(1e-6, 1e-6),
    tail=0.0,
    no_second_harmonic=0.0,
)


@pytest.fixture(scope="module")
def specimen() -> Specimen:
    return make_specimen(np.random.default_rng(3), (96, 96), RECIPES["twinned"])


def test_ideal_is_the_polynomial_of_the_truth(specimen: Specimen) -> None:
    light = polynomial_light(np.random.default_rng(0), specimen)
    expected = np.moveaxis(predict_light(specimen.orientation), -1, 0)
    main = specimen.phase == 1
    assert light.ideal[:, main] == pytest.approx(expected[:, main], abs=1e-6)
    assert np.all(light.ideal[:, ~main] == 0)


def test_without_nuisances_features_are_ideal(specimen: Specimen) -> None:
    light = polynomial_light(np.random.default_rng(0), specimen, SILENT)
    inside = (slice(None), slice(1, -1), slice(1, -1))
    assert light.features[inside] == pytest.approx(light.ideal[inside], abs=1e-4)


@pytest.mark.parametrize("noise", [0.02, 0.15, 0.4])
def test_noise_has_the_level_asked_for(specimen: Specimen, noise: float) -> None:
    light = polynomial_light(np.random.default_rng(0), specimen, replace(SILENT, noise=(noise, noise)))
    residual = light.features - light.ideal
    assert np.std(residual) == pytest.approx(noise, rel=0.03)


def test_drift_moves_the_image_by_the_pixels_asked_for() -> None:
    rms = [
        np.sqrt(np.mean(np.sum(_drift_field(np.random.default_rng(s), (64, 64), 0.7) ** 2, axis=0))) for s in range(5)
    ]
    assert rms == pytest.approx([0.7] * 5, rel=1e-3)


def test_drift_harms_at_edges_alone(specimen: Specimen) -> None:
    light = polynomial_light(np.random.default_rng(0), specimen, replace(SILENT, drift_px=(1.5, 1.5)))
    error = np.abs(light.features - light.ideal).max(axis=0)
    edge = binary_dilation(label_boundary(specimen.label), iterations=4)
    assert np.mean(~edge) > 0.1
    assert np.mean(error[edge] > 0.05) > 10 * np.mean(error[~edge] > 0.05)


def test_the_law_bends_m_and_keeps_the_azimuth(specimen: Specimen) -> None:
    light = polynomial_light(np.random.default_rng(0), specimen, replace(SILENT, law=(0.3, 0.3)))
    bright = light.ideal[0] > 0.05
    ratio = np.median(light.features[0][bright] / light.ideal[0][bright])
    seen, ideal = (f[3][bright] + 1j * f[4][bright] for f in (light.features, light.ideal))
    assert 1.02 < ratio < 1.7
    assert np.median(np.abs(np.angle(seen / ideal))) < 1e-3


def test_calibration_removes_most_of_gain_shading_and_steps(specimen: Specimen) -> None:
    strong = replace(
        SILENT, shading=(0.15, 0.15), tile_step=(0.3, 0.3), offset=(0.3, 0.3), gain=(0.1, 0.1), calibration=(0.05, 0.05)
    )
    light = polynomial_light(np.random.default_rng(4), specimen, strong)
    raw, calibrated = light.counts[0].ravel(), light.features[0].ravel()
    ideal = light.ideal[0].ravel()
    assert np.corrcoef(calibrated, ideal)[0, 1] > 0.97
    fitted = np.polyval(np.polyfit(raw, ideal, 1), raw)
    assert np.std(fitted - ideal) > 3 * np.std(calibrated - ideal)


def test_reported_noise_is_about_right_and_never_exact() -> None:
    # z = residual / sigma over many specimens: its typical size is near one, and its level differs between specimens.
    levels, within = [], []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        example = draw_example(rng, (64, 64))
        ideal = np.moveaxis(predict_light(example.truth), -1, 0)
        z = ((example.light - ideal) / example.light_sigma)[0][example.valid]
        levels.append(1.4826 * np.median(np.abs(z)))
        within.append(np.mean(np.abs(z) < 2))
    assert 0.6 < np.median(levels) < 1.2
    assert np.std(np.log(levels)) > 0.1
    assert 0.85 < np.mean(within) < 0.99


def test_absent_second_harmonic_is_declared(specimen: Specimen) -> None:
    light = polynomial_light(np.random.default_rng(0), specimen, replace(SILENT, no_second_harmonic=1.0))
    assert np.all(light.features[3:] == 0)
    assert np.all(light.sigma[3:] == SIGMA_ABSENT)
    assert np.all(light.sigma[:3] < SIGMA_ABSENT)


def test_cubic_crystals_show_no_contrast() -> None:
    specimen = make_specimen(np.random.default_rng(3), (48, 48), RECIPES["equiaxed"], "m-3m")
    light = polynomial_light(np.random.default_rng(0), specimen)
    assert np.all(light.ideal == 0)


def test_light_is_deterministic_finite_and_of_one_shape(specimen: Specimen) -> None:
    first, again = (polynomial_light(np.random.default_rng(5), specimen) for _ in range(2))
    for field in fields(first):
        a, b = getattr(first, field.name), getattr(again, field.name)
        assert np.array_equal(a, b)
        if isinstance(a, np.ndarray):
            assert a.shape == (5, 96, 96)
            assert a.dtype == np.float32
            assert np.isfinite(a).all()
    assert (first.sigma > 0).all()


@pytest.mark.parametrize("sigma", [0.3, 0.8, 1.2])
def test_blur_is_gaussian(sigma: float) -> None:
    image = np.random.default_rng(0).standard_normal((5, 20, 31)).astype(np.float32)
    expected = gaussian_filter(image, (0, sigma, sigma), mode="nearest")
    assert _blurred(image, sigma) == pytest.approx(expected, abs=0.03)
    assert _blurred(np.ones((5, 9, 9), np.float32), sigma) == pytest.approx(1.0)


def test_blemishes_cover_little_and_are_distrusted_only_where_they_are() -> None:
    covers = []
    for seed in range(200):
        blemishes = draw_blemishes(np.random.default_rng(seed), (64, 64), 0.4, 0.3, 0.3)
        covers.append(np.mean(blemishes.cover > 0.2))
        assert np.all(blemishes.distrust >= 1)
        assert np.all(blemishes.distrust[blemishes.cover == 0] == 1)
    assert 0.01 < np.mean(covers) < 0.15


def test_dust_has_the_density_asked_for() -> None:
    counts = [count_spots(np.random.default_rng(seed)) for seed in range(40)]
    assert np.mean(counts) == pytest.approx(0.3 * 128 * 128 / 1000, rel=0.25)


def count_spots(rng: np.random.Generator) -> int:
    return connected(draw_blemishes(rng, (128, 128), 0.3, 0.0, 0.0).cover > 0)[1]
