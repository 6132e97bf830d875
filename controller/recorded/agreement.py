"""A recorded run and one decided anew on its points side by side: what both asked for, and what limits the comparison.

How good their maps are is told where the truth is known, which is the caller's business.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from grainloop.controller.journal import entries as of
from grainloop.controller.ledger import aimed_offsets
from grainloop.controller.recorded.redecide import Recorded, Redecided
from grainloop.protocols.messages import REASON_CODES, ProposalReason
from grainloop.protocols.sentences import counted

_FIRST_PASS = REASON_CODES.index(ProposalReason.FIRST_PASS)


@dataclass(frozen=True, eq=False)
class AskedPixels:
    """What a run asked for and did not take back.

    Attributes:
        pixels: (N,) numbers of the pixels, row by row, in the order of asking.
        planned: (N,) bool, those of the first pass.
        ends: how many points it had asked for behind each decision.
        chosen: how many decisions were made by the model or instead of it.
    """

    pixels: NDArray[np.int64]
    planned: NDArray[np.bool_]
    ends: tuple[int, ...]
    chosen: int


@dataclass(frozen=True)
class Agreement:
    """How far two runs asked for the same.

    Attributes:
        points: that the second run asked for.
        shared: share of these that the first run had asked for among its first so many.
        halfway: the same of the first half of them.
        curve: the same behind every decision of the second run: points, and share.
    """

    points: int
    shared: float
    halfway: float
    curve: tuple[tuple[int, float], ...]


def asked_by(entries: Sequence[of.Item]) -> AskedPixels:
    """What the run in the entries of a journal asked for, on the specimen."""
    decided = list(_kept(entries))
    drift = [entry.correction for entry in entries if isinstance(entry, of.Corrected)]
    began = next(entry for entry in entries if isinstance(entry, of.Began))
    width = began.capabilities.grid.shape_px[1]
    sent = [entry.request for entry in decided]
    requests = [(one.position_px + aimed_offsets(drift, one.point_id)).astype(np.int64) for one in sent]
    pixels = np.concatenate([np.empty((0, 2), np.int64), *requests]) @ np.array([width, 1])
    planned = np.concatenate([np.empty(0, np.bool_), *(entry.reason == _FIRST_PASS for entry in decided)])
    ends = np.cumsum([len(request) for request in requests]).tolist()
    chosen = sum(entry.when.get("question") is not None for entry in decided)
    return AskedPixels(pixels, planned, tuple(ends), chosen)


def _kept(entries: Sequence[of.Item]) -> Iterator[of.Decided]:
    """The batches that were not withdrawn."""
    gone = {entry.batch for entry in entries if isinstance(entry, of.BatchClosed) and entry.withdrawn}
    return (entry for entry in entries if isinstance(entry, of.Decided) and entry.request.batch not in gone)


def agreement(recorded: AskedPixels, again: AskedPixels) -> Agreement:
    """How far the second run asked for what the first one had."""
    points = len(again.pixels)
    curve = tuple((end, _shared(recorded, again, end)) for end in again.ends)
    return Agreement(points, _shared(recorded, again, points), _shared(recorded, again, (points + 1) // 2), curve)


def _shared(recorded: AskedPixels, again: AskedPixels, count: int) -> float:
    """Share of the first `count` points of one run that are among the first `count` of the other."""
    mine = np.unique(again.pixels[:count])
    return float(np.isin(mine, recorded.pixels[:count]).mean()) if len(mine) else 1.0


def limits(recorded: Recorded, found: Redecided, entries: Sequence[of.Item], beyond: str | None) -> tuple[str, ...]:
    """What the comparison cannot tell, one sentence each.

    Args:
        recorded: the recorded run.
        found: the other run.
        entries: of its journal.
        beyond: where points come from that were not recorded; nothing where there are none.
    """
    first, again = asked_by(recorded.entries), asked_by(entries)
    told = [f"The recording itself: {one}" for one in (recorded.replayed.difference, recorded.replayed.unknown) if one]
    told += _of_the_lost([entry for entry in recorded.entries if isinstance(entry, of.Missing)])
    told += _of_points(recorded, first, again) if beyond is None else _of_map(found, beyond)
    failed = [entry.error for entry in entries if isinstance(entry, of.QuestionAnswered) and entry.error is not None]
    if failed:
        told.append(f"The model failed at {counted(len(failed), 'decision')}, which space filling made: {failed[0]}")
    if recorded.thinking_s:
        usual_s = recorded.usual_thinking_s()
        told.append(f"Decisions were given the time of the recorded ones, {usual_s:.2g} s in the median.")
    told.append("Instrument time is by the declared costs, without what the instrument took beyond them.")
    return tuple(told)


def _of_the_lost(lost: list[of.Missing]) -> list[str]:
    if not lost:
        return []
    return [
        f"In the recording {of.lost_words(lost)}. Points and decisions that were told of there are not compared; if a "
        "drift was, what was asked for behind it is compared beside where it was meant to be."
    ]


def _of_points(recorded: Recorded, first: AskedPixels, again: AskedPixels) -> list[str]:
    known = len(np.unique(recorded.points.position_px, axis=0))
    told = [
        f"Only the {known} pixels that were measured could be asked for: what else would have been, is not known "
        "(--truth MAP answers everywhere)."
    ]
    if len(np.unique(again.pixels)) == known:
        told.append(
            "In the end all of them were asked for, so both maps come from the same points and only the order differs; "
            "a smaller --budget leaves a choice."
        )
    if not np.array_equal(np.sort(first.pixels[first.planned]), np.sort(again.pixels[again.planned])):
        told.append(
            f"The first pass, {int(again.planned.sum())} points, was laid on the measured pixels nearest to it."
        )
    return told


def _of_map(found: Redecided, beyond: str) -> list[str]:
    return [f"{found.recorded_points} points were answered as recorded, {found.map_points} {beyond}."]
