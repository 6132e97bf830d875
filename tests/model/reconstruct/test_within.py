"""Orientations inside a bent grain against the bend they come from."""

from __future__ import annotations

import numpy as np
import pytest

from grainloop.model.crystal import (
    disorientation_deg,
    laue_group,
    multiply,
    quaternion_from_axis_angle,
    random_quaternions,
)
from grainloop.model.reconstruct import Problem, SparsePoints
from grainloop.model.reconstruct.seeds import Seeds, find_seeds
from grainloop.model.reconstruct.within import LONELY_DEG, bent_map, find_partners, orientation_at, scatter_at
from tests.model.reconstruct.problems import grid_pixels

SHAPE = (48, 48)
BEND_DEG_PX = 0.7


def bent_section(symmetry: str, noise_deg: float, seed: int = 0) -> tuple[np.ndarray, Seeds]:
    """A grain that turns about a fixed axis along the columns, measured on a grid of 6 px in random equivalents."""
    rng = np.random.default_rng(seed)
    angle = np.radians(BEND_DEG_PX * np.arange(SHAPE[1], dtype=float))
    axis = np.broadcast_to([0.6, 0.0, 0.8], (SHAPE[1], 3))
    turn = quaternion_from_axis_angle(axis, angle)
    truth = np.broadcast_to(multiply(turn, random_quaternions(1, rng)), (*SHAPE, 4)).astype(np.float32)
    position = grid_pixels(SHAPE, 1 / 36).astype(np.int32)
    direction = rng.normal(size=(len(position), 3))
    size = np.radians(noise_deg) / np.sqrt(3) * np.linalg.norm(direction, axis=-1)
    noise = quaternion_from_axis_angle(direction, size)
    operators = laue_group(symmetry).operators
    q = multiply(multiply(noise, truth[tuple(position.T)]), operators[rng.integers(len(operators), size=len(position))])
    points = SparsePoints(position, q.astype(np.float32), np.ones(len(position), np.bool_))
    return truth, find_seeds(Problem(SHAPE, symmetry, points))[0]


def nearest(seeds: Seeds) -> np.ndarray:
    place = np.indices(SHAPE).reshape(2, -1).T
    apart = ((place[:, None] - seeds.position[None]) ** 2).sum(axis=-1)
    return apart.argmin(axis=1).reshape(SHAPE).astype(np.int32)


@pytest.mark.parametrize("symmetry", ["6/mmm", "m-3m"])
def test_a_bent_grain_is_followed_closer_than_by_its_nearest_point(symmetry: str) -> None:
    truth, seeds = bent_section(symmetry, noise_deg=0.0)
    chosen = nearest(seeds)
    found = bent_map(seeds, find_partners(seeds, symmetry), chosen)
    inner = (slice(6, -6), slice(6, -6))
    error = disorientation_deg(found, truth, symmetry)[inner].mean()
    assert error < 0.6 * disorientation_deg(seeds.orientation[chosen], truth, symmetry)[inner].mean()


def test_noise_is_averaged_inside_a_grain() -> None:
    """Midway between four points of 1° noise their mean is better than any of them, though the grain is bent."""
    truth, seeds = bent_section("6/mmm", noise_deg=1.0, seed=1)
    place = seeds.position[seeds.position.max(axis=1) < 40] + 3
    chosen = nearest(seeds)[tuple(place.T)]
    found = orientation_at(seeds, find_partners(seeds, "6/mmm"), chosen, place)
    mean, point = (
        np.mean(disorientation_deg(q, truth[tuple(place.T)], "6/mmm")) for q in (found, seeds.orientation[chosen])
    )
    assert mean < 0.5 * point


def test_bending_is_measured_in_degrees_per_pixel() -> None:
    _, seeds = bent_section("6/mmm", noise_deg=0.0)
    found = find_partners(seeds, "6/mmm").bending_deg_px
    assert np.median(found) == pytest.approx(BEND_DEG_PX / np.sqrt(2), rel=0.3)  # half the neighbours lie across it


def test_steps_are_not_averaged_over() -> None:
    """Two grains 10° apart: no pixel gets an orientation between them, whichever of them it belongs to."""
    turn = np.radians(5.0)
    q = np.array([[1, 0, 0, 0], [np.cos(turn), 0, np.sin(turn), 0]], np.float32)[np.arange(16) % 8 // 4]
    points = SparsePoints(grid_pixels((8, 32), 1 / 16).astype(np.int32), q, np.ones(16, np.bool_))
    seeds, _ = find_seeds(Problem((8, 32), "6/mmm", points))
    partners = find_partners(seeds, "6/mmm")
    for chosen in range(16):
        place = np.array([[3, 15], [4, 16]])
        found = orientation_at(seeds, partners, np.full(2, chosen, np.int32), place)
        assert np.max(disorientation_deg(found, seeds.orientation[[chosen, chosen]], "6/mmm")) < 0.1


def test_a_lonely_point_keeps_its_orientation() -> None:
    q = random_quaternions(1, np.random.default_rng(2)).astype(np.float32)
    points = SparsePoints(np.array([[4, 4]], np.int32), q, np.ones(1, np.bool_))
    seeds, _ = find_seeds(Problem((9, 9), "6/mmm", points))
    found = bent_map(seeds, find_partners(seeds, "6/mmm"), np.zeros((9, 9), np.int32))
    assert np.allclose(found, q[0], atol=1e-6)
    assert find_partners(seeds, "6/mmm").scatter_deg.tolist() == pytest.approx([LONELY_DEG])


@pytest.mark.parametrize("noise_deg", [0.3, 1.0, 3.0])
def test_scatter_is_the_noise_of_the_points_where_nothing_bends(noise_deg: float) -> None:
    rng = np.random.default_rng(3)
    position = grid_pixels((40, 40), 1 / 16).astype(np.int32)
    turn = rng.normal(0, np.radians(noise_deg) / np.sqrt(3), (len(position), 3))
    q = quaternion_from_axis_angle(turn, np.linalg.norm(turn, axis=-1)).astype(np.float32)
    seeds, _ = find_seeds(Problem((40, 40), "6/mmm", SparsePoints(position, q, np.ones(len(q), np.bool_))))
    assert np.median(find_partners(seeds, "6/mmm").scatter_deg) == pytest.approx(noise_deg, rel=0.15)


def test_scatter_grows_with_the_distance_to_the_point() -> None:
    _, seeds = bent_section("6/mmm", noise_deg=0.5)
    partners, chosen = find_partners(seeds, "6/mmm"), np.full(SHAPE, 0, np.int32)
    found = scatter_at(seeds, partners, chosen)
    row, column = seeds.position[0]
    away = np.hypot(*(np.indices(SHAPE) - np.array([row, column])[:, None, None]))
    assert found[row, column] == pytest.approx(partners.scatter_deg[0] / np.sqrt(2), rel=1e-5)
    assert np.all(np.diff(found.ravel()[np.argsort(away.ravel(), kind="stable")]) >= -1e-6)
    spacing = int(partners.spacing_px[0])
    assert found[row + spacing, column] == pytest.approx(partners.scatter_deg[0], rel=0.1)
