"""How much is measured at once: the plan's share of what is left, or what lasts for as long as the model thinks.

Pure functions of the ledger. What is chosen to be measured is the business of `controller.decide.choice`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from grainloop.controller.ledger import Ledger

OUTLASTS = 1.25
"""A batch lasts as many times as long as a decision, so that the answer is there before it ends."""
STOP_GAP_DECISIONS = 0.25
"""A stop-gap lasts as long as this share of a decision: long ones are chosen too early, …"""
STOP_GAP_OVERHEADS = 10
"""… and short ones cost more than they measure; so this many times what a request costs, …"""
STOP_GAP_S = 0.2
"""… and no less than messages need to come and go."""
LEAST_SHAPES = 2
"""Shapes that a batch has room for, so that there is something to choose."""


@dataclass(frozen=True)
class Size:
    """So many points, and declared seconds, where these count: the most of a batch, what a stop-gap needs to last."""

    points: int
    seconds: float = math.inf


def planned_points(ledger: Ledger, batches_left: int, likely_left: int) -> int:
    """The plan's share of the points likely left, or more where the instrument should not wait and that would not last.

    Args:
        ledger: of the run.
        batches_left: that the plan foresees.
        likely_left: points that may still be measured.
    """
    share = math.ceil(likely_left / max(1, batches_left))
    lasting = _points_lasting(ledger, outlasting_s(ledger))
    return min(max(share, lasting), ledger.exposures.points_left, ledger.terms.max_points_per_request)


def likely_left(ledger: Ledger, now_s: float) -> int:
    """About how many free points may still be measured, by number and, where that is limited, in the time left."""
    left, left_s = ledger.exposures.points_left, ledger.time_left_s(now_s)
    if not left or not math.isfinite(left_s):
        return left
    return ledger.pace.points_within(left_s / ledger.pace.slowest, left)


def outlasting_s(ledger: Ledger) -> float:
    """How long a batch lasts at least, so that the instrument does not wait; 0 where it may."""
    return OUTLASTS * ledger.pace.decision_s if ledger.terms.plan.fill_in else 0.0


def stop_gap_size(ledger: Ledger) -> Size:
    """No more points than a batch of the plan; nothing where the plan wants no stop-gaps."""
    if not ledger.terms.plan.fill_in:
        return Size(0, 0.0)
    overheads_s = STOP_GAP_OVERHEADS * ledger.terms.capabilities.timing.batch_overhead_s
    seconds = max(STOP_GAP_DECISIONS * ledger.pace.decision_s, overheads_s, STOP_GAP_S)
    planned = math.ceil(ledger.terms.max_points / ledger.terms.plan.batches)
    most = min(planned, ledger.exposures.points_left, ledger.terms.max_points_per_request)
    return Size(min(_points_lasting(ledger, seconds), most), seconds)


def _points_lasting(ledger: Ledger, seconds: float) -> int:
    return ledger.pace.points_lasting(seconds) if seconds else 0
