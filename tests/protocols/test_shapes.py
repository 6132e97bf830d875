"""Shapes of a scan: pixels and times by hand, and what an instrument refuses."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grainloop.protocols.capabilities import Capabilities, ScanTiming, ShapeLimits
from grainloop.protocols.errors import OutOfLimits
from grainloop.protocols.hosting.batches import HeldBatch
from grainloop.protocols.hosting.shape_limits import check_pieces
from grainloop.protocols.messages import ScanRequest
from grainloop.protocols.shapes import Piece, ScanShape, decode_pieces, encode_pieces, exposure_ends_s, parts, rest_of
from grainloop.protocols.values import Grid, Phase, PointBlock

TIMING = ScanTiming(
    travel_s_per_px=0.1,
    settle_s=0.5,
    batch_overhead_s=2.0,
    point_overhead_s=0.25,
    line_start_s=10.0,
    map_start_s=100.0,
    fly_back_s=7.0,
)
ANYTHING = ShapeLimits(accepted=tuple(ScanShape), any_corner=True)
LINE = Piece(ScanShape.LINES, 3, (2, 2), 1, 3, (0, 0), (1, 1))
RECTANGLE = Piece(ScanShape.RECTANGLES, 6, (4, 5), 2, 3, (2, 0), (0, 2))
STEPS = st.sampled_from([((1, 0), (0, 1)), ((-2, 0), (0, 3)), ((0, 2), (1, 0)), ((0, -1), (-4, 0))])


def instrument(limits=ANYTHING):
    return Capabilities(
        name="SEM-1",
        simulated=True,
        grid=Grid(shape_px=(20, 30), step_um=1.0),
        phases=(Phase(phase_id=1, name="Ti", point_group="6/mmm"),),
        dwell_range_s=(0.01, 1.0),
        default_dwell_s=0.1,
        shapes=limits,
    )


def request(*pieces, free=None, serpentine=False, leave_out=()):
    rasters = [piece.raster(serpentine) for piece in pieces]
    pixels = np.concatenate([*([np.array(free, np.int32)] if free else []), *rasters])
    pixels = np.delete(pixels, list(leave_out), axis=0).astype(np.int32)
    head = [Piece(ScanShape.POINTS, len(free))] if free else []
    encoded = encode_pieces([*head, *pieces])
    return ScanRequest(
        batch=3, point_id=np.arange(len(pixels)), position_px=pixels, pieces=encoded, dwell_s=1.0, run="r"
    )


def ends(*pieces, beam=None, serpentine=False):
    pixels = np.concatenate([piece.raster(serpentine) for piece in pieces])
    return exposure_ends_s(pixels, pieces, beam, 1.0, TIMING)


# --- pixels ----------------------------------------------------------------------------------------------------------
def test_a_raster_runs_line_by_line():
    assert RECTANGLE.raster().tolist() == [[4, 5], [4, 7], [4, 9], [6, 5], [6, 7], [6, 9]]
    assert RECTANGLE.raster(serpentine=True).tolist() == [[4, 5], [4, 7], [4, 9], [6, 9], [6, 7], [6, 5]]
    assert LINE.raster().tolist() == [[2, 2], [3, 3], [4, 4]]


@given(steps=STEPS, lines=st.integers(2, 6), points=st.integers(2, 6), flags=st.tuples(*[st.booleans()] * 3))
def test_every_corner_leads_over_the_same_pixels_and_lines_are_known_again(steps, lines, points, flags):
    piece = Piece(ScanShape.RECTANGLES, lines * points, (50, 60), lines, points, *steps)
    turned = piece.turned(*flags[:2])
    pixels = turned.raster(flags[2])
    assert {*map(tuple, pixels.tolist())} == {*map(tuple, piece.raster().tolist())}
    assert turned.line_of(pixels).tolist() == np.repeat(np.arange(lines), points).tolist()
    assert turned.turned(*flags[:2]) == piece
    assert turned.corner_px == piece.corner_px == tuple(pixels.min(axis=0))


def test_pieces_survive_the_wire():
    some = [Piece(ScanShape.POINTS, 4), LINE, RECTANGLE]
    assert decode_pieces(encode_pieces(some), 13) == some
    assert decode_pieces(None, 7) == [Piece(ScanShape.POINTS, 7)]
    assert [(where.start, where.stop) for _, where in parts(some)] == [(0, 4), (4, 7), (7, 13)]


# --- times -----------------------------------------------------------------------------------------------------------
def test_a_free_point_costs_way_settling_dwell_and_overhead():
    route = np.array([[0, 0], [3, 4], [3, 4]], np.int32)
    free = [Piece(ScanShape.POINTS, 3)]
    here = exposure_ends_s(route, free, None, 1.0, TIMING)
    np.testing.assert_allclose(here, 2.0 + np.cumsum([1.75, 2.25, 1.75]))
    np.testing.assert_allclose(exposure_ends_s(route, free, (0, 10), 1.0, TIMING), here + 1.0)


def test_a_line_settles_once_and_a_rectangle_flies_back():
    way = 0.1 * np.sqrt(2)
    np.testing.assert_allclose(ends(LINE), 2.0 + np.cumsum([11.75, 1.25 + way, 1.25 + way]))
    turn = 1.25 + 7.0 + 0.1 * np.sqrt(20)
    np.testing.assert_allclose(ends(RECTANGLE), 2.0 + np.cumsum([101.75, 1.45, 1.45, turn, 1.45, 1.45]))
    assert ends(RECTANGLE)[-1] - ends(RECTANGLE, serpentine=True)[-1] == pytest.approx(0.1 * (np.sqrt(20) - 2))


def test_the_overheads_of_shapes_add_up():
    together = ends(RECTANGLE, LINE, beam=(4, 5))
    way = 0.1 * np.hypot(*(np.array([2, 2]) - [6, 9]))
    alone = ends(RECTANGLE)[-1] + ends(LINE)[-1] - TIMING.batch_overhead_s + way
    assert together[-1] == pytest.approx(alone)


def test_declared_approach_is_what_comes_before_the_first_exposure():
    for piece in (LINE, RECTANGLE):
        assert ends(piece)[0] - 1.0 == pytest.approx(TIMING.approach_s(0.0, piece.shape))


# --- limits ----------------------------------------------------------------------------------------------------------
def refused(asked, limits):
    with pytest.raises(OutOfLimits) as caught:
        check_pieces(asked, instrument(limits))
    assert "SEM-1" in str(caught.value)
    return str(caught.value)


def test_what_is_declared_is_accepted():
    check_pieces(request(LINE, RECTANGLE, free=[(0, 0), (9, 9)]), instrument())
    check_pieces(request(RECTANGLE.turned(True, True)), instrument())
    serpentine = ANYTHING.model_copy(update={"serpentine": True})
    check_pieces(request(RECTANGLE, serpentine=True), instrument(serpentine))


def test_shapes_that_are_not_declared_are_refused():
    rectangles = ShapeLimits(accepted=(ScanShape.RECTANGLES,))
    assert "one of points, and only rectangles" in refused(request(free=[(0, 0)]), rectangles)
    assert "one of lines" in refused(request(LINE), rectangles)
    assert "one of rectangles, and only points" in refused(request(RECTANGLE), ShapeLimits())
    free = request(free=[(0, 0)])
    without = ScanRequest(batch=0, point_id=free.point_id, position_px=free.position_px, dwell_s=1.0)
    assert "one of points" in refused(without, rectangles)


@pytest.mark.parametrize(
    ("piece", "limits", "words"),
    [
        (LINE, {"shortest_line_points": 4}, "shortest line 4"),
        (RECTANGLE, {"smallest_rectangle_points": (2, 4)}, "smallest rectangle 2 × 4"),
        (RECTANGLE, {"largest_step_px": 1}, "step is 2 px"),
        (RECTANGLE.turned(lines=True), {"any_corner": False}, "top left"),
        (LINE.turned(points=True), {"any_corner": False}, "top left"),
        (Piece(ScanShape.RECTANGLES, 4, (0, 0), 2, 2, (0, 1), (1, 0)), {"any_corner": False}, "along the rows"),
        (Piece(ScanShape.RECTANGLES, 4, (0, 0), 2, 2, (1, 0), (1, 1)), {}, "oblique"),
        (Piece(ScanShape.RECTANGLES, 4, (0, 0), 2, 2, (0, 0), (0, 1)), {}, "steps do not fit"),
        (Piece(ScanShape.LINES, 4, (0, 0), 2, 2, (1, 0), (0, 1)), {}, "line scan of 2 lines"),
        (Piece(ScanShape.LINES, 3, (18, 0), 1, 3, (0, 0), (1, 0)), {}, "beyond the grid"),
        (Piece(ScanShape.RECTANGLES, 2_000_000_000, (0, 0), 1, 2_000_000_000, (0, 0), (0, 1)), {}, "beyond the grid"),
    ],
)
def test_the_sentence_says_what_is_wrong(piece, limits, words):
    pixels = np.zeros((3, 2), np.int32) if piece.points > 1000 else piece.raster()
    rows = encode_pieces([piece])
    rows[0, 1] = len(pixels)
    asked = ScanRequest(batch=0, point_id=np.arange(len(pixels)), position_px=pixels, pieces=rows, dwell_s=1.0)
    assert words in refused(asked, ANYTHING.model_copy(update=limits))


def test_lists_that_do_not_fit_their_shapes_are_refused():
    good = request(RECTANGLE)
    for change, words in (
        ({"position_px": good.position_px[::-1]}, "another order"),
        ({"position_px": good.position_px + 1}, "not on its raster"),
        ({"pieces": encode_pieces([Piece(ScanShape.POINTS, 5)])}, "5"),
        ({"pieces": np.zeros((0, 10), np.int32)}, "6 in all"),
        ({"pieces": np.full((1, 10), 9, np.int32)}, "no shape"),
    ):
        assert words in refused(good.model_copy(update=change), ANYTHING)


def test_points_are_left_out_only_where_the_instrument_skips():
    rows = encode_pieces([RECTANGLE])
    rows[0, 1] = 4
    asked = request(RECTANGLE, leave_out=(1, 4)).model_copy(update={"pieces": rows})
    assert "none can be skipped" in refused(asked, ANYTHING)
    check_pieces(asked, instrument(ANYTHING.model_copy(update={"skips": True})))
    check_pieces(asked, instrument(), rest=True)


# --- interruptions ---------------------------------------------------------------------------------------------------
def test_the_rest_of_an_interrupted_batch_keeps_the_geometry_of_its_shapes():
    asked = request(LINE, RECTANGLE, free=[(0, 0), (9, 9)])
    batch = HeldBatch(asked)
    assert batch.claim(PointBlock.concatenate([one(asked, i) for i in range(7)])).all()
    rest = batch.remaining()
    assert rest.point_id.tolist() == [7, 8, 9, 10]
    assert decode_pieces(rest.pieces, 4) == [Piece(**{**RECTANGLE.__dict__, "points": 4})]
    check_pieces(rest, instrument(), rest=True)
    assert rest_of(None, np.array([True])) is None


def one(asked, i):
    return PointBlock.one(i, asked.position_px[i], time_s=float(i), dwell_s=1.0)
