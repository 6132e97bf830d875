"""Gaps in a journal filled by what `session.h5` holds, each entry behind what came before it.

Whether the run can be gone on with then, and what is written, is the business of `controller.record.mending`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from grainloop.controller.journal import Entry, Item
from grainloop.controller.journal import entries as of
from grainloop.controller.record.lost_corrections import put_stored, put_told
from grainloop.controller.session import HeldPoints, Session
from grainloop.protocols.messages import RunEvent, ScanDone
from grainloop.protocols.values import PointBlock


def fill(items: list[Item], stored: Session | None, held: HeldPoints | None) -> None:
    """Put what a session file holds, and what the entries beside them say, where records are missing."""
    if stored is not None:
        _put_beginning(items, stored)
        _put_light(items, stored)
    if held is not None:
        for number in np.unique(held.batch).tolist():
            _put_points(items, number, held.points.select(held.batch == number))
    if stored is not None:
        for row in stored.batches:
            _put_end(items, row)
        put_stored(items, stored.corrections)
        _put_events(items, stored.events)
    _put_questions(items)
    put_told(items)


def _put(items: list[Item], entry: Entry, after: int) -> None:
    """Into the first gap behind a place, if there is one."""
    gap = next((n for n in range(after + 1, len(items)) if isinstance(items[n], of.Missing)), None)
    if gap is not None:
        items.insert(gap, entry)


def last_place(items: Sequence[Item], wanted: Callable[[Item], bool]) -> int:
    """The place of the last item that is `wanted`, -1 where none is."""
    return max((n for n, item in enumerate(items) if wanted(item)), default=-1)


def _put_beginning(items: list[Item], stored: Session) -> None:
    named = next((item.request.run for item in items if isinstance(item, of.Decided)), None)
    if any(isinstance(item, of.Began) for item in items) or named is None:
        return
    items.insert(
        0,
        of.Began(
            run=named,
            created=stored.created,
            plan=stored.plan,
            capabilities=stored.capabilities,
            software=stored.software,
            sync=stored.journal_sync,
        ),
    )


def _put_light(items: list[Item], stored: Session) -> None:
    light, began = last_place(items, is_a(of.LightStored)), last_place(items, is_a(of.Began))
    if light < 0 and stored.light is not None and stored.light_s is not None:
        _put(items, of.LightStored(light=stored.light, seconds=stored.light_s), began)
        light = last_place(items, is_a(of.LightStored))
    if last_place(items, is_a(of.Started)) < 0:
        taken = items[light] if light >= 0 else None
        light_s = taken.seconds if isinstance(taken, of.LightStored) else 0.0
        _put(items, of.Started(light_s=light_s), max(light, began))


def is_a(kind: type[Item]) -> Callable[[Item], bool]:
    """Whether an item is of a kind."""
    return lambda item: isinstance(item, kind)


def _put_points(items: list[Item], batch: int, stored: PointBlock) -> None:
    """The points of a batch that the journal lacks, each stretch behind what came before it."""
    held = [item for item in items if isinstance(item, of.PointsStored) and item.batch == batch]
    known = np.isin(stored.point_id, np.concatenate([np.empty(0, np.int64), *(one.points.point_id for one in held)]))
    edges = np.flatnonzero(np.diff(np.concatenate([[True], known, [True]]).astype(np.int8)))
    for first, last in edges.reshape(-1, 2).tolist():
        before = int(stored.point_id[first - 1]) if first else None
        place = last_place(items, _is_before(batch, before))
        _put(items, of.PointsStored(batch=batch, points=stored.select(slice(first, last))), place)


def _is_before(batch: int, point: int | None) -> Callable[[Item], bool]:
    """Whether an item holds a point of a batch, or, without a point, the decision on it."""

    def decides(item: Item) -> bool:
        return isinstance(item, of.Decided) and item.request.batch == batch

    def holds(item: Item) -> bool:
        return isinstance(item, of.PointsStored) and item.batch == batch and point in item.points.point_id

    return decides if point is None else holds


def _put_end(items: list[Item], row: dict[str, Any]) -> None:
    closed = _closed(row)
    if (
        closed is None
        or last_place(items, lambda item: isinstance(item, of.BatchClosed) and item.batch == closed.batch) >= 0
    ):
        return
    _put(items, closed, last_place(items, lambda item: _tells_of(item, closed.batch)))


def _closed(row: dict[str, Any]) -> of.BatchClosed | None:
    """The end of a batch that a row tells of; nothing where the row is damaged."""
    try:
        batch, times = (
            int(row["batch"]),
            {name: row[name] for name in ("started_s", "finished_s", "idle_s") if name in row},
        )
        done = ScanDone(batch=batch, points=row["points"], **times) if row["ok"] else None
        return of.BatchClosed(
            batch=batch,
            asked=row["asked"],
            points=row["points"],
            done=done,
            error=row["error"],
            withdrawn=row.get("withdrawn", False),
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


def _tells_of(item: Item, batch: int) -> bool:
    decided = isinstance(item, of.Decided) and item.request.batch == batch
    return decided or (isinstance(item, of.PointsStored) and item.batch == batch)


def _put_events(items: list[Item], stored: Sequence[RunEvent]) -> None:
    """Events that the journal lacks, each behind the one before."""
    held = {item.event.sequence for item in items if isinstance(item, of.EventTold)}
    for event in [one for one in stored if one.sequence not in held]:
        _put(items, of.EventTold(event=event), last_place(items, _is_event_before(event.sequence)))


def _is_event_before(sequence: int) -> Callable[[Item], bool]:
    return lambda item: isinstance(item, of.EventTold) and item.event.sequence < sequence


def _put_questions(items: list[Item]) -> None:
    """Questions that were answered and are not told of, into the last gap before the answer."""
    asked = {item.question for item in items if isinstance(item, of.QuestionAsked)}
    for entry in [item for item in items if isinstance(item, of.QuestionAnswered) and item.question not in asked]:
        place = next(n for n, item in enumerate(items) if item is entry)
        gap = max((n for n in range(place) if isinstance(items[n], of.Missing)), default=None)
        if gap is not None:
            ids = [len(item.points) for item in items[:gap] if isinstance(item, of.PointsStored)]
            items.insert(gap, of.QuestionAsked(question=entry.question, points=sum(ids)))
