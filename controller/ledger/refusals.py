"""Points that an instrument told and that cannot be believed: which they are, and what stands in their place.

They were exposed all the same: they count as failed, where they were asked for, and what came is kept as evidence.
Which were asked for at all is the business of `controller.ledger.orders`; the rules that a service keeps with its own
driver too stand in `protocols.hosting.limits`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from grainloop.controller.geometry import inside
from grainloop.protocols.capabilities import Capabilities
from grainloop.protocols.hosting.limits import UNIT_TOLERANCE, fault_of, faults, first_fault
from grainloop.protocols.messages import ScanRequest
from grainloop.protocols.sentences import printable
from grainloop.protocols.values import PointBlock, PointStatus

Flags = NDArray[np.bool_]
_PATIENCE_S, _PATIENCE_FACTOR = 600.0, 20.0
"""What an exposure may last: so long, and so many times what was asked for."""


@dataclass(frozen=True)
class Looked:
    """A block that was looked at.

    Attributes:
        points: with failed points in the place of those that cannot be believed.
        refused: (N,) which these are.
        why: what is wrong with the first of them, in a sentence; empty where there is none.
        shown_s: the latest that the instrument clock has shown in it or before; nothing where it never did.
    """

    points: PointBlock
    refused: Flags
    why: str
    shown_s: float | None


def look_at(
    block: PointBlock, request: ScanRequest, capabilities: Capabilities, shown_s: float | None, *, lost: bool
) -> Looked:
    """Look at points of a request before they count.

    Args:
        block: as it came.
        request: that it answers; points that it did not ask for are left as they are.
        capabilities: of the instrument.
        shown_s: the latest that its clock has shown; nothing where that is not known.
        lost: the service says that these points were exposed and their results are lost: all have failed then, and
            their time is only about right.
    """
    since_s = -math.inf if lost or shown_s is None else shown_s
    wrong = faults(block, capabilities, since_s) | _other_faults(block, request, capabilities, lost=lost)
    bad = np.any(list(wrong.values()), axis=0) & np.isin(block.point_id, request.point_id)
    latest = max(block.time_s[~bad].tolist(), default=None)
    known = [time_s for time_s in (shown_s, latest) if time_s is not None]
    newest_s = max(known, default=None)
    block = _plain_where_nothing_is_shown(block, capabilities)
    if not bad.any():
        return Looked(block, bad, "", newest_s)
    field, first = first_fault(wrong, bad)
    failed = _failed(block, request, bad, shown_s)
    return Looked(failed, bad, _told(block, field, first, printable(capabilities.name)), newest_s)


def _other_faults(
    block: PointBlock, request: ScanRequest, capabilities: Capabilities, *, lost: bool
) -> dict[str, Flags]:
    """What only whoever asked can know."""
    longest_s = _PATIENCE_S + _PATIENCE_FACTOR * request.dwell_s
    wrong = {
        "position_px": ~inside(block.position_px, capabilities.grid.shape_px),
        "exposure": block.dwell_s > longest_s,
    }
    return wrong | ({"lost": block.status != PointStatus.FAILED} if lost else {})


def _told(block: PointBlock, field: str, index: int, name: str) -> str:
    point = int(block.point_id[index])
    match field:
        case "position_px":
            row, column = block.position_px[index].tolist()
            return f"{name} delivered point {point} at row {row}, column {column}, outside the grid."
        case "exposure":
            return f"{name} delivered point {point} with dwell_s {block.dwell_s[index]}, longer than it can have been."
        case "lost":
            return f"{name} delivered point {point} as lost, with status {block.status[index]} that is not failed."
        case _:
            return fault_of(block, field, index, name).message


def _plain_where_nothing_is_shown(block: PointBlock, capabilities: Capabilities) -> PointBlock:
    """Points without an orientation may hold anything for one; what is none reads as (1, 0, 0, 0), and of no phase."""
    norm = np.linalg.norm(block.orientation.astype(np.float64), axis=1)
    odd = ~block.indexed & ~(np.abs(norm - 1) < UNIT_TOLERANCE)
    phases = [0, *(phase.phase_id for phase in capabilities.phases)]
    strange = ~block.indexed & ~np.isin(block.phase_id, phases)
    if not (odd | strange).any():
        return block
    columns = {name: np.array(getattr(block, name)) for name in PointBlock.model_fields}
    columns["orientation"][odd], columns["phase_id"][strange] = (1, 0, 0, 0), 0
    return PointBlock(**columns)


def _failed(block: PointBlock, request: ScanRequest, bad: Flags, shown_s: float | None) -> PointBlock:
    """The block with failed points in the place of bad ones."""
    place = {point: row for row, point in enumerate(request.point_id.tolist())}
    rows = [place[point] for point in block.point_id[bad].tolist()]
    position_px = block.position_px.copy()
    position_px[bad] = request.position_px[rows]
    times_s = _times(block.time_s, bad, shown_s, request.not_before_s)
    dwell_s = np.where(bad, np.float32(request.dwell_s), block.dwell_s)
    told = {"position_px": position_px, "time_s": times_s, "dwell_s": dwell_s}
    return block.with_failed(bad).model_copy(update=told)


def _times(time_s: NDArray[np.float64], bad: Flags, shown_s: float | None, not_before_s: float) -> NDArray[np.float64]:
    """(N,) with the newest known time where it is bad; before the first one, that one."""
    believed = time_s[~bad]
    before_s = shown_s if shown_s is not None else float(believed[0]) if len(believed) else not_before_s
    return np.maximum.accumulate(np.where(bad, before_s, time_s)) if bad.any() else time_s
