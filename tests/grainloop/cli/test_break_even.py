"""The arithmetic of `grainloop plan`, against costs by hand and the times of the simulated instrument."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grainloop.cli.plan.break_even import (
    Material,
    Speed,
    Work,
    adaptive_way,
    break_even_dwell_s,
    compare,
    full_way,
    model_way,
    nearest_way,
    points_s,
    raster_s,
    share_needed,
    wrong_at,
)
from grainloop.controller.geometry.route import short_path
from grainloop.instrument_sim.presets import EXTERNAL_CONTROL, MAP_QUEUE, PRESETS
from grainloop.protocols.capabilities import ScanMeans, ScanTiming, ShapeLimits
from grainloop.protocols.shapes import Piece, ScanShape, exposure_ends_s

CURVE = ((0.01, 0.2), (0.1, 0.02), (0.5, 0.01))
MATERIAL = Material("test", "a test", 50.0, ((0.01, 0.4), (0.5, 0.1)), CURVE, ((0.01, 0.1), (0.1, 0.01)))
FREE = ScanMeans(dwell_s=0.1)
AT_ONCE = Speed(0.0, 0.0)


def work(means=FREE, speed=AT_ONCE, **fields):
    return Work((100, 200), means, speed, **fields)


# --- curves ----------------------------------------------------------------------------------------------------------
def test_between_measured_points_it_is_a_power_law():
    assert share_needed(CURVE, 0.2) == pytest.approx(0.01)
    assert share_needed(CURVE, math.sqrt(0.2 * 0.02)) == pytest.approx(math.sqrt(0.01 * 0.1))
    assert wrong_at(CURVE, math.sqrt(0.01 * 0.1)) == pytest.approx(math.sqrt(0.2 * 0.02))


def test_beyond_the_curve_nothing_is_promised():
    assert share_needed(CURVE, 0.005) is None
    assert share_needed(CURVE, 0.9) == 0.01
    assert wrong_at(CURVE, 0.9) == pytest.approx(0.01)


@given(st.lists(st.floats(1e-4, 1), min_size=2, max_size=8), st.floats(1e-4, 1), st.floats(1e-4, 1))
def test_more_quality_never_needs_fewer_points(errors, one, other):
    curve = tuple((0.01 * (i + 1), error) for i, error in enumerate(errors))
    low, high = sorted((one, other))
    better, worse = share_needed(curve, low), share_needed(curve, high)
    assert better is None or (worse is not None and worse <= better + 1e-12)


def test_larger_grains_need_fewer_points():
    assert share_needed(CURVE, 0.02, scale=0.5) == pytest.approx(0.05)
    assert share_needed(CURVE, 0.02, scale=100) == 1
    assert wrong_at(CURVE, 0.05, scale=0.5) == pytest.approx(0.02)
    fine, coarse = (compare(work(grain_px=size), MATERIAL, 0.05).adaptive for size in (25.0, 100.0))
    assert fine.points == pytest.approx(4 * coarse.points, rel=0.01)


# --- times -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)
@pytest.mark.parametrize("step", [1, 2, 5])
def test_a_raster_takes_as_long_as_the_instrument_says(preset, step):
    means = preset.means(0.01)
    rows, columns = 100 // step, 200 // step
    piece = Piece(ScanShape.RECTANGLES, rows * columns, (0, 0), rows, columns, (step, 0), (0, step))
    pixels = piece.raster(means.shapes.serpentine)
    exact = exposure_ends_s(pixels, [piece], None, 0.01, means.timing)[-1]
    assert raster_s(work(means), 1 / step**2) == pytest.approx(exact, rel=0.01)


def test_free_points_take_as_long_as_the_instrument_says():
    means, rng = EXTERNAL_CONTROL.means(0.001), np.random.default_rng(0)
    batches = [rng.integers(0, (100, 200), (500, 2)).astype(np.int32) for _ in range(4)]
    exact = sum(
        exposure_ends_s(one[short_path(one)], [Piece(ScanShape.POINTS, 500)], None, 0.001, means.timing)[-1]
        for one in batches
    )
    assert points_s(work(means), 2000, 4) == pytest.approx(exact, rel=0.02)


def test_a_raster_of_an_instrument_without_maps_is_one_of_lines_or_points():
    timing = ScanTiming(settle_s=0.5, line_start_s=3.0)
    lines = ScanMeans(timing=timing, shapes=ShapeLimits(accepted=(ScanShape.LINES,)), dwell_s=0.1)
    assert raster_s(work(lines), 1.0) == pytest.approx(100 * 3.5 + 20_000 * 0.1)
    points = ScanMeans(timing=timing, dwell_s=0.1)
    assert raster_s(work(points), 1.0) == pytest.approx(20_000 * 0.6)


def test_the_instrument_waits_for_a_model_that_is_slower_than_a_batch():
    there = work(speed=Speed(10.0, 1e-4), light_s=7.0)
    way = adaptive_way(there, 0.04)
    assert way.points == 800
    assert way.scan_s == pytest.approx(80)
    assert way.idle_s == pytest.approx(8 * (12 - 5))
    assert way.total_s == pytest.approx(7 + 80 + 56 + 12)
    assert adaptive_way(work(speed=Speed(0.0, 1e-4)), 0.04).idle_s == 0


def test_only_ways_with_a_model_take_light_and_thinking():
    there = work(speed=Speed(3.0, 0.0), light_s=7.0)
    assert full_way(there).total_s == pytest.approx(2000)
    assert nearest_way(there, 0.25).total_s == pytest.approx(500)
    assert model_way(there, 0.25).total_s == pytest.approx(510)
    assert [way.dose_share for way in (full_way(there), nearest_way(there, 0.25))] == [1, 0.25]


def test_speed_is_a_line_through_what_was_measured():
    speed = Speed.of(((10_000, 1.0), (40_000, 2.5)))
    assert speed.decision_s(20_000) == pytest.approx(1.5)
    assert Speed.of(((10_000, 2.0), (40_000, 1.0))).decision_s(10**6) == pytest.approx(2.0)
    assert Speed.of(((10_000, 2.0),)).decision_s(10**6) == pytest.approx(2.0)


# --- the verdict -----------------------------------------------------------------------------------------------------
def test_it_pays_with_slow_exposures_and_not_with_fast_ones():
    slow_model = Speed(1.0, 0.0)
    slow, fast = (compare(work(ScanMeans(dwell_s=d), slow_model), MATERIAL, 0.05) for d in (0.5, 1e-4))
    assert slow.pays
    assert slow.best == "adaptive"
    assert not fast.pays
    assert fast.best != "adaptive"
    assert 1e-4 < slow.break_even_dwell_s < slow.quickest_above_s < 0.5
    above, below = (
        compare(work(ScanMeans(dwell_s=factor * slow.quickest_above_s), slow_model), MATERIAL, 0.05).best
        for factor in (1.01, 0.99)
    )
    assert (above, below != "adaptive") == ("adaptive", True)


@given(st.floats(0.1, 50), st.floats(0.001, 0.5))
def test_at_the_break_even_both_take_equally_long(thinking_s, share):
    there = work(speed=Speed(thinking_s, 0.0))
    dwell_s = break_even_dwell_s(there, share)
    at_it = there.at_dwell(dwell_s)
    assert adaptive_way(at_it, share).total_s == pytest.approx(full_way(at_it).total_s, rel=1e-6)
    above = there.at_dwell(1.01 * dwell_s)
    assert adaptive_way(above, share).total_s < full_way(above).total_s


def test_without_a_crossing_there_is_no_break_even():
    assert break_even_dwell_s(work(), 0.1) is None


def test_an_instrument_without_free_points_has_no_adaptive_way():
    found = compare(work(MAP_QUEUE.means(0.1)), MATERIAL, 0.05)
    assert found.adaptive is None
    assert found.break_even_dwell_s is None
    assert not found.pays
    assert found.best == "raster_model"


def test_what_was_not_measured_is_not_claimed():
    found = compare(work(), MATERIAL, 0.001)
    assert (found.raster_nearest, found.raster_model, found.adaptive) == (None, None, None)
    assert found.best == "full"
