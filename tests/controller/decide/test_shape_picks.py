"""Shapes that a drift has put out of reach in part: what is left of them is a shape that the instrument accepts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from grainloop.controller.decide.shape_picks import May, ShapePicks
from grainloop.controller.ledger.aim import Correction
from grainloop.controller.ledger.ledger import Ledger
from grainloop.controller.plans import Terms
from grainloop.protocols.capabilities import ShapeLimits
from grainloop.protocols.hosting.shape_limits import check_pieces
from grainloop.protocols.messages import ProposalReason
from grainloop.protocols.plan import Budget, RunPlan
from grainloop.protocols.shapes import Piece, ScanShape
from tests.controller.fakes import capabilities

SHAPE = (30, 26)
ROW = Piece(ScanShape.LINES, 26, (4, 0), points_per_line=26, point_step_px=(0, 1))


def drifted(rows_px: int, columns_px: int, **means: bool) -> Ledger:
    """The ledger of an instrument whose beam has drifted."""
    shapes = ShapeLimits(accepted=tuple(ScanShape), shortest_line_points=3, **{"skips": True} | means)
    ledger = Ledger(Terms(RunPlan(budget=Budget(fraction=1.0)), capabilities(SHAPE, shapes=shapes)), "run")
    ledger.aim.corrections.append(Correction(rows_px, columns_px, 0, 0))
    return ledger


def allowed(ledger: Ledger, *pieces: Piece) -> ShapePicks:
    now, shapes = ledger.exposures, ledger.terms.capabilities.shapes
    may = May(now.askable, now.coverable, np.zeros(SHAPE, np.bool_), now.reachable)
    return ShapePicks.plain(pieces, shapes, ProposalReason.SPACE_FILLING).allowed(may, shapes)


def check(ledger: Ledger, picks: ShapePicks) -> None:
    """As the instrument service does."""
    check_pieces(ledger.order(picks.position_px, 0.0, picks.pieces), ledger.terms.capabilities)


def test_a_line_is_cut_where_the_beam_cannot_go() -> None:
    ledger = drifted(2, -3)
    picks = allowed(ledger, ROW)
    (piece,) = picks.pieces
    assert (piece.first_px, piece.points_per_line, piece.points) == ((4, 0), 23, 23)
    assert picks.position_px[:, 1].tolist() == list(range(23))
    check(ledger, picks)
    (piece,) = allowed(drifted(0, 3), ROW).pieces
    assert (piece.first_px, piece.points_per_line) == ((4, 3), 23)


def test_without_a_drift_shapes_stay_as_they_are() -> None:
    assert allowed(drifted(0, 0), ROW).pieces == (ROW,)


def test_what_is_left_is_no_shape_where_it_is_too_small_or_cannot_be_left_out() -> None:
    short = Piece(ScanShape.LINES, 4, (4, 0), points_per_line=4, point_step_px=(0, 1))
    assert not len(allowed(drifted(0, 2), short))
    assert not len(allowed(drifted(0, 2, skips=False), ROW))
    assert not len(allowed(drifted(5, 0), ROW))


STEPS = st.sampled_from([(0, 1), (1, 0), (0, 2), (2, 0), (0, -1), (-1, 0)])


@pytest.mark.parametrize("serpentine", [False, True])
@given(
    st.tuples(st.integers(0, SHAPE[0] - 1), st.integers(0, SHAPE[1] - 1)),
    st.integers(1, 12),
    st.integers(3, 12),
    STEPS,
    st.sampled_from([-2, -1, 1, 2]),
    st.tuples(st.integers(-6, 6), st.integers(-6, 6)),
)
def test_what_is_left_can_be_scanned(
    serpentine: bool,
    first_px: tuple[int, int],
    lines: int,
    points: int,
    point_step_px: tuple[int, int],
    apart: int,
    drift_px: tuple[int, int],
) -> None:
    """And holds no pixel out of reach, and nothing that the shape did not hold."""
    rectangle = lines > 1
    line_step_px = (apart * (point_step_px[0] == 0), apart * (point_step_px[1] == 0)) if rectangle else (0, 0)
    kind = ScanShape.RECTANGLES if rectangle else ScanShape.LINES
    piece = Piece(kind, lines * points, first_px, lines, points, line_step_px, point_step_px)
    assume(piece.fits(SHAPE))
    ledger = drifted(*drift_px, serpentine=serpentine, any_corner=True)
    picks = allowed(ledger, piece)
    within = ledger.exposures.reachable[tuple(picks.position_px.T)]
    assert within.all()
    own = {tuple(pixel) for pixel in piece.raster().tolist()}
    assert own >= {tuple(pixel) for pixel in picks.position_px.tolist()}
    if len(picks):
        check(ledger, picks)
