"""Measured points as seeds: repeats that agree or contradict, groups of neighbours."""

import numpy as np
import pytest

from grainloop.model.crystal import multiply, quaternion_from_axis_angle
from grainloop.model.reconstruct import Problem, SparsePoints
from grainloop.model.reconstruct.seeds import MAX_LENGTH_PX, correlation_length_px, find_seeds
from tests.model.reconstruct.problems import problem, some_pixels, voronoi


def turned(degrees):
    return quaternion_from_axis_angle(np.array([1.0, 0.0, 0.0]), np.radians(degrees)).astype(np.float32)


def at(positions, degrees, indexed=None):
    indexed = np.ones(len(degrees), bool) if indexed is None else np.array(indexed)
    points = SparsePoints(np.array(positions, np.int32), np.stack([turned(d) for d in degrees]), indexed)
    return find_seeds(Problem((20, 20), "6/mmm", points))


def test_not_indexed_points_never_seed():
    seeds, notes = at([(1, 1), (5, 5), (9, 9)], [0, 40, 80], indexed=[True, False, True])
    assert seeds.index.tolist() == [0, 2]
    assert notes == ()


def test_repeats_that_agree_count_once_and_the_latest_stays():
    seeds, notes = at([(1, 1), (7, 7), (1, 1)], [0, 40, 1])
    assert sorted(seeds.index.tolist()) == [1, 2]
    assert notes == ()


def test_of_three_repeats_the_odd_one_out_loses_and_is_reported():
    seeds, notes = at([(1, 1), (1, 1), (1, 1)], [20, 21, 50])
    assert seeds.index.tolist() == [1]
    assert len(notes) == 1
    assert notes[0].startswith("1 pixels were measured more than once")


def test_two_repeats_that_contradict_leave_the_latest_and_are_reported():
    seeds, notes = at([(1, 1), (1, 1), (4, 4), (4, 4)], [20, 50, 10, 30])
    assert sorted(seeds.index.tolist()) == [1, 3]
    assert notes[0].startswith("2 pixels")


def test_neighbours_that_agree_form_a_group():
    seeds, _ = at([(1, 1), (1, 4), (1, 7), (1, 10)], [0, 3, 40, 42])
    assert seeds.group[0] == seeds.group[1] != seeds.group[2] == seeds.group[3]


def test_symmetry_is_applied_when_seeds_are_grouped():
    base = turned(17)
    same_crystal = multiply(base, quaternion_from_axis_angle(np.array([0.0, 0.0, 1.0]), np.pi / 3)).astype(np.float32)
    points = SparsePoints(np.array([(0, 0), (0, 3)], np.int32), np.stack([base, same_crystal]), np.ones(2, bool))
    assert len(set(find_seeds(Problem((20, 20), "6/mmm", points))[0].group)) == 1
    assert len(set(find_seeds(Problem((20, 20), "m-3m", points))[0].group)) == 2


@pytest.mark.parametrize("length", [2.0, 8.0, 30.0])
def test_the_correlation_length_of_exponential_pairs_is_recovered(length):
    rng = np.random.default_rng(0)
    distance = rng.integers(1, 13, size=40_000).astype(float)
    different = rng.random(len(distance)) < 1 - np.exp(-distance / length)
    assert correlation_length_px(distance, different) == pytest.approx(length, rel=0.08)


def test_without_pairs_the_correlation_length_is_the_longest():
    assert correlation_length_px(np.empty(0), np.empty(0, bool)) == MAX_LENGTH_PX
    seeds, _ = at([(1, 1)], [0])
    assert seeds.length_px == MAX_LENGTH_PX


def test_the_correlation_length_grows_with_the_grains():
    lengths = []
    for grains in (300, 75, 20):
        truth, _ = voronoi((60, 60), grains, seed=3)
        lengths.append(find_seeds(problem(truth, some_pixels((60, 60), 300, seed=4)))[0].length_px)
    assert lengths[0] < lengths[1] < lengths[2]
