"""Routes over shapes: the same pixels, allowed entries, and less travel than in the order given."""

from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grainloop.controller.geometry.route import path_length
from grainloop.controller.geometry.shape_route import between_px, short_shape_route
from grainloop.protocols.capabilities import Capabilities, ShapeLimits
from grainloop.protocols.hosting.shape_limits import check_pieces
from grainloop.protocols.messages import ScanRequest
from grainloop.protocols.shapes import Piece, ScanShape, encode_pieces, parts
from grainloop.protocols.values import Grid, Phase

FREE = ShapeLimits(accepted=tuple(ScanShape), any_corner=True, serpentine=True)
FIXED = ShapeLimits(accepted=tuple(ScanShape))
SHAPE = (120, 130)


def scattered(seed, points=6, lines=6, rectangles=4):
    """Shapes at random places, in random order."""
    rng = np.random.default_rng(seed)
    pieces = [Piece(ScanShape.POINTS, 1, corner(rng)) for _ in range(points)]
    pieces += [Piece(ScanShape.LINES, 5, corner(rng), 1, 5, (0, 0), (1, 2)) for _ in range(lines)]
    for _ in range(rectangles):
        rows = int(rng.integers(2, 5))
        pieces.append(Piece(ScanShape.RECTANGLES, rows * 4, corner(rng), rows, 4, (2, 0), (0, 3)))
    return [pieces[i] for i in rng.permutation(len(pieces))]


def corner(rng):
    return int(rng.integers(0, 100)), int(rng.integers(0, 100))


def pixels_of(pieces, serpentine):
    return np.concatenate([piece.raster(serpentine) for piece in pieces])


def checked(route, pieces, limits, leave_out=False):
    """The route holds every pixel once, and an instrument of these limits would accept it."""
    pixels = pixels_of(pieces, limits.serpentine)
    assert sorted(route.index.tolist()) == list(range(len(route.index)))
    caps = Capabilities(
        name="SEM-1",
        simulated=True,
        grid=Grid(shape_px=SHAPE, step_um=1.0),
        phases=(Phase(phase_id=1, name="Ti", point_group="6/mmm"),),
        dwell_range_s=(0.01, 1.0),
        default_dwell_s=0.1,
        shapes=limits,
    )
    request = ScanRequest(
        batch=0,
        point_id=np.arange(len(route.position_px)),
        position_px=route.position_px,
        pieces=encode_pieces(route.pieces),
        dwell_s=0.1,
    )
    check_pieces(request, caps)
    if not leave_out:
        assert np.array_equal(pixels[route.index], route.position_px)


@given(seed=st.integers(0, 2**32 - 1), limits=st.sampled_from([FREE, FIXED]), start=st.none() | st.just((3, 77)))
@settings(max_examples=40, deadline=None)
def test_every_pixel_is_scanned_once_in_an_allowed_way(seed, limits, start):
    pieces = scattered(seed)
    route = short_shape_route(pieces, pixels_of(pieces, limits.serpentine), limits, start)
    checked(route, pieces, limits)


@pytest.mark.parametrize("seed", range(5))
def test_it_comes_close_to_the_best_of_all_orders_and_entries(seed):
    pieces = scattered(seed, 2, 2, 1)
    pixels = pixels_of(pieces, True)
    route = short_shape_route(pieces, pixels, FREE, (0, 0))
    ends = [entries(piece) for piece in pieces]
    best = min(
        path_length(np.concatenate([ends[i][k] for i, k in zip(order, ways, strict=True)]), start=(0, 0))
        - sum(path_length(ends[i][k]) for i, k in zip(order, ways, strict=True))
        for order in permutations(range(5))
        for ways in product(*[range(len(ends[i])) for i in order])
    )
    assert between_px(route.pieces, route.position_px, (0, 0)) <= 1.1 * best + 1e-9


def entries(piece):
    flags = {ScanShape.POINTS: [(0, 0)], ScanShape.LINES: [(0, 0), (0, 1)]}.get(piece.shape, [*product((0, 1), (0, 1))])
    return [piece.turned(*map(bool, flag)).raster(True)[[0, -1]].astype(float) for flag in flags]


def test_choosing_ends_saves_travel():
    saved = []
    for seed in range(5):
        pieces = scattered(seed, 0, 30, 10)
        ways = []
        for limits in (FREE, FREE.model_copy(update={"any_corner": False})):
            route = short_shape_route(pieces, pixels_of(pieces, True), limits, (0, 0))
            ways.append(between_px(route.pieces, route.position_px, (0, 0)))
        given_px = between_px(pieces, pixels_of(pieces, True), (0, 0))
        assert ways[0] < ways[1] < given_px
        saved.append(1 - ways[0] / ways[1])
    assert np.mean(saved) > 0.05


def test_points_left_out_stay_left_out():
    limits = FREE.model_copy(update={"skips": True})
    piece = Piece(ScanShape.RECTANGLES, 9, (10, 10), 3, 4, (1, 0), (0, 1))
    listed = np.delete(piece.raster(True), [0, 5, 11], axis=0)
    for start in ((0, 0), (0, 50), (50, 0), (50, 50)):
        route = short_shape_route([piece], listed, limits, start)
        checked(route, [piece], limits, leave_out=True)
        assert np.array_equal(listed[route.index], route.position_px)


def test_free_points_that_follow_each_other_are_one_piece():
    pieces = [Piece(ScanShape.POINTS, 30)]
    pixels = np.random.default_rng(2).integers(0, 100, (30, 2)).astype(np.int32)
    route = short_shape_route(pieces, pixels, FREE)
    assert route.pieces == pieces
    assert path_length(route.position_px) < path_length(pixels)


def test_nothing_to_scan():
    route = short_shape_route([], np.empty((0, 2), np.int32), FREE, (0, 0))
    assert route.pieces == []
    assert len(route.index) == 0


def test_pieces_and_pixels_stay_together():
    pieces = scattered(3)
    route = short_shape_route(pieces, pixels_of(pieces, True), FREE)
    for piece, where in parts(route.pieces):
        if piece.shape is not ScanShape.POINTS:
            assert np.array_equal(piece.raster(True), route.position_px[where])
