"""Corrections of a drift that a journal lost: put back from `session.h5`, else made again from the event that told it.

The event stands right behind the record and holds all its numbers. In journals of version 2 it holds words alone;
reading these is the business of `controller.record.older_words`.
"""

from __future__ import annotations

from collections.abc import Sequence

from grainloop.controller.journal import entries as of
from grainloop.controller.record.older_words import made_of_words, told_in_words
from grainloop.protocols.messages import RunEvent


def put_stored(items: list[of.Item], stored: Sequence[of.Corrected]) -> None:
    """Put those that a session file holds into the gaps where they were."""
    held = [item for item in items if isinstance(item, of.Corrected)]
    for correction in [one for one in stored if one not in held]:
        if (gap := _gap_of(items, correction)) is not None:
            items.insert(gap, correction)


def _gap_of(items: Sequence[of.Item], correction: of.Corrected) -> int | None:
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


def put_told(items: list[of.Item]) -> None:
    """Make those again that are lost and that an event right behind the gap tells of, in the order of time."""
    place = 0
    while place < len(items):
        lost = isinstance(items[place], of.Missing) and not isinstance(items[place - 1], of.Corrected)
        if lost and (event := _told_behind(items, place)) is not None:
            made = of.Corrected.told_by(event) or made_of_words(items[:place], event)
            items[place:place] = [] if made is None else [made]
            place += made is not None
        place += 1


def _told_behind(items: Sequence[of.Item], gap: int) -> RunEvent | None:
    """The event right behind a gap, if it tells of a correction."""
    behind = next(iter(items[gap + 1 : gap + 2]), None)
    if not isinstance(behind, of.EventTold):
        return None
    event = behind.event
    return event if of.Corrected.told_by(event) is not None or told_in_words(event) is not None else None
