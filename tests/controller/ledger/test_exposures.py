"""Limits of points and of exposure, pixel by pixel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from grainloop.controller.ledger.aim import Aim, Correction
from grainloop.controller.ledger.exposures import Exposures
from grainloop.controller.plans import Terms
from grainloop.protocols.plan import Budget, RunPlan
from grainloop.protocols.values import PointBlock, PointStatus
from tests.controller.fakes import DWELL_S, capabilities

SHAPE = (5, 4)
MASKS = arrays(np.bool_, SHAPE)


@dataclass(frozen=True)
class Allowing(Terms):
    """Any number of points, however few pixels there are."""

    max_points: int = 20


def exposures(aim: Aim | None = None, max_points: int = 20, repeats: int = 1, **budget: Any) -> Exposures:
    plan = RunPlan(budget=Budget(fraction=1.0, **budget), repeats=repeats)
    return Exposures(Allowing(plan, capabilities(SHAPE), max_points), aim or Aim())


def at(mask: NDArray[np.bool_]) -> NDArray[np.int32]:
    return np.argwhere(mask).astype(np.int32)


def block(pixels: NDArray[np.int32], status: PointStatus = PointStatus.INDEXED, dwell_s: float = DWELL_S) -> PointBlock:
    count = len(pixels)
    return PointBlock(
        point_id=np.arange(count, dtype=np.int64),
        position_px=pixels,
        status=np.full(count, status, np.uint8),
        phase_id=np.ones(count, np.uint8),
        orientation=np.tile(np.array([1, 0, 0, 0], np.float32), (count, 1)),
        confidence=np.ones(count, np.float32),
        fit_deg=np.ones(count, np.float32),
        time_s=np.arange(count, dtype=np.float64),
        dwell_s=np.full(count, dwell_s, np.float32),
    )


@given(measured=MASKS, failed=MASKS, asked=MASKS)
def test_what_is_taken_back_may_be_asked_for_as_before(
    measured: NDArray[np.bool_], failed: NDArray[np.bool_], asked: NDArray[np.bool_]
) -> None:
    one = exposures(max_points=60)
    for mask, status in ((measured & ~failed, PointStatus.INDEXED), (failed, PointStatus.NOT_INDEXED)):
        one.ask(at(mask))
        one.measured(block(at(mask), status), np.zeros(mask.sum(), np.bool_))
    before = one.asked.copy(), one.askable, one.repeatable, one.points_left
    pixels = at(asked & one.askable)
    again = one.ask(pixels)
    assert not one.askable[tuple(pixels.T)].any()
    assert one.points_left == before[3] - len(pixels)
    one.take_back(pixels, again)
    for was, now in zip(before, (one.asked, one.askable, one.repeatable, one.points_left), strict=True):
        np.testing.assert_array_equal(now, was)


def test_exposure_in_all_limits_points_and_longer_exposures_count() -> None:
    one, pixels = exposures(exposure_s=10 * DWELL_S), at(np.ones(SHAPE, np.bool_))[:4]
    assert one.points_left == 10
    one.ask(pixels)
    assert one.points_left == 6
    one.exposed_longer(block(pixels, dwell_s=1.5 * DWELL_S))
    assert one.points_left == 4


def test_a_pixel_is_covered_as_long_as_one_more_exposure_has_room() -> None:
    one, pixels = exposures(pixel_exposure_s=2 * DWELL_S, repeats=5, max_points=60), at(np.ones(SHAPE, np.bool_))[:4]
    for more in (True, False):
        one.ask(pixels)
        one.measured(block(pixels, PointStatus.NOT_INDEXED), np.zeros(len(pixels), np.bool_))
        assert (one.coverable[tuple(pixels.T)] == more).all()
        assert (one.repeatable[tuple(pixels.T)] == more).all()
    assert one.coverable.sum() == 16


def test_a_point_beside_its_target_uses_up_both_pixels() -> None:
    one = exposures()
    one.ask(np.array([[0, 0]], np.int32))
    one.measured(block(np.array([[0, 1]], np.int32)), np.array([True]))
    assert at(one.asked).tolist() == [[0, 0], [0, 1]]
    assert one.points_asked == 1


def test_pixels_that_the_beam_cannot_be_sent_to_are_not_asked_for() -> None:
    aim = Aim()
    one = exposures(aim)
    assert one.askable.all()
    aim.corrections.append(Correction(2, 0, 0, 0))
    assert not one.askable[:2].any()
    assert one.askable[2:].all()
    np.testing.assert_array_equal(one.never, ~one.reachable)
