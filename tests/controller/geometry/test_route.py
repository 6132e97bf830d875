"""Short paths: permutations that are the same every time and near the optimum."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grainloop.controller.geometry.route import nearest_neighbour, path_length, short_path, way_lengths

PIXELS = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), min_size=1, max_size=80)
START = st.none() | st.tuples(st.integers(0, 60), st.integers(0, 60))


@given(pixels=PIXELS, start=START)
@settings(deadline=None, max_examples=150)
def test_it_is_a_permutation_and_never_longer_than_nearest_neighbour(
    pixels: list[tuple[int, int]], start: tuple[int, int] | None
) -> None:
    points = np.array(pixels)
    order = short_path(points, start)
    assert sorted(order.tolist()) == list(range(len(points)))
    reference = path_length(points, nearest_neighbour(points, start), start)
    assert path_length(points, order, start) <= reference + 1e-6


@given(pixels=PIXELS, start=START)
@settings(deadline=None, max_examples=30)
def test_it_is_deterministic(pixels: list[tuple[int, int]], start: tuple[int, int] | None) -> None:
    assert np.array_equal(short_path(pixels, start), short_path(pixels, start))


@pytest.mark.parametrize(
    ("n", "side_px", "digest"),
    [
        (3, 9, "8a813d53c6ae983e"),
        (12, 30, "90ae40fbbb1265ee"),
        (40, 8, "8370322778005b98"),
        (150, 60, "cc7e3760a7b70a92"),
        (600, 200, "979ab7185e2964b1"),
    ],
)
def test_paths_are_those_of_the_first_version_that_recorded_any(n: int, side_px: int, digest: str) -> None:
    """Runs are decided again from their journals: a path that is another one, however short, makes them differ."""
    points = np.random.default_rng((3, 12, 40, 150, 600).index(n)).integers(0, side_px, (n, 2))
    orders = [short_path(points), short_path(points, (side_px // 2, side_px))]
    assert hashlib.sha256(np.concatenate(orders).astype("<i8").tobytes()).hexdigest()[:16] == digest


def test_nearest_neighbour_by_brute_force() -> None:
    points = np.random.default_rng(3).integers(0, 100, (60, 2)).astype(float)
    left, order = list(range(1, 60)), [0]
    while left:
        distances = np.hypot(*(points[left] - points[order[-1]]).T)
        order.append(left.pop(int(np.argmin(distances))))
    assert path_length(points, order) == pytest.approx(path_length(points, nearest_neighbour(points)))


def test_it_finds_the_optimum_of_small_problems() -> None:
    from itertools import permutations

    rng = np.random.default_rng(5)
    for _ in range(10):
        points = rng.integers(0, 30, (7, 2))
        best = min(path_length(points, order) for order in permutations(range(7)))
        assert path_length(points, short_path(points)) <= best * 1.05 + 1e-9


def test_thousand_random_points_come_close_to_the_optimum() -> None:
    """The optimal tour of random points has length 0.7124·√(n·A); nearest neighbour is about 25 % above it."""
    for seed in range(3):
        points = np.random.default_rng(seed).random((1000, 2)) * 200
        ours = path_length(points, short_path(points))
        assert ours < 0.86 * path_length(points, nearest_neighbour(points))
        assert ours < 1.08 * 0.7124 * np.sqrt(1000 * 200 * 200)


def test_coincident_points_and_tiny_batches() -> None:
    assert short_path(np.empty((0, 2))).tolist() == []
    assert short_path([[4, 4]]).tolist() == [0]
    assert sorted(short_path([[1, 1]] * 12).tolist()) == list(range(12))
    assert short_path([[0, 9], [0, 1], [0, 5]], start=(0, 0)).tolist() == [1, 2, 0]


def test_the_ways_to_the_points_add_up_to_the_path() -> None:
    points = np.random.default_rng(3).integers(0, 50, (20, 2))
    ways = way_lengths(points, (5, 5))
    assert ways.sum() == pytest.approx(path_length(points, start=(5, 5)), rel=1e-5)
    assert np.isnan(way_lengths(points)[0])
    np.testing.assert_allclose(way_lengths(points)[1:], ways[1:])
    assert path_length(points[:0]) == 0
