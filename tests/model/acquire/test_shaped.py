"""Shapes: the greedy choice against the one for single points, against costs by hand, and what it must never do."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grainloop.instrument_sim.presets import EXTERNAL_CONTROL, MAP_QUEUE
from grainloop.model.acquire.shaped import Stake, gain_maps, propose_shapes, stake_of
from grainloop.model.acquire.spread import expected_gain, explain, greedy
from grainloop.model.acquire.templates import coverage_of, line, make_template, place, rectangle
from grainloop.protocols.capabilities import Capabilities, ScanMeans, ScanTiming, ShapeLimits
from grainloop.protocols.hosting.shape_limits import check_pieces
from grainloop.protocols.messages import ScanRequest
from grainloop.protocols.shapes import ScanShape, encode_pieces, exposure_ends_s
from grainloop.protocols.values import Grid, Phase
from tests.model.acquire.scenes import adjacent_share, real_scene

WINDOW_PX = 1.2
POINTS = ShapeLimits()
EVERYTHING = ShapeLimits(accepted=tuple(ScanShape), any_corner=True, serpentine=True)


def stake(shape=(30, 40), seed=0, taken=0.1, barred=0.0, value=None):
    rng = np.random.default_rng(seed)
    measured, closed = rng.random(shape) < taken, rng.random(shape) < barred
    value = rng.random(shape) ** 3 if value is None else value
    return Stake(np.where(measured, 0, value).astype(np.float32), WINDOW_PX, measured, closed)


def means(limits=EVERYTHING, dwell_s=0.01, **timing):
    return ScanMeans(timing=ScanTiming(**timing), shapes=limits, dwell_s=dwell_s)


def kinds(found):
    return {one.piece.shape for one in found}


# --- the choice ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("seed", range(3))
def test_with_points_alone_it_is_the_greedy_batch(seed):
    at_stake = stake(seed=seed, barred=0.1)
    found = propose_shapes(at_stake, means(POINTS), 0.25 + 1e-9)
    _, kernel = expected_gain(at_stake.value, WINDOW_PX)
    free = ~(at_stake.measured | at_stake.barred)
    picked, gain = greedy(at_stake.value, free, kernel, 25, np.empty((0, 2), np.intp))
    assert np.concatenate([one.position_px for one in found]).tolist() == picked.tolist()
    assert [one.gain for one in found] == pytest.approx(gain.tolist(), rel=1e-3)


def test_gain_maps_are_sums_under_the_coverage():
    at_stake = stake((20, 25))
    _, kernel = expected_gain(at_stake.value, WINDOW_PX)
    reach = len(kernel) // 2
    template = make_template(rectangle(3, 4, 2, means()), kernel, means())
    padded = np.pad(at_stake.value, reach)
    found = next(iter(gain_maps(padded, [template])))
    assert found.shape == (20 - 5 + 1, 25 - 7 + 1)
    for row, column in ((0, 0), (7, 9), (15, 18)):
        left = padded.copy()
        for r, c in place(template, (row, column)).raster() + reach:
            explain(left, kernel, r, c)
        assert found[row, column] == pytest.approx(float((padded - left).sum()), rel=1e-3)


def test_coverage_of_one_point_is_the_window():
    _, kernel = expected_gain(np.zeros((1, 1), np.float32), WINDOW_PX)
    assert np.allclose(coverage_of(np.zeros((1, 2), np.int32), kernel), kernel, atol=1e-6)


def test_a_patch_of_doubt_is_covered_by_one_window_where_maps_are_dear():
    value = np.zeros((80, 90))
    value[20:44, 30:66] = 0.6
    asked = means(EVERYTHING.model_copy(update={"accepted": (ScanShape.RECTANGLES,)}), map_start_s=10.0)
    first = propose_shapes(stake((80, 90), taken=0, value=value), asked, 11.0 + 24 * 36 * 0.01)[0]
    low, high = first.position_px.min(axis=0), first.position_px.max(axis=0)
    assert np.abs(low - [20, 30]).max() <= 3
    assert np.abs(high - [43, 65]).max() <= 3
    assert first.gain > 0.8 * value.sum()


def test_shapes_follow_the_costs():
    budget_s, at_stake = 2.0, stake((60, 60))
    assert kinds(propose_shapes(at_stake, means(line_start_s=1.0, map_start_s=1.0), budget_s)) == {ScanShape.POINTS}
    settling = propose_shapes(at_stake, means(settle_s=0.2, map_start_s=9.0), budget_s)
    assert kinds(settling) == {ScanShape.LINES}
    flat = stake((60, 60), taken=0, value=np.full((60, 60), 0.5))
    mapping = propose_shapes(flat, means(settle_s=0.2, line_start_s=9.0), budget_s)
    assert kinds(mapping) == {ScanShape.RECTANGLES}


def test_lines_follow_a_ridge_of_doubt():
    value = np.zeros((50, 50))
    value[np.arange(10, 40), np.arange(5, 35)] = 1.0
    limits = EVERYTHING.model_copy(update={"accepted": (ScanShape.LINES,)})
    first = propose_shapes(stake((50, 50), taken=0, value=value), means(limits, line_start_s=0.2), 0.5)[0]
    assert abs(first.piece.point_step_px[0]) == abs(first.piece.point_step_px[1])
    assert first.gain > 0.5 * value.sum()


def test_trimming_never_makes_a_shape_worse_than_the_catalogue():
    at_stake = stake((40, 40), taken=0)
    _, kernel = expected_gain(at_stake.value, WINDOW_PX)
    asked = means(EVERYTHING.model_copy(update={"accepted": (ScanShape.LINES,)}), line_start_s=0.05)
    best = propose_shapes(at_stake, asked, 0.5)[0]
    padded = np.pad(at_stake.value, len(kernel) // 2)
    for points in (8, 16):
        template = make_template(line(points, 2, (0, 1)), kernel, asked)
        gain = next(iter(gain_maps(padded, [template])))[:, :: template.box_px[1] // 4]
        assert best.gain / best.seconds > 0.999 * gain.max() / template.seconds


# --- what must never happen ------------------------------------------------------------------------------------------
@given(
    seed=st.integers(0, 2**32 - 1),
    preset=st.sampled_from([EXTERNAL_CONTROL, MAP_QUEUE]),
    barred=st.sampled_from([0.0, 0.02, 1.0]),
    dwell_s=st.sampled_from([0.001, 0.3]),
    budget_s=st.floats(0.0, 60.0),
)
@settings(max_examples=60, deadline=None)
def test_no_pixel_twice_none_barred_and_never_beyond_the_budget(seed, preset, barred, dwell_s, budget_s):
    at_stake = stake((24, 31), seed, barred=barred)
    asked = preset.means(dwell_s)
    found = propose_shapes(at_stake, asked, budget_s, most_points=300)
    pixels = np.concatenate([np.empty((0, 2), np.int32), *(one.position_px for one in found)])
    assert len(np.unique(pixels, axis=0)) == len(pixels) <= 300
    assert not at_stake.barred[tuple(pixels.T)].any()
    assert sum(one.again for one in found) == at_stake.measured[tuple(pixels.T)].sum()
    assert sum(one.gain for one in found) <= at_stake.value.sum() * 1.001
    assert all(one.gain >= 0 for one in found)
    if preset.shapes.skips:
        assert not any(one.again for one in found)
    if found:
        pieces = [one.piece for one in found]
        request = ScanRequest(
            batch=0,
            point_id=np.arange(len(pixels)),
            position_px=pixels.astype(np.int32),
            pieces=encode_pieces(pieces),
            dwell_s=dwell_s,
        )
        check_pieces(request, instrument(preset))
        alone = asked.timing.batch_overhead_s + sum(one.seconds for one in found)
        assert alone <= budget_s + 1e-6
        assert exposure_ends_s(request.position_px, pieces, None, dwell_s, asked.timing)[-1] >= alone - 1e-6


def instrument(preset):
    return Capabilities(
        name="SEM-1",
        simulated=True,
        grid=Grid(shape_px=(24, 31), step_um=1.0),
        phases=(Phase(phase_id=1, name="Ti", point_group="6/mmm"),),
        dwell_range_s=(0.001, 1.0),
        default_dwell_s=0.1,
        timing=preset.timing,
        shapes=preset.shapes,
    )


def test_measured_points_are_left_out_where_the_instrument_skips_and_counted_where_not():
    value, measured = np.full((40, 40), 0.5, np.float32), np.zeros((40, 40), bool)
    measured[np.random.default_rng(1).random((40, 40)) < 0.2] = True
    at_stake = Stake(np.where(measured, 0, value).astype(np.float32), WINDOW_PX, measured, np.zeros((40, 40), bool))
    limits = EVERYTHING.model_copy(update={"accepted": (ScanShape.RECTANGLES,)})
    for skips in (False, True):
        asked = means(limits.model_copy(update={"skips": skips}), settle_s=1.0, map_start_s=20.0)
        found = propose_shapes(at_stake, asked, 40.0)
        again = sum(one.again for one in found)
        exposed = sum(len(one.position_px) for one in found)
        assert exposed > 200
        assert (again == 0) == skips
        assert (exposed == sum(one.piece.lines * one.piece.points_per_line for one in found)) != skips


@pytest.mark.parametrize("hopeless", ["value", "barred", "time"])
def test_where_nothing_can_be_won_nothing_is_proposed(hopeless):
    value = np.zeros((20, 20)) if hopeless == "value" else None
    at_stake = stake((20, 20), barred=1.0 if hopeless == "barred" else 0.0, value=value)
    assert propose_shapes(at_stake, means(), 0.0 if hopeless == "time" else 5.0) == []


def test_free_points_keep_off_their_neighbours():
    found = propose_shapes(stake((60, 60)), means(POINTS), 1.5)
    assert adjacent_share(np.concatenate([one.position_px for one in found])) == 0


def test_the_stake_of_a_scene_keeps_its_total_whatever_is_explored():
    plain, explored = (stake_of(real_scene(exploration_share=share)) for share in (0.0, 0.5))
    assert plain.value[plain.measured].max() == 0
    assert explored.value[explored.measured].max() == 0
    assert explored.value.sum() == pytest.approx(plain.value.sum(), rel=0.05)
    assert explored.value[~explored.measured].min() > plain.value[~plain.measured].min()
