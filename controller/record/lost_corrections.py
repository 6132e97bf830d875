"""Corrections of a drift that a journal lost: put back from `session.h5`, else made again from the event that told it.

The event stands right behind the record and says in words how far, how many points moved, and how many of them lie
beside the grid; which these are follows from the points before. By how much more of them agreed it does not say.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from grainloop.controller.decide import told_by
from grainloop.controller.journal import entries as of
from grainloop.controller.journal import replay
from grainloop.protocols.errors import BadInput
from grainloop.protocols.states import RunState


def put_stored(items: list[Any], stored: Sequence[of.Corrected]) -> None:
    """Put those that a session file holds into the gaps where they were."""
    held = [item for item in items if isinstance(item, of.Corrected)]
    for correction in [one for one in stored if one not in held]:
        if (gap := _gap_of(items, correction)) is not None:
            items.insert(gap, correction)


def _gap_of(items: Sequence[Any], correction: of.Corrected) -> int | None:
    """The gap right before the event of a correction, or the last one before it was aimed by."""
    after, before = -1, len(items)
    for place, item in enumerate(items):
        if isinstance(item, of.Decided) and item.request.point_id[0] < correction.aimed_from:
            after = place
        elif isinstance(item, of.Decided):
            before = min(before, place)
        elif isinstance(item, of.QuestionAnswered) and item.question == correction.question:
            after = max(after, place)
    gaps = [place for place in range(after + 1, before) if isinstance(items[place], of.Missing)]
    told = [place for place in gaps if _told_behind(items, place) is not None]
    return next(iter([*told, *reversed(gaps)]), None)


def put_told(items: list[Any]) -> None:
    """Make those again that are lost and that an event right behind the gap tells of, in the order of time."""
    place = 0
    while place < len(items):
        lost = isinstance(items[place], of.Missing) and not isinstance(items[place - 1], of.Corrected)
        if lost and (event := _told_behind(items, place)) is not None:
            made = _made_of(items[:place], event)
            items[place:place] = made
            place += len(made)
        place += 1


def _told_behind(items: Sequence[Any], gap: int) -> of.EventTold | None:
    """The event right behind a gap, if it tells of a correction."""
    behind = next(iter(items[gap + 1 : gap + 2]), None)
    return behind if isinstance(behind, of.EventTold) and told_by(behind.event.text) is not None else None


def _made_of(before: Sequence[Any], event: of.EventTold) -> list[of.Corrected]:
    """The correction that an event tells of; nothing where the points before do not fit its words."""
    told = told_by(event.event.text)
    try:
        found = replay(before)
    except BadInput:
        return []
    if told is None or found.difference is not None or found.unknown or found.notes:
        return []
    ledger = found.decider.ledger
    ids = np.sort(np.concatenate([ledger.points.block().point_id, ledger.outside.block().point_id]))
    if not 0 < told.moved <= len(ids):
        return []
    from_point = int(ids[-told.moved])
    moved = ledger.correct(*told.whole_px, from_point)
    if (moved.points, moved.outside) != (told.moved, told.outside):
        return []
    asked_finally = event.event.state is not RunState.RUNNING  # the last question is not in the journal
    return [
        of.Corrected(
            question=found.decider.questions + asked_finally,
            rows_px=told.whole_px[0],
            columns_px=told.whole_px[1],
            from_point=from_point,
            aimed_from=moved.aimed_from,
            moved=moved.points,
            outside=moved.outside,
            again=moved.again,
            points=told.points,
            gain=0.0,
            clear=0.0,
            found_px=told.found_px,
        )
    ]
