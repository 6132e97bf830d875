"""The batch against a brute-force greedy choice, and space filling against a regular grid."""

import tracemalloc

import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial import KDTree

from grainloop.model.acquire.filling import fill
from grainloop.model.acquire.spread import expected_gain, greedy


def brute_force(value, free, kernel, count):
    """Recompute every gain after every pick."""
    value, free, picks = value.astype(np.float64), free.copy(), []
    reach = len(kernel) // 2
    for _ in range(count):
        gain = np.where(free, ndimage.correlate(value, kernel, mode="constant"), -1)
        r, c = np.unravel_index(gain.argmax(), gain.shape)
        picks.append((r, c, gain[r, c]))
        free[max(r - 1, 0) : r + 2, max(c - 1, 0) : c + 2] = False
        padded = np.pad(value, reach)
        padded[r : r + 2 * reach + 1, c : c + 2 * reach + 1] *= 1 - kernel
        value = padded[reach : -reach or None, reach : -reach or None]
    return np.array(picks)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("window", [0.75, 1.5, 2.2])
def test_a_batch_is_the_greedy_one(seed, window):
    rng = np.random.default_rng(seed)
    value, free = rng.random((14, 17)).astype(np.float32), rng.random((14, 17)) < 0.8
    _, kernel = expected_gain(value, window)
    picked, gain = greedy(value, free, kernel, 12, np.empty((0, 2), np.intp))
    expected = brute_force(value, free, kernel.astype(np.float64), 12)
    assert np.array_equal(picked, expected[:, :2])
    assert gain == pytest.approx(expected[:, 2], rel=1e-4)


def test_the_gain_of_a_lone_wrong_pixel_is_one():
    value = np.zeros((9, 9), np.float32)
    value[4, 4] = 1
    gain, kernel = expected_gain(value, 1.0)
    assert gain[4, 4] == pytest.approx(1)
    picked, _ = greedy(value, np.ones((9, 9), bool), kernel, 2, np.empty((0, 2), np.intp))
    assert picked[0].tolist() == [4, 4]


def test_points_chosen_before_count_as_explained():
    value = np.zeros((9, 20), np.float32)
    value[4, 4], value[4, 15] = 1.0, 0.9
    _, kernel = expected_gain(value, 1.0)
    picked, _ = greedy(value, np.ones((9, 20), bool), kernel, 1, np.array([[4, 4]]))
    assert picked[0].tolist() == [4, 15]


@pytest.mark.parametrize("count", [16, 64, 200])
def test_filling_leaves_no_gap_much_larger_than_a_grid_does(count):
    shape = (48, 48)
    taken = np.zeros(shape, bool)
    position, _ = fill(taken, ~taken, count, np.random.default_rng(1))
    away, _ = KDTree(position).query(np.argwhere(~taken))
    grid_gap = np.hypot(48, 48) / np.sqrt(count) / 2
    assert away.max() < 1.9 * grid_gap
    assert KDTree(position).query(position, k=2)[0][:, 1].min() > 0.6 * grid_gap


def test_filling_goes_where_nothing_was_measured():
    taken = np.zeros((20, 40), bool)
    taken[::3, :20:3] = True
    position, gap = fill(taken, ~taken, 12, np.random.default_rng(2))
    assert np.mean(position[:, 1] > 19) > 0.9
    assert np.all(gap[:1] >= gap)


def test_filling_a_few_of_very_many_equal_gaps_takes_little_memory():
    """In a section of 400 × 400 px with every other pixel of every other row there are 40,000 of them."""
    taken = np.zeros((400, 400), np.bool_)
    taken[::2, ::2] = True
    tracemalloc.start()
    position, gap = fill(taken, ~taken, 40, np.random.default_rng(3))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(position) == 40
    assert np.allclose(gap, np.sqrt(2))
    assert most < 200 * taken.size
