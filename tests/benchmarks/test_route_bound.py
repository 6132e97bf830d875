"""The bound that the benchmark of routes compares with is one, and a tight one."""

from itertools import permutations

import numpy as np
import pytest

from benchmarks.computing.route import shortest_possible
from grainloop.controller.geometry.route import path_length, short_path


@pytest.mark.parametrize("seed", range(5))
def test_no_path_undercuts_the_bound(seed):
    points = np.random.default_rng(seed).random((7, 2)) * 30
    best = min(path_length(points, order) for order in permutations(range(7)))
    assert 0.9 * best < shortest_possible(points) <= best + 1e-6


def test_it_is_close_for_many_points():
    points = np.random.default_rng(1).random((150, 2)) * 100
    ours = path_length(points, short_path(points))
    assert ours / 1.06 < shortest_possible(points) <= ours
