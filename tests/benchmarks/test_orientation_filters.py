"""The reference filters for orientation maps on maps whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.tasks.orientation_filters import half_quadratic, kuwahara, mean_of_grain, on_grid
from grainloop.model.crystal import (
    disorientation_deg,
    laue_group,
    multiply,
    quaternion_from_axis_angle,
    random_quaternions,
)
from grainloop.model.reconstruct import SparsePoints

SHAPE = (20, 24)
FILTERS = {
    "mean": mean_of_grain(1),
    "wide mean": mean_of_grain(2),
    "kuwahara": kuwahara(2),
    "half-quadratic": half_quadratic(0.6),
}


def two_grains() -> np.ndarray:
    left, right = random_quaternions(2, np.random.default_rng(1))
    return np.where((np.arange(SHAPE[1]) < 11)[None, :, None], left, right) * np.ones((*SHAPE, 1))


def noisy(truth: np.ndarray, noise_deg: float) -> np.ndarray:
    """The same with isotropic noise, in random symmetric equivalents."""
    rng = np.random.default_rng(2)
    vector = np.radians(noise_deg) / np.sqrt(3) * rng.normal(size=(*truth.shape[:2], 3))
    noise = quaternion_from_axis_angle(vector, np.linalg.norm(vector, axis=-1))
    operators = laue_group("6/mmm").operators
    return multiply(multiply(noise, truth), operators[rng.integers(len(operators), size=truth.shape[:2])])


def on_map(name: str, q: np.ndarray, indexed: np.ndarray, step: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """The filtered points of a grid of this step, and their positions."""
    position = np.argwhere(np.ones(SHAPE))
    position = position[(position % step == 0).all(axis=1)].astype(np.int32)
    at = tuple(position.T)
    points = SparsePoints(position, q[at].astype(np.float32), indexed[at])
    return on_grid(points, FILTERS[name], "6/mmm"), position


@pytest.mark.parametrize("step", [1, 2])
@pytest.mark.parametrize("name", FILTERS)
def test_noise_falls_and_no_grain_takes_part_in_the_other(name: str, step: int) -> None:
    truth = two_grains()
    q = noisy(truth, 1.0)
    found, position = on_map(name, q, np.ones(SHAPE, np.bool_), step)
    at = tuple(position.T)
    error, before = (disorientation_deg(each, truth[at], "6/mmm") for each in (found, q[at]))
    assert error.mean() < 0.6 * before.mean()
    assert error.max() < before.max()


@pytest.mark.parametrize("name", FILTERS)
def test_points_without_an_orientation_do_not_count(name: str) -> None:
    truth = two_grains()
    indexed = np.random.default_rng(3).random(SHAPE) < 0.8
    q = np.where(indexed[..., None], truth, random_quaternions(1, np.random.default_rng(4))[0])
    found, position = on_map(name, q, indexed)
    at = tuple(position[indexed[tuple(position.T)]].T)
    known = found.reshape(*SHAPE, 4)[at]
    assert np.asarray(disorientation_deg(known, truth[at], "6/mmm")).max() < 0.05


def test_the_kuwahara_filter_keeps_an_edge_that_the_mean_of_the_square_smears() -> None:
    """Two subgrains 2° apart: within 5° the mean takes both for one grain."""
    turn = quaternion_from_axis_angle(np.array([0.0, 0.6, 0.8]), np.radians(2.0))
    start = random_quaternions(1, np.random.default_rng(5))[0]
    truth = np.where((np.arange(SHAPE[1]) < 11)[None, :, None], start, multiply(turn, start)) * np.ones((*SHAPE, 1))
    errors = {
        name: np.asarray(
            disorientation_deg(on_map(name, truth, np.ones(SHAPE, np.bool_))[0], truth.reshape(-1, 4), "6/mmm")
        )
        for name in ("mean", "kuwahara")
    }
    assert errors["kuwahara"].max() < 0.05
    assert errors["mean"].max() > 0.5
