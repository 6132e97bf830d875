"""Coarse grids: as many points as allowed, regular, nearly square, spread as they are taken away."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grainloop.controller.geometry.grid import (
    around,
    coarse_grid,
    coarse_grid_of_at_least,
    space_filling,
    spread_apart,
)

SHAPES = st.tuples(st.integers(1, 60), st.integers(1, 60))


@given(shape=SHAPES, share=st.floats(0, 1))
@settings(deadline=None)
def test_a_grid_holds_at_most_the_points_allowed_each_once(shape: tuple[int, int], share: float) -> None:
    count = max(1, round(share * shape[0] * shape[1]))
    grid = coarse_grid(shape, count)
    assert 1 <= len(grid) <= count
    assert len(np.unique(grid, axis=0)) == len(grid)
    assert ((grid >= 0) & (grid < shape)).all()


@pytest.mark.parametrize(
    ("shape", "count"), [((200, 200), 2400), ((200, 200), 400), ((137, 167), 1373), ((48, 48), 138)]
)
def test_a_grid_is_regular_nearly_square_and_wastes_little(shape: tuple[int, int], count: int) -> None:
    grid = coarse_grid(shape, count)
    assert len(grid) >= 0.95 * count
    steps = [np.diff(np.unique(grid[:, axis])) for axis in (0, 1)]
    assert all(np.ptp(step) <= 1 for step in steps)
    assert 0.75 < steps[0].mean() / steps[1].mean() < 1.34
    margins = grid.min(axis=0) - (np.array(shape) - 1 - grid.max(axis=0))
    assert (np.abs(margins) <= 2).all()


def test_all_pixels_make_a_full_grid() -> None:
    assert len(coarse_grid((7, 11), 77)) == 77
    assert len(coarse_grid((7, 11), 1000)) == 77


@given(shape=SHAPES, share=st.floats(0, 1))
@settings(deadline=None, max_examples=50)
def test_a_reference_grid_has_no_fewer_points_than_asked(shape: tuple[int, int], share: float) -> None:
    count = max(1, round(share * shape[0] * shape[1]))
    assert count <= len(coarse_grid_of_at_least(shape, count)) <= shape[0] * shape[1]
    assert len(coarse_grid_of_at_least((200, 200), 2400)) == 2400
    assert 686 <= len(coarse_grid_of_at_least((137, 167), 686)) <= 700


def test_points_held_back_lie_evenly_among_the_others() -> None:
    grid = coarse_grid((200, 200), 1200)
    held = grid[spread_apart(grid, 150)].astype(float)
    assert len(held) == 150
    gaps = np.sort(np.hypot(*(held[:, None] - held[None]).transpose(2, 0, 1)), axis=1)[:, 1]
    assert gaps.min() > 0.6 * np.sqrt(200 * 200 / 150)
    assert spread_apart(grid, len(grid)).all()


@given(shape=SHAPES, seed=st.integers(0, 99), count=st.integers(0, 50))
@settings(deadline=None)
def test_space_filling_takes_free_pixels_only_each_once(shape: tuple[int, int], seed: int, count: int) -> None:
    taken = np.random.default_rng(seed).random(shape) < 0.4
    picks = space_filling(taken, count)
    assert len(picks) == min(count, int((~taken).sum()))
    assert not taken[tuple(picks.T)].any()
    assert len(np.unique(picks, axis=0)) == len(picks)


def test_each_pick_is_the_farthest_by_brute_force() -> None:
    taken = np.zeros((23, 17), np.bool_)
    taken[[3, 20, 11], [4, 2, 15]] = True
    known = np.argwhere(taken).tolist()
    pixels = np.argwhere(np.ones_like(taken))
    for pick in space_filling(taken, 20):
        reach = np.min([((pixels - other) ** 2).sum(axis=1) for other in np.array(known)], axis=0)
        assert np.min([((pick - np.array(other)) ** 2).sum() for other in known]) == reach.max()
        known.append(pick.tolist())


def test_the_first_of_no_points_is_in_the_middle() -> None:
    assert space_filling(np.zeros((21, 31), np.bool_), 1).tolist() == [[10, 15]]


def test_a_disc_around_pixels() -> None:
    mask = around(np.array([[0, 0], [5, 5]], np.int32), 1.5, (8, 8))
    assert mask.sum() == 4 + 9
    assert around(np.empty((0, 2), np.int32), 3, (4, 4)).sum() == 0
    assert around(np.array([[2, 2]], np.int32), 0.4, (4, 4)).sum() == 1
