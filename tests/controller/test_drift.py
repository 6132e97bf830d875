"""Shifts of new points against a map: found where they are, not where there are none, and told in a run."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.drift import FEWEST_POINTS, REACH_PX, Shift, Watch, shift_of
from controller.orders import Moved
from model.crystal import random_quaternions
from protocols.messages import Reconstruction, ReconstructRequest
from protocols.values import PointBlock
from tests.controller.fakes import reconstruction

SHAPE = (90, 80)
GROUPS = {1: "6/mmm"}
POINTS = 200


def grains(seed: int, count: int = 60) -> np.ndarray:
    """(h, w, 4) a section of Voronoi grains."""
    rng = np.random.default_rng(seed)
    seeds = rng.random((count, 2)) * SHAPE
    pixels = np.indices(SHAPE).reshape(2, -1).T
    nearest = ((pixels[:, None] - seeds) ** 2).sum(axis=-1).argmin(axis=1).reshape(SHAPE)
    return random_quaternions(count, rng)[nearest].astype(np.float32)


def map_of(orientation: np.ndarray) -> Reconstruction:
    request = ReconstructRequest(section_key="x", points=PointBlock.empty())
    return reconstruction(request, SHAPE).model_copy(update={"orientation": orientation})


def measured(
    truth: np.ndarray, seed: int, drift_px: tuple[int, int], count: int = POINTS, first: int = 0
) -> PointBlock:
    """Points said to be where they are not, one in ten with a wrong orientation, one in ten not indexed."""
    rng = np.random.default_rng(seed)
    place = rng.integers(REACH_PX, np.array(SHAPE) - REACH_PX, (count, 2))
    orientation = truth[tuple((place + np.array(drift_px)).T)].copy()
    orientation[::10] = random_quaternions(len(orientation[::10]), rng)
    status = np.ones(count, np.uint8)
    status[1::10] = 2
    blank = PointBlock.one(0, (0, 0), time_s=0, dwell_s=0.01)
    columns: dict[str, Any] = {name: np.repeat(getattr(blank, name), count, axis=0) for name in PointBlock.model_fields}
    columns |= {"point_id": np.arange(first, first + count), "position_px": place.astype(np.int32), "status": status}
    return PointBlock(**columns | {"orientation": orientation})


@given(seed=st.integers(0, 10_000), down=st.integers(-3, 3), right=st.integers(-3, 3))
@settings(deadline=None, max_examples=30)
def test_a_shift_is_found_where_it_is_and_nowhere_else(seed: int, down: int, right: int) -> None:
    truth = grains(seed)
    shift = shift_of(measured(truth, seed, (down, right)), map_of(truth), GROUPS)
    assert shift is not None
    if np.hypot(down, right) >= 2:
        assert shift.found
    if (down, right) == (0, 0):
        assert not shift.found
    if shift.found:
        assert shift.rows_px == pytest.approx(down, abs=1)
        assert shift.columns_px == pytest.approx(right, abs=1)


def test_points_too_few_to_tell_tell_nothing() -> None:
    truth = grains(1)
    points = measured(truth, 1, (3, 0))
    indexed = np.flatnonzero(points.indexed)
    assert shift_of(points.select(indexed[: FEWEST_POINTS - 1]), map_of(truth), GROUPS) is None
    assert shift_of(PointBlock.empty(), map_of(truth), GROUPS) is None
    one_grain = map_of(np.broadcast_to(truth[0, 0], truth.shape).copy())
    shift = shift_of(measured(one_grain.orientation, 1, (3, 0)), one_grain, GROUPS)
    assert shift is not None
    assert not shift.found


def test_a_watch_compares_with_the_map_made_before() -> None:
    truth = grains(2)
    watch, first, second = Watch(GROUPS), measured(truth, 2, (0, 0)), measured(truth, 3, (-3, 2), first=POINTS)
    assert watch.look(map_of(truth), first) is None
    found = watch.look(map_of(truth), PointBlock.concatenate([first, second]))
    assert found is not None
    assert found.words.startswith("A drift of about 3.")
    assert "up and" in found.words
    assert "right of where" in found.words
    assert watch.look(map_of(truth), PointBlock.concatenate([first, second])) is None


def test_words_of_a_shift() -> None:
    shift = Shift(rows_px=1.52, columns_px=-2.0, points=170, gain=0.3, clear=8.0)
    assert shift.words == (
        "A drift of about 2.5 px found: the newest 170 points agree best with the map 1.5 px down and 2.0 px left of "
        "where they are said to be."
    )
    assert shift.corrected_words(Moved(100, 3, 1, 300)) == (
        f"{shift.words} 100 points count 2 px down and 2 px left of there; 3 of these are beside the grid then, and "
        "the beam is aimed by that from now on."
    )
