"""Points that `session.h5` holds and the journal does not: put back behind its end, or counted and told.

Back go points of batches that the journal decided and did not close, where both asked for the same pixels. Others would
stand for decisions that nobody can make again; who replaces the file keeps it (`controller.session.view`). What is put
into gaps within a journal is the business of `controller.record.mending`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from grainloop.controller.journal import BatchClosed, Decided, Entry, Item, PointsStored, replay
from grainloop.controller.session import HeldPoints, held_points
from grainloop.protocols.errors import BadInput
from grainloop.protocols.values import PointBlock


@dataclass(frozen=True)
class Apart:
    """How the points of a session file and of entries differ.

    Attributes:
        session: name of the file.
        held: points in it.
        recorded: points in the entries.
        lacking: points of the file that no entry holds.
        other: points under one number with other values in both.
        behind: points of the entries that the file does not hold.
    """

    session: str
    held: int
    recorded: int
    lacking: int
    other: int
    behind: int

    @property
    def more(self) -> bool:
        """Whether the file holds anything that the entries do not."""
        return bool(self.lacking or self.other)

    @property
    def alone(self) -> str:
        """What the file alone holds, as a part of a sentence; empty where that is nothing."""
        parts = [f"{self.lacking:,} are in {self.session} alone"] if self.lacking else []
        parts += [f"{self.other:,} have other values there"] if self.other else []
        return " and ".join(parts)

    @property
    def words(self) -> str:
        """What both held, and what the file alone does, as a part of a sentence."""
        both = f"{self.session} held {self.held:,} points, the journal {self.recorded:,}"
        return f"{both}, {self.alone}" if self.more else both


def held_in(session: Path) -> HeldPoints | None:
    """Points of a session file; nothing where there is none, or none that can be read."""
    try:
        return held_points(session)
    except BadInput:
        return None


def apart(held: HeldPoints, entries: Sequence[Entry], session: Path) -> Apart:
    """How both differ."""
    recorded = _recorded(entries)
    known, same = _known(held.points, recorded)
    lacking, other = int((~known).sum()), int((known & ~same).sum())
    behind = int((~np.isin(recorded.point_id, held.points.point_id)).sum())
    return Apart(session.name, len(held.points), len(recorded), lacking, other, behind)


def lacking(held: HeldPoints, entries: Sequence[Entry]) -> HeldPoints:
    """The points of a session file that no entry holds."""
    return held.select(~_known(held.points, _recorded(entries))[0]).once()


def put_behind(entries: Sequence[Entry], held: HeldPoints | None) -> tuple[PointsStored, ...]:
    """What can be put behind the last entry without another decision."""
    if held is None:
        return ()
    lost, asked = lacking(held, entries), _asked_px(entries)
    mine = [asked.get(number, (-1, -1)) == held.asked_px.get(number[1], ()) for number in lost.numbers()]
    back = _stretches(lost.select(np.array(mine, np.bool_)))
    return back if back and _sound([*entries, *back]) else ()


def _asked_px(entries: Sequence[Entry]) -> dict[tuple[int, int], tuple[int, ...]]:
    """Row and column of each point, by batch and number, of batches that are out."""
    closed = {entry.batch for entry in entries if isinstance(entry, BatchClosed)}
    out = [entry.request for entry in entries if isinstance(entry, Decided) and entry.request.batch not in closed]
    return {
        (one.batch, number): tuple(place)
        for one in out
        for number, place in zip(one.point_id.tolist(), one.position_px.tolist(), strict=True)
    }


def _stretches(held: HeldPoints) -> tuple[PointsStored, ...]:
    """Neighbours of one batch together, in the order of arrival."""
    edges = [0, *(np.flatnonzero(np.diff(held.batch)) + 1).tolist(), len(held.batch)]
    pairs = [(first, last) for first, last in pairwise(edges) if last > first]
    return tuple(
        PointsStored(batch=int(held.batch[first]), points=held.points.select(slice(first, last)))
        for first, last in pairs
    )


def all_behind(entries: Sequence[Entry], held: HeldPoints | None) -> tuple[PointsStored, ...]:
    """Every point that no entry holds, for a view of a run that nobody goes on with."""
    return () if held is None else _stretches(lacking(held, entries))


def _sound(items: Sequence[Item]) -> bool:
    try:
        again = replay(items)
    except BadInput:
        return False
    return again.difference is None and not again.unknown


def _recorded(entries: Sequence[Entry]) -> PointBlock:
    """The points of entries, each once."""
    blocks = [entry.points for entry in entries if isinstance(entry, PointsStored)]
    if not blocks:
        return PointBlock.empty()
    points = PointBlock.concatenate(blocks)
    return points.select(np.unique(points.point_id, return_index=True)[1])


def _known(points: PointBlock, recorded: PointBlock) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which points stand in a block sorted by number, and which of them with the same values, bit by bit."""
    if not len(recorded):
        return np.zeros(len(points), np.bool_), np.zeros(len(points), np.bool_)
    place = np.minimum(np.searchsorted(recorded.point_id, points.point_id), len(recorded) - 1)
    known = recorded.point_id[place] == points.point_id
    return known, known & (_bytes_of(points) == _bytes_of(recorded)[place]).all(axis=1)


def _bytes_of(points: PointBlock) -> NDArray[np.uint8]:
    """(N, bytes of a point)."""
    if not len(points):
        return np.empty((0, 1), np.uint8)
    columns = [np.ascontiguousarray(getattr(points, name)) for name in PointBlock.model_fields]
    return np.concatenate([one.view(np.uint8).reshape(len(points), -1) for one in columns], axis=1)
