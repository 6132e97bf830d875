"""Shifts of new points against a map: found where they are, not where there are none, and told in a run."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grainloop.controller.decide.drift import FEWEST_POINTS, REACH_PX, Shift, Watch, shift_of
from grainloop.controller.ledger.orders import Moved
from grainloop.model.crystal import random_quaternions
from grainloop.protocols.messages import Reconstruction, ReconstructRequest
from grainloop.protocols.values import PointBlock
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


def test_a_slow_drift_is_found_against_the_first_map(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last map has moved along; it says how far, since the first one was made of few points."""
    first, last = Shift(-3.2, 0.1, 150, 0.2, 5.8), Shift(-1.7, 0.1, 150, 0.02, 0.9)
    maps = [map_of(grains(seed)) for seed in (1, 2, 3)]
    measured_in = [measured(grains(1), seed, (0, 0), first=POINTS * seed) for seed in range(3)]
    known = [PointBlock.concatenate(measured_in[: n + 1]) for n in range(3)]

    def shifts(_points: PointBlock, before: Reconstruction, _groups: object) -> Shift | None:
        return first if before is maps[0] else last

    def nothing(*_: object) -> None: ...

    def second_look() -> Shift | None:
        watch = Watch(GROUPS)
        monkeypatch.setattr("grainloop.controller.decide.drift.shift_of", nothing)
        assert watch.look(maps[0], known[0]) is None
        assert watch.look(maps[1], known[1]) is None
        monkeypatch.setattr("grainloop.controller.decide.drift.shift_of", shifts)
        return watch.look(maps[2], known[2])

    found = second_look()
    assert found is not None
    assert found.whole_px == (-2, 0)
    assert found.clear == first.clear
    assert found.from_point == 2 * POINTS
    for other in (Shift(1.7, 0.1, 150, 0.02, 0.9), Shift(-0.5, 0.1, 150, 0.02, 0.9)):  # elsewhere, and hardly anywhere
        last = other
        assert second_look() is None
    first, last = Shift(-3.2, 0.1, 150, 0.2, 2.0), Shift(-1.7, 0.1, 150, 0.02, 0.9)
    assert second_look() is None
    first, last = Shift(-5.0, -1.1, 150, 0.1, 1.6), Shift(-1.8, -1.5, 150, 0.3, 4.2)  # a map with its boundaries aside
    assert second_look() is None
    first = Shift(-5.0, -1.1, 150, 0.1, 2.1)
    assert second_look() == last


@given(seed=st.integers(0, 10_000), begins=st.sampled_from([0, 60, 120]))
@settings(deadline=None, max_examples=20)
def test_where_a_jump_begins_is_found(seed: int, begins: int) -> None:
    truth = grains(seed, count=400)
    before = measured(truth, seed, (0, 0), count=begins or 1)
    after = measured(truth, seed + 1, (3, -2), count=POINTS, first=len(before))
    points = PointBlock.concatenate([before, after]) if begins else after
    shift = shift_of(points, map_of(truth), GROUPS)
    assert shift is not None
    assert abs(shift.from_point - int(after.point_id[0])) <= 30
