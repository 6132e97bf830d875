"""PSNR and SSIM against closed forms and an oracle written out in full."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import ndimage

from benchmarks.tasks.image_quality import image_quality, psnr, ssim
from grainloop.model.crystal import multiply, quaternion_from_axis_angle, random_quaternions

SHAPE = (24, 30)
ALL = np.ones(SHAPE, np.bool_)


def image(seed: int, channels: int = 3) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return ndimage.gaussian_filter(rng.random((*SHAPE, channels)), (2, 2, 0)) * 3 - 1


def test_the_same_image() -> None:
    one = image(0)
    assert psnr(one, one, ALL) == math.inf
    assert ssim(one, one, ALL) == pytest.approx(1, abs=1e-12)


def test_psnr_of_a_constant_offset() -> None:
    one = image(1)
    assert psnr(one + 0.1, one, ALL) == pytest.approx(20)
    assert psnr(one + 0.1, one, ALL, peak=10) == pytest.approx(40)
    half = ALL.copy()
    half[:12] = False
    partly = one.copy()
    partly[:12] += 5
    partly[12:] += 0.01
    assert psnr(partly, one, half) == pytest.approx(40)
    assert math.isnan(psnr(one, one, ~ALL))


def test_ssim_of_constants_is_that_of_their_means() -> None:
    one, other = np.full((*SHAPE, 1), 0.2), np.full((*SHAPE, 1), 0.6)
    c1 = 0.01**2
    assert ssim(one, other, ALL) == pytest.approx((2 * 0.2 * 0.6 + c1) / (0.2**2 + 0.6**2 + c1), rel=1e-9)


def test_ssim_is_the_formula_of_wang_et_al() -> None:
    one, other = image(2), image(3)
    peak = 2.0

    def blurred(values: np.ndarray) -> np.ndarray:
        return ndimage.gaussian_filter(values, (1.5, 1.5, 0), truncate=5 / 1.5)  # a window of 11 px

    mean_1, mean_2 = blurred(one), blurred(other)
    var_1, var_2 = blurred(one * one) - mean_1**2, blurred(other * other) - mean_2**2
    covariance = blurred(one * other) - mean_1 * mean_2
    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    local = (2 * mean_1 * mean_2 + c1) * (2 * covariance + c2) / ((mean_1**2 + mean_2**2 + c1) * (var_1 + var_2 + c2))
    assert ssim(one, other, ALL, peak) == pytest.approx(local[5:-5, 5:-5].mean(), rel=1e-9)
    assert ssim(one, other, ALL, peak) < 0.9


def test_what_is_outside_changes_nothing() -> None:
    one, other = image(4), image(5)
    inside = ALL.copy()
    inside[8:14, 10:20] = False
    spoilt = other.copy()
    spoilt[~inside] = np.nan
    assert ssim(one, spoilt, inside) == ssim(one, other, inside)
    assert psnr(one, spoilt, inside) == psnr(one, other, inside)
    rim = ALL.copy()
    rim[5:-5, 5:-5] = False
    assert math.isnan(ssim(one, other, rim))


@pytest.mark.parametrize("group", ["6/mmm", "m-3m"])
def test_orientation_maps(group: str) -> None:
    blocks = random_quaternions(4 * 5, np.random.default_rng(11)).reshape(4, 5, 4)
    truth = blocks.repeat(6, axis=0).repeat(6, axis=1)
    same = image_quality(truth, truth, group, ALL)
    assert same["psnr_ipf"] is None
    assert same["psnr_embedding"] is None
    assert same["ssim_ipf"] == pytest.approx(1)
    assert same["ssim_embedding"] == pytest.approx(1)
    degrees = 1.0
    turned = multiply(truth, quaternion_from_axis_angle(np.array([0.0, 0.0, 1.0]), np.array(np.deg2rad(degrees))))
    found = image_quality(turned, truth, group, ALL)
    channels, scale = {"6/mmm": (18, 54**0.5), "m-3m": (9, 60**0.5)}[group]
    chord = scale * math.radians(degrees)  # small rotations are chords of this length
    assert found["psnr_embedding"] == pytest.approx(10 * math.log10(4 * channels**2 / chord**2), abs=0.05)
    assert 0.5 < found["ssim_embedding"] < 1
    assert found["psnr_ipf"] > 25


def test_a_group_without_embedding_has_colours_only() -> None:
    truth = np.broadcast_to(random_quaternions(1, np.random.default_rng(0)), (*SHAPE, 4)).copy()
    found = image_quality(truth, truth, "4/mmm", ALL)
    assert found == {"psnr_ipf": None, "ssim_ipf": 1.0, "psnr_embedding": None, "ssim_embedding": None}
