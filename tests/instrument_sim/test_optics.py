"""The optics of PL against closed forms and published figures."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grainloop.instrument_sim import optics
from grainloop.instrument_sim.optics import ALPHA_TITANIUM, ISOTROPIC, MAGNESIUM, ZIRCONIUM, Dielectric, Optics
from grainloop.model.crystal import quaternion_from_euler

ANGLES = np.arange(0.0, 180.0, 10.0)


def closed_form(tilt_cos, azimuth, angles_deg, setup):
    """½ |cos d · D sin γ cos γ + sin d (r_o sin²γ + r_e cos²γ)|², the hand-derived product of the chain."""
    r_o, r_e = optics.reflection_coefficients(tilt_cos, setup.dielectric)
    d = np.deg2rad(setup.analyser_offset_deg)
    g = azimuth + np.deg2rad(angles_deg)[:, None]
    crossed = np.cos(d) * (r_e - r_o) * np.sin(g) * np.cos(g)
    return 0.5 * np.abs(crossed + np.sin(d) * (r_o * np.sin(g) ** 2 + r_e * np.cos(g) ** 2)) ** 2


def random_map(seed, shape=(12, 10)):
    q = np.random.default_rng(seed).normal(size=(*shape, 4))
    return q / np.linalg.norm(q, axis=-1, keepdims=True)


@given(
    st.integers(0, 2**32 - 1),
    st.floats(-20, 20),
    st.complex_numbers(min_magnitude=1.5, max_magnitude=60),
    st.complex_numbers(min_magnitude=1.5, max_magnitude=60),
)
@settings(max_examples=60, deadline=None)
def test_chain_equals_closed_form(seed, offset_deg, eps_o, eps_e):
    absorbing = Dielectric(
        "any", complex(eps_o.real, 0.1 + abs(eps_o.imag)), complex(eps_e.real, 0.1 + abs(eps_e.imag))
    )
    setup = Optics(absorbing, offset_deg)
    rng = np.random.default_rng(seed)
    cos, azimuth, angles = rng.uniform(-1, 1, 40), rng.uniform(-4, 4, 40), rng.uniform(0, 360, 5)
    intensity = optics.chain_intensity(cos, azimuth, angles, setup)
    np.testing.assert_allclose(intensity, closed_form(cos, azimuth, angles, setup), atol=1e-12, rtol=1e-10)


def test_published_figures_of_alpha_titanium():
    r_o, r_e = optics.reflection_coefficients(0.0, ALPHA_TITANIUM)
    assert abs(r_o) ** 2 == pytest.approx(0.598, abs=5e-4)
    assert abs(r_e) ** 2 == pytest.approx(0.737, abs=5e-4)
    assert abs(r_e - r_o) ** 2 == pytest.approx(0.01093, abs=5e-6)
    lobes = optics.chain_intensity(np.cos(np.deg2rad(60)), np.deg2rad([45.0, 135.0]), 0.0, Optics())[0]
    assert sorted(lobes) == pytest.approx([4.0e-4, 1.32e-3], rel=0.01)


@pytest.mark.parametrize(("tilt", "exact"), [(20, 0.0123), (30, 0.0577), (45, 0.241), (60, 0.557), (80, 0.9404)])
def test_contrast_grows_like_the_fourth_power_of_sin_tilt(tilt, exact):
    crossed = Optics(analyser_offset_deg=0.0)
    flat, tilted = optics.chain_intensity(np.cos(np.deg2rad([90.0, tilt])), np.pi / 4, 0.0, crossed)[0]
    assert tilted / flat == pytest.approx(exact, abs=6e-4)
    assert tilted / flat == pytest.approx(np.sin(np.deg2rad(tilt)) ** 4, rel=0.12)


def test_stack_holds_the_harmonics_0_2_4_and_repeats_after_half_a_turn():
    stack = optics.render_light(random_map(1), np.ones((12, 10), bool), ANGLES, Optics()).astype(np.float64)
    spectrum = np.abs(np.fft.rfft(stack, axis=0))
    assert spectrum[[1, 2]].max() > 1e-5
    assert spectrum[3:].max() < 1e-6 * spectrum[0].max()
    again = optics.render_light(random_map(1), np.ones((12, 10), bool), ANGLES + 180, Optics())
    np.testing.assert_allclose(again, stack, atol=1e-9)


def test_exact_crossing_cannot_tell_azimuths_90_degrees_apart_and_an_offset_can():
    azimuth = np.array([0.3, 0.3 + np.pi / 2])
    crossed = optics.chain_intensity(0.5, azimuth, ANGLES, Optics(analyser_offset_deg=0.0))
    np.testing.assert_allclose(crossed[:, 0], crossed[:, 1], atol=1e-15)
    offset = optics.chain_intensity(0.5, azimuth, ANGLES, Optics())
    assert np.abs(offset[:, 0] - offset[:, 1]).max() > 5e-4


@given(st.integers(0, 2**32 - 1), st.floats(-np.pi, np.pi))
@settings(max_examples=20, deadline=None)
def test_rotation_about_c_and_reversal_of_c_are_invisible(seed, turn):
    q, everywhere = random_map(seed, (3, 3)), np.ones((3, 3), bool)
    w, x, y, z = np.moveaxis(q, -1, 0)
    c, s = np.cos(turn / 2), np.sin(turn / 2)
    about_c = np.stack([w * c - z * s, x * c + y * s, y * c - x * s, w * s + z * c], -1)
    reversed_c = np.stack([-x, w, z, -y], -1)
    ideal = optics.render_light(q, everywhere, ANGLES, Optics())
    np.testing.assert_allclose(optics.render_light(about_c, everywhere, ANGLES, Optics()), ideal, atol=1e-8)
    np.testing.assert_allclose(optics.render_light(reversed_c, everywhere, ANGLES, Optics()), ideal, atol=1e-8)


def test_azimuth_is_that_of_the_c_axis_in_the_sample_frame():
    phi1, tilt = 0.7, 1.1
    q = quaternion_from_euler(np.array([[[phi1, tilt, 0.4]]]))
    expected = optics.chain_intensity(np.cos(tilt), phi1 - np.pi / 2, ANGLES, Optics())
    image = optics.render_light(q, np.ones((1, 1), bool), ANGLES, Optics())
    np.testing.assert_allclose(image[:, 0, 0], expected, atol=1e-9)


@pytest.mark.parametrize("dielectric", [ALPHA_TITANIUM, MAGNESIUM, ZIRCONIUM])
def test_example_metals_show_contrast_and_absorb(dielectric):
    r_o, r_e = optics.reflection_coefficients(np.linspace(0, 1, 20), dielectric)
    assert max(abs(r_o), np.abs(r_e).max()) < 1
    assert np.abs(r_e - r_o).max() ** 2 > 0.003


def test_isotropic_and_unindexed_pixels_show_only_the_leakage():
    everywhere = np.ones((12, 10), bool)
    cubic = optics.render_light(random_map(2), everywhere, ANGLES, Optics(ISOTROPIC))
    assert np.ptp(cubic) < 1e-9 * cubic.max() + 1e-12
    dark = optics.render_light(random_map(2), ~everywhere, ANGLES, Optics())
    assert dark.max() == pytest.approx(0.598 / 2 * np.sin(np.deg2rad(1)) ** 2, rel=1e-3)


def test_red_plate_is_magenta_without_crystal_contrast_and_tells_the_sign_of_the_azimuth():
    everywhere = np.ones((1, 2), bool)
    red, green, blue = optics.render_rgb(random_map(3, (1, 2)), ~everywhere, Optics())[:, 0, 0]
    assert green < 0.2 * min(red, blue)
    c = np.cos(np.pi / 4)  # c-axes in the surface, 90° apart
    turn = np.deg2rad([45.0, 135.0]) / 2
    turned = np.stack([np.cos(turn) * c, np.cos(turn) * c, np.sin(turn) * c, np.sin(turn) * c], -1)[None]
    image = optics.render_rgb(turned, everywhere, Optics())
    assert np.abs(image[:, 0, 0] - image[:, 0, 1]).max() > 0.02
