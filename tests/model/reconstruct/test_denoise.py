"""Noise taken out of measured orientations, against the truth that it was put on."""

from __future__ import annotations

import numpy as np
import pytest

from grainloop.model.crystal import disorientation_deg, multiply, quaternion_from_axis_angle, random_quaternions
from grainloop.model.reconstruct import Problem, SparsePoints
from grainloop.model.reconstruct.denoise import noise_in, ring_of, without_noise
from grainloop.model.reconstruct.seeds import Seeds, find_seeds
from tests.model.reconstruct.problems import some_pixels, voronoi

SHAPE = (40, 40)
EVERY_PIXEL = np.argwhere(np.ones(SHAPE))


def turned(angle_deg: np.ndarray, seed: int) -> np.ndarray:
    """(h, w, 4) one orientation turned by `angle_deg` (h, w) about a fixed axis."""
    axis = np.broadcast_to([0.6, 0.0, 0.8], (*SHAPE, 3))
    start = random_quaternions(1, np.random.default_rng(seed))[0]
    return multiply(quaternion_from_axis_angle(axis, np.radians(angle_deg)), np.broadcast_to(start, (*SHAPE, 4)))


def bent(deg_per_px: float) -> np.ndarray:
    return np.broadcast_to(deg_per_px * np.arange(SHAPE[1], dtype=float), SHAPE)


def seeds_of(truth: np.ndarray, noise_deg: float, position: np.ndarray = EVERY_PIXEL, seed: int = 0) -> Seeds:
    """Points with isotropic noise of this rms angle."""
    rng = np.random.default_rng(seed)
    vector = np.radians(noise_deg) / np.sqrt(3) * rng.normal(size=(len(position), 3))
    noise = quaternion_from_axis_angle(vector, np.linalg.norm(vector, axis=1))
    q = multiply(noise, truth[tuple(position.T)]).astype(np.float32)
    points = SparsePoints(position.astype(np.int32), q, np.ones(len(position), np.bool_))
    return find_seeds(Problem(SHAPE, "6/mmm", points))[0]


def errors_deg(orientation: np.ndarray, truth: np.ndarray, seeds: Seeds) -> np.ndarray:
    return np.asarray(disorientation_deg(orientation, truth[tuple(seeds.position.T)].astype(np.float32), "6/mmm"))


@pytest.mark.parametrize("noise_deg", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("bend", [0.0, 0.3])
def test_the_points_tell_their_noise_though_the_grain_is_bent(noise_deg: float, bend: float) -> None:
    seeds = seeds_of(turned(bent(bend), 1), noise_deg)
    assert noise_in(ring_of(seeds, "6/mmm")) == pytest.approx(noise_deg, rel=0.07)


@pytest.mark.parametrize("noise_deg", [0.5, 2.0])
@pytest.mark.parametrize("position", [EVERY_PIXEL, some_pixels(SHAPE, 500, 5)], ids=["grid", "random"])
def test_noise_falls_to_less_than_two_fifths_in_a_bent_grain(noise_deg: float, position: np.ndarray) -> None:
    truth = turned(bent(0.05), 2)
    seeds = seeds_of(truth, noise_deg, position)
    before, after = (errors_deg(q, truth, seeds).mean() for q in (seeds.orientation, without_noise(seeds, "6/mmm")))
    assert after < 0.4 * before


def test_a_subgrain_of_two_degrees_keeps_its_edge() -> None:
    """A mean over 3 × 3 points would be off by 2/3° beside the edge."""
    truth = turned(np.where(np.arange(SHAPE[1]) < 20, 0.0, 2.0) * np.ones(SHAPE), 3)
    seeds = seeds_of(truth, 0.3)
    beside = np.isin(seeds.position[:, 1], (19, 20))
    error = errors_deg(without_noise(seeds, "6/mmm"), truth, seeds)
    assert error[beside].mean() < 0.8 * errors_deg(seeds.orientation, truth, seeds)[beside].mean()


def test_grains_are_never_mixed() -> None:
    truth, _ = voronoi(SHAPE, 12, 4)
    seeds = seeds_of(truth, 0.001)
    assert errors_deg(without_noise(seeds, "6/mmm"), truth, seeds).max() < 0.05


@pytest.mark.parametrize("count", [1, 2, 5])
def test_too_few_points_stay_as_they_are(count: int) -> None:
    seeds = seeds_of(turned(bent(0.0), 5), 1.0, some_pixels(SHAPE, count, 6))
    assert np.array_equal(without_noise(seeds, "6/mmm"), seeds.orientation)
