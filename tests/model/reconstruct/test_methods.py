"""Every classical method keeps what all promise: points held, sound figures, one result per seed."""

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from grainloop.model.crystal import disorientation_deg, multiply, random_quaternions
from grainloop.model.reconstruct import METHODS, Options, RegisteredLight, SparsePoints, never, no_report
from tests.model.reconstruct.problems import grid_pixels, measured, perfect_light, problem, some_pixels, voronoi

NAMES = list(METHODS)


def solve(name, given, **options):
    return METHODS[name](given, Options(**options), no_report, never)


def wrong(found, truth, group="6/mmm"):
    return float(np.mean(disorientation_deg(found.orientation, truth, group) > 5))


def equal(a, b):
    return all(
        np.array_equal(getattr(a, f.name), getattr(b, f.name))
        for f in fields(a)
        if isinstance(getattr(a, f.name), np.ndarray)
    )


@pytest.mark.parametrize("name", NAMES)
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 40))
@settings(max_examples=15, deadline=None)
def test_whatever_the_points_the_map_holds_them_and_the_figures_are_sound(name, seed, count):
    truth, _ = voronoi((13, 17), 8, seed)
    indexed = np.random.default_rng(seed).random(count) < 0.8
    indexed[0] = True
    light = perfect_light(truth, 0.2, seed)
    task = problem(truth, some_pixels((13, 17), count, seed), light=light, indexed=indexed)
    found = solve(name, task, members=3, seed=1)
    where = tuple(task.points.position_px[indexed].T)
    assert np.array_equal(found.orientation[where], task.points.orientation[indexed])
    assert found.orientation.dtype == np.float32
    for figure in (found.p_wrong, found.boundary):
        assert np.all((figure >= 0) & (figure <= 1))
    assert np.all(found.expected_error_deg >= 0)
    assert found.grain.min() >= 1
    weights = found.candidates.weight.sum(-1)
    assert np.all(weights <= 1 + 1e-5)
    assert found.candidates.free == pytest.approx(np.clip(1 - weights, 0, 1), abs=1e-5)
    measured_ones = np.flatnonzero(indexed)
    assert set(np.unique(found.candidates.point)) <= {-1, *measured_ones.tolist()}


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_the_same_result_to_the_bit(name):
    truth, _ = voronoi((20, 20), 10, seed=1)
    task = problem(truth, some_pixels((20, 20), 25, seed=2), light=perfect_light(truth, 0.3))
    assert equal(solve(name, task, seed=4), solve(name, task, seed=4))


def test_the_seed_decides_the_members_of_the_ensemble():
    truth, _ = voronoi((20, 20), 10, seed=1)
    task = problem(truth, some_pixels((20, 20), 25, seed=2), light=perfect_light(truth, 0.3))
    assert not equal(solve("pl_watershed", task, seed=4), solve("pl_watershed", task, seed=5))


@pytest.mark.parametrize("name", NAMES)
def test_the_orientation_of_a_point_that_is_not_indexed_is_ignored(name):
    truth, _ = voronoi((16, 16), 6, seed=3)
    task = problem(truth, some_pixels((16, 16), 20, seed=4), indexed=np.arange(20) % 4 > 0)
    other = task.points.orientation.copy()
    other[~task.points.indexed] = np.nan
    changed = replace(task, points=SparsePoints(task.points.position_px, other, task.points.indexed))
    assert equal(solve(name, task), solve(name, changed))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("count", [0, 5])
def test_without_an_indexed_point_the_map_says_that_it_knows_nothing(name, count):
    truth, _ = voronoi((8, 9), 3, seed=5)
    task = problem(truth, some_pixels((8, 9), count, seed=6), indexed=np.zeros(count, bool))
    found = solve(name, task)
    assert np.all(found.p_wrong == 1)
    assert np.all(found.grain == 0)
    assert "No measured point is indexed" in found.degraded[0]


@pytest.mark.parametrize("name", NAMES)
def test_one_point_fills_the_map_and_doubt_grows_with_distance(name):
    truth, _ = voronoi((30, 30), 3, seed=5)
    found = solve(name, problem(truth, [(15, 15)]))
    assert np.all(found.orientation == truth[15, 15])
    assert found.p_wrong[15, 15] <= found.p_wrong[15, 29]


