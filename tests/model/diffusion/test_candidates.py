"""Candidates of every pixel against brute force."""

from __future__ import annotations

import numpy as np
import pytest

from model.crystal import embed, random_quaternions
from model.diffusion.candidates import COUNT, gather_candidates, local_spacing
from model.diffusion.patterns import draw_pattern, regular_grid
from model.diffusion.state import StateSpace


def _points(rng: np.random.Generator, shape: tuple[int, int], share: float) -> np.ndarray:
    return np.argwhere(rng.random(shape) < share).astype(np.int32)


def test_first_slot_is_the_nearest_point(rng: np.random.Generator, space: StateSpace) -> None:
    shape = (20, 30)
    px = _points(rng, shape, 0.05)
    found = gather_candidates(px, embed(random_quaternions(len(px), rng), space.group).astype(np.float32), shape, 0.128)
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    distance = np.hypot(rows[None] - px[:, 0, None, None], columns[None] - px[:, 1, None, None])
    chosen = np.take_along_axis(distance, found.index[:1].astype(np.int64), 0)[0]
    assert chosen == pytest.approx(distance.min(0))


def test_slots_are_distinct_where_marked_unique(rng: np.random.Generator, space: StateSpace) -> None:
    px = _points(rng, (24, 24), 0.1)
    found = gather_candidates(px, np.zeros((len(px), space.ebsd_channels), np.float32), (24, 24), 0.128)
    for r in range(24):
        for c in range(24):
            kept = found.index[found.unique[:, r, c], r, c]
            assert len(set(kept)) == len(kept)
            assert set(kept) == set(found.index[:, r, c])


def test_alike_candidates_agree_wholly(space: StateSpace) -> None:
    px = np.array([[2, 2], [2, 9], [9, 5]], np.int32)
    same = np.ones((3, space.ebsd_channels), np.float32)
    found = gather_candidates(px, same, (12, 12), 0.128)
    assert found.features[:, 3][found.unique] == pytest.approx(1)
    assert found.features[:, 2][found.unique] == pytest.approx(1)


def test_nothing_measured_leaves_no_candidate(space: StateSpace) -> None:
    empty = np.zeros((0, space.ebsd_channels), np.float32)
    found = gather_candidates(np.zeros((0, 2), np.int32), empty, (8, 8), 0.128)
    assert found.index.shape == (COUNT, 8, 8)
    assert not found.unique.any()


@pytest.mark.parametrize("spacing", [3, 5])
def test_local_spacing_of_a_regular_grid_is_its_spacing(spacing: int) -> None:
    mask = np.zeros((60, 60), np.bool_)
    mask[spacing // 2 :: spacing, spacing // 2 :: spacing] = True
    assert local_spacing(mask)[15:-15, 15:-15] == pytest.approx(spacing, rel=0.1)


def test_patterns_span_nothing_to_everything(rng: np.random.Generator) -> None:
    boundary = rng.random((32, 32)) < 0.2
    shares = np.array([draw_pattern(rng, (32, 32), boundary).mean() for _ in range(300)])
    assert shares.min() == 0
    assert shares.max() == 1
    assert 0.02 < np.median(shares) < 0.3
    assert regular_grid(rng, (32, 32)).any()
