"""Samples from gate probabilities: exact marginals, neighbours alike, the same in tiles."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from grainloop.model.estimate.samples import Weighted, never_hit_orientations, sample_slots

SHARES = (0.5, 0.25, 0.1, 0.05)
NEVER_HIT = 0.1


def constant(shape: tuple[int, int], groups: tuple[int, ...] = (0, 1, 2, 3)) -> Weighted:
    weight = np.tile(np.array(SHARES, np.float32), (*shape, 1))
    return Weighted(weight, np.tile(np.array(groups, np.int32), (*shape, 1)), np.full(shape, NEVER_HIT, np.float32))


def test_every_candidate_wins_as_often_as_it_is_likely() -> None:
    drawn = sample_slots(constant((48, 48)), 300, seed=1)
    found = [float((drawn == slot).mean()) for slot in (0, 1, 2, 3, -1)]
    assert found == pytest.approx([*SHARES, NEVER_HIT], abs=0.01)


def test_the_marginals_hold_at_every_place_between_the_nodes_of_the_fields() -> None:
    """A field that is not of unit variance between its nodes would favour the likelier candidates there."""
    drawn = sample_slots(constant((8, 8)), 6000, seed=2)
    assert np.abs((drawn == 0).mean(axis=0) - SHARES[0]).max() < 0.04


def test_neighbours_choose_alike_and_far_pixels_do_not() -> None:
    drawn = sample_slots(constant((64, 64)), 40, seed=3)
    alike = {lag: float((drawn[:, :, lag:] == drawn[:, :, :-lag]).mean()) for lag in (1, 2, 16)}
    independent = sum(p * p for p in (*SHARES, NEVER_HIT))
    assert alike[1] > 0.75
    assert alike[1] > alike[2] > alike[16]
    assert alike[16] == pytest.approx(independent, abs=0.03)


def test_a_slot_without_candidate_or_weight_never_wins() -> None:
    given = constant((16, 16), groups=(0, 1, -1, 3))
    given.weight[..., 3] = 0
    assert set(np.unique(sample_slots(given, 20, seed=4))) <= {0, 1, -1}


def test_pixels_of_one_grain_move_together_whatever_slot_it_is_in() -> None:
    """Two columns list the same grains in another order: they choose the same grain, not the same slot."""
    weight = np.full((1, 2, 2), 0.5, np.float32)
    group = np.array([[[7, 9], [9, 7]]], np.int32)
    drawn = sample_slots(Weighted(weight, group, np.zeros((1, 2), np.float32)), 400, seed=5)
    grain = np.take_along_axis(np.broadcast_to(group, (400, 1, 2, 2)), drawn[..., None], axis=-1)[..., 0]
    assert float((grain[:, 0, 0] == grain[:, 0, 1]).mean()) > 0.7


def test_a_tile_is_the_crop_of_the_whole() -> None:
    whole = constant((40, 40))
    tile = Weighted(whole.weight[8:24, 12:40], whole.group[8:24, 12:40], whole.free[8:24, 12:40], origin=(8, 12))
    assert np.array_equal(sample_slots(tile, 5, seed=6), sample_slots(whole, 5, seed=6)[:, 8:24, 12:40])


def test_seeds_decide_alone() -> None:
    first, again, other = (sample_slots(constant((24, 24)), 4, seed) for seed in (7, 7, 8))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert not np.array_equal(first[0], first[1])


def test_grains_never_hit_take_orientations_of_the_section_cell_by_cell() -> None:
    known = np.eye(4, dtype=np.float32)
    first, second = islice(never_hit_orientations(known, (20, 30), 2.0, seed=9), 2)
    assert first.shape == (20, 30, 4)
    assert {tuple(q) for q in first.reshape(-1, 4)} <= {tuple(q) for q in known}
    assert np.array_equal(first[0, 0], first[3, 3])
    assert not np.array_equal(first, second)
