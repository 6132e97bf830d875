"""The first pass, when nothing is known yet: a coarse grid or raster of the whole section, in parts.

What is sent last is a thin, even sample of it, so that the instrument has work while the model looks at the rest.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from grainloop.controller.decide.picks import Picks
from grainloop.controller.decide.shape_picks import ShapePicks
from grainloop.controller.decide.sizes import LEAST_SHAPES
from grainloop.controller.geometry import (
    cheapest_s,
    coarse_grid,
    densest,
    in_parts,
    nearest_of,
    raster_px,
    smallest_points,
    spread_apart,
)
from grainloop.controller.ledger import Ledger
from grainloop.protocols.capabilities import ScanMeans
from grainloop.protocols.messages import ProposalReason
from grainloop.protocols.shapes import Piece, ScanShape

_CHEAP = 0.02
"""A raster is divided in two, so that the model sees one half early, where that costs no more than this share."""


def first_pass(ledger: Ledger, means: ScanMeans | None) -> Sequence[Picks | ShapePicks]:
    """What is sent first, part by part.

    Args:
        ledger: of a run that has asked for nothing yet.
        means: what an instrument that scans shapes is asked for; nothing for free points. Free points as well where no
            raster fits into the budget and they are accepted.
    """
    rasters = [] if means is None else _raster_in_parts(ledger, means)
    points_too = means is None or ScanShape.POINTS in means.shapes.accepted
    return rasters if rasters or not points_too else _grid_in_parts(ledger)


def _grid_in_parts(ledger: Ledger) -> list[Picks]:
    terms, budget = ledger.terms, ledger.affordable_points()
    grid = coarse_grid(terms.shape_px, terms.first_pass_points(budget))
    grid = grid if ledger.answers is None else nearest_of(grid, ledger.answers > 0)
    later = min(math.ceil((budget - len(grid)) / terms.plan.batches), len(grid) // 2)
    held_back = spread_apart(grid, later) if later else np.zeros(len(grid), np.bool_)
    most = terms.max_points_per_request
    parts = [grid[~held_back], grid[held_back]]
    pieces = [part[i : i + most] for part in parts for i in range(0, len(part), most)]
    return [Picks.plain(piece, ProposalReason.FIRST_PASS) for piece in pieces]


def _raster_in_parts(ledger: Ledger, means: ScanMeans) -> list[ShapePicks]:
    """The coarse raster; nothing where none fits.

    It takes the plan's share of the budget, and more where later shapes would mostly wait: of the rest, only the share
    of a shape's time that is exposure. All of the budget where what is left would not pay for two shapes.
    """
    terms, points, seconds = ledger.terms, ledger.exposures.points_left, ledger.time_left_s(0.0)
    later_points, later_s = _for_later(ledger, means, points, seconds)
    pieces = densest(terms.shape_px, means, points - later_points, seconds - later_s)
    if pieces is None:
        return []
    halves = _halves(pieces, _cost_of_two(pieces, ledger, means), means)
    most = terms.max_points_per_request
    requests = [part for half in halves for part in in_parts(half, most, means.shapes)]
    return [ShapePicks.plain(one, means.shapes, ProposalReason.FIRST_PASS) for one in requests]


def _for_later(ledger: Ledger, means: ScanMeans, points: int, seconds: float) -> tuple[int, float]:
    """How many of the points and seconds that are left stay for later shapes."""
    waits_s, exposes_s = cheapest_s(means)
    cheapest = waits_s + exposes_s
    later = (1 - ledger.terms.plan.first_pass) * exposes_s / cheapest
    later_points = math.floor(later * points)
    later_points = later_points if later_points >= LEAST_SHAPES * min(smallest_points(means.shapes).values()) else 0
    later_s = later * seconds if math.isfinite(seconds) else 0.0
    later_s = later_s if later_s >= means.timing.batch_overhead_s + LEAST_SHAPES * cheapest else 0.0
    if math.isfinite(seconds) and not later_s:
        later_points = 0
    return later_points, later_s


def _cost_of_two(pieces: list[Piece], ledger: Ledger, means: ScanMeans) -> float:
    """Share of the time of a raster that dividing it would add; what is left of the budget has to hold it."""
    more_s = means.timing.batch_overhead_s + means.timing.settle_s + means.timing.start_s(pieces[0].shape)
    whole_s = ledger.expected_s(raster_px(pieces, means.shapes), pieces)
    return math.inf if whole_s + more_s > ledger.time_left_s(0.0) else more_s / whole_s


def _halves(pieces: list[Piece], cost: float, means: ScanMeans) -> list[list[Piece]]:
    """Every other line of a raster first, the others then, where that is cheap; else the raster."""
    one = pieces[0]
    if cost > _CHEAP or not means.shapes.skips or len(pieces) > 1 or one.shape is not ScanShape.RECTANGLES:
        return [pieces]
    least = means.shapes.smallest_rectangle_points[0]
    down = one.line_step_px[0]
    if one.lines // 2 < least or 2 * down > means.shapes.largest_step_px:
        return [pieces]
    halves: list[list[Piece]] = []
    for first, lines in ((0, -(-one.lines // 2)), (1, one.lines // 2)):
        start = (one.first_px[0] + first * down, one.first_px[1])
        points = lines * one.points_per_line
        step = (2 * down, 0) if lines > 1 else (0, 0)
        halves.append([replace(one, points=points, first_px=start, lines=lines, line_step_px=step)])
    return halves
