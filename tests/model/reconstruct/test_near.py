"""The compiled neighbour search against sorting every seed by distance."""

import numpy as np
import pytest

from grainloop.model.reconstruct import gate as module
from grainloop.model.reconstruct.gate import GROUPS, NEAR_SEEDS, nearest_of_each_group
from grainloop.model.reconstruct.seeds import Seeds
from tests.model.reconstruct.problems import grid_pixels, some_pixels


def seeds_at(position, group):
    count = len(position)
    q = np.tile(np.array([1, 0, 0, 0], np.float32), (count, 1))
    return Seeds(np.asarray(position, np.int32), q, np.arange(count), np.asarray(group, np.int32), 10.0)


def by_sorting(shape, seeds):
    """Slow reference: all seeds by squared distance, then by number; the first of each group among the nearest."""
    seed = np.full((*shape, GROUPS), -1, np.int32)
    distance = np.full((*shape, GROUPS), np.inf, np.float32)
    for r, c in np.ndindex(*shape):
        away2 = ((seeds.position.astype(np.int64) - (r, c)) ** 2).sum(axis=1)
        near = np.lexsort((np.arange(len(seeds)), away2))[:NEAR_SEEDS]
        _, first = np.unique(seeds.group[near], return_index=True)
        kept = near[np.sort(first)][:GROUPS]
        seed[r, c, : len(kept)], distance[r, c, : len(kept)] = kept, np.sqrt(away2[kept])
    return seed, distance


def clustered(shape, seed):
    rng = np.random.default_rng(seed)
    near_corner = np.argwhere(rng.random(shape) < np.exp(-np.hypot(*np.indices(shape)) / 6))
    return np.unique(np.concatenate([near_corner, [[shape[0] - 1, shape[1] - 1]]]), axis=0)


LAYOUTS = {
    "one": np.array([[3, 30]]),
    "few": some_pixels((23, 37), 9, seed=1),
    "sparse": some_pixels((23, 37), 40, seed=2),
    "dense": some_pixels((23, 37), 500, seed=3),
    "every pixel": some_pixels((23, 37), 23 * 37, seed=4),
    "grid with ties": grid_pixels((23, 37), 0.0625),
    "clustered": clustered((23, 37), seed=5),
}


@pytest.mark.parametrize("groups", [1, 5, 40, 10_000])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_search_is_exact_and_ties_go_to_the_lower_number(layout, groups):
    position = LAYOUTS[layout]
    seeds = seeds_at(position, np.random.default_rng(groups).integers(groups, size=len(position)))
    found, expected = nearest_of_each_group((23, 37), seeds), by_sorting((23, 37), seeds)
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1], expected[1])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_search_at_the_seeds_finds_what_the_map_shows_there(layout):
    position = LAYOUTS[layout]
    seeds = seeds_at(position, np.random.default_rng(7).integers(20, size=len(position)))
    whole, _ = nearest_of_each_group((23, 37), seeds)
    np.testing.assert_array_equal(module._groups_at_seeds((23, 37), seeds), whole[tuple(seeds.position.T)])