def test_nearest_neighbour_is_the_nearest_neighbour():
    truth, _ = voronoi((40, 30), 25, seed=7)
    position = some_pixels((40, 30), 60, seed=8)
    found = solve("nn", problem(truth, position))
    away = np.ones((40, 30), bool)
    away[tuple(position.T)] = False
    distance, nearest = ndimage.distance_transform_edt(away, return_indices=True)
    expected = truth[tuple(nearest)]
    rows, cols = np.indices((40, 30))
    ties = (
        np.sum(
            np.isclose(
                np.hypot(rows[..., None] - position[:, 0], cols[..., None] - position[:, 1]), distance[..., None]
            ),
            -1,
        )
        > 1
    )
    assert np.array_equal(found.orientation[~ties], expected[~ties])
    assert ties.mean() < 0.2


@pytest.mark.parametrize("name", NAMES)
def test_turning_the_sample_turns_the_map(name):
    truth, _ = voronoi((20, 20), 8, seed=9)
    turn = random_quaternions(1, np.random.default_rng(1)).astype(np.float32)[0]
    position = some_pixels((20, 20), 30, seed=10)
    here = solve(name, problem(truth, position))
    there = solve(name, problem(multiply(turn, truth).astype(np.float32), position))
    angle = disorientation_deg(multiply(turn, here.orientation), there.orientation, "6/mmm")
    assert angle.max() < 0.01
    assert there.p_wrong == pytest.approx(here.p_wrong, abs=1e-4)


@pytest.mark.parametrize("name", ["pl_candidates", "pl_watershed"])
def test_light_shows_grain_boundaries_between_the_points(name):
    truth, _ = voronoi((64, 64), 40, seed=11)
    position = grid_pixels((64, 64), 0.03)
    blind, seeing = (solve(name, problem(truth, position, light=m)) for m in (None, perfect_light(truth, 0.1)))
    assert seeing.light_used
    assert not blind.light_used
    assert wrong(seeing, truth) < 0.6 * wrong(blind, truth)
    assert seeing.p_wrong.mean() < blind.p_wrong.mean()


@pytest.mark.parametrize("name", ["pl_candidates", "pl_watershed"])
def test_what_keeps_light_out_is_said(name):
    truth, _ = voronoi((16, 16), 5, seed=12)
    position = some_pixels((16, 16), 12, seed=13)
    dark = RegisteredLight(np.full((5, 16, 16), np.nan, np.float32), np.full((5, 16, 16), np.inf, np.float32))
    for task, words in (
        (problem(truth, position), "There is no PL of this section"),
        (problem(truth, position, light=dark), "trusted nowhere"),
        (
            problem(truth, position, group="m-3m", light=perfect_light(truth, 0.1)),
            "Laue group m-3m has no contrast",
        ),
        (problem(truth, position[:1], light=perfect_light(truth, 0.1)), "does not tell the measured grains apart"),
    ):
        found = solve(name, task)
        assert not found.light_used
        assert words in found.degraded[-1]
        assert found.degraded[-1].endswith("EBSD alone is used.")


def test_nearest_neighbour_has_nothing_to_excuse_without_light():
    truth, _ = voronoi((16, 16), 5, seed=12)
    assert solve("nn", problem(truth, some_pixels((16, 16), 12, seed=13))).degraded == ()


def test_without_usable_light_the_watershed_is_nearest_neighbour():
    truth, _ = voronoi((16, 16), 5, seed=14)
    task = problem(truth, some_pixels((16, 16), 12, seed=15))
    assert equal(solve("pl_watershed", task), solve("nn", task))


@pytest.mark.parametrize("group", ["6/mmm", "m-3m", "4/mmm", "mmm"])
@pytest.mark.parametrize("name", NAMES)
def test_every_crystal_symmetry_is_served(name, group):
    truth, _ = voronoi((24, 24), 8, seed=16)
    found = solve(name, problem(truth, grid_pixels((24, 24), 0.1), group=group, light=perfect_light(truth, 0.1)))
    assert wrong(found, truth, group) < 0.35


def test_repeats_that_contradict_are_declared_by_every_method():
    truth, _ = voronoi((16, 16), 5, seed=17)
    points = measured(truth, [(3, 3), (3, 3), (9, 9)])
    other = points.orientation.copy()
    other[1] = truth[tuple(np.argwhere(disorientation_deg(truth, truth[3, 3], "6/mmm") > 10)[0])]
    task = replace(problem(truth, [(3, 3)]), points=SparsePoints(points.position_px, other, points.indexed))
    for name in NAMES:
        found = solve(name, task)
        assert "measured more than once" in found.degraded[0]
        assert np.array_equal(found.orientation[3, 3], other[1])
