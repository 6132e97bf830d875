"""Random but possible recordings of a run, and the picture that a session file holds, for tests of what is told."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from grainloop.controller.journal import (
    BatchClosed,
    Began,
    Corrected,
    Decided,
    Ended,
    Entry,
    EventTold,
    PointsStored,
    QuestionAnswered,
    QuestionAsked,
    Resumed,
    SoftwareTold,
    Started,
    Stopped,
)
from grainloop.controller.session import load_session, remake
from grainloop.protocols.messages import EventKind, RunEvent, ScanRequest
from grainloop.protocols.picture import RunPicture
from grainloop.protocols.plan import RunPlan
from grainloop.protocols.states import FinishReason, RunState
from grainloop.protocols.values import PointBlock, PointStatus
from tests.controller.fakes import capabilities

SHAPE = (12, 9)


def beginning() -> Began:
    return Began(run="r", created="2026-01-01", plan=RunPlan(), capabilities=capabilities(SHAPE), software={})


class Recorded:
    """A recording that grows by random entries; what cannot follow is not made."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng, self.entries = rng, list[Entry]([beginning()])
        self._out = dict[int, list[int]]()
        self._next_id = self._next_batch = self._questions = self._events = 0

    def grow(self, steps: int) -> list[Entry]:
        kinds = [self._decide, self._points, self._points, self._close, self._correct, self._answer, self._say]
        kinds += [self._other]
        for _ in range(steps):
            self.rng.choice(np.array(kinds, object))()
        return self.entries

    def _positions(self, count: int) -> np.ndarray:
        return self.rng.integers(0, SHAPE, (count, 2)).astype(np.int32)

    def _decide(self) -> None:
        count = int(self.rng.integers(1, 6))
        ids = np.arange(self._next_id, self._next_id + count)
        request = ScanRequest(
            batch=self._next_batch, run="r", point_id=ids, position_px=self._positions(count), dwell_s=0.01
        )
        nothing = np.full(count, np.nan, np.float32)
        self.entries.append(
            Decided(
                request=request,
                reason=self.rng.integers(0, 8, count).astype(np.uint8),
                gain=self.rng.random(count).astype(np.float32),
                p_wrong=nothing,
                competing=np.zeros(count, np.uint8),
                misorientation_deg=nothing,
                travel_px=nothing,
                decided_by="dice",
                stop_gap=bool(self.rng.random() < 0.3),
                when={"over": 0, "question": None, "asked_sent": None, "asked_over": None, "elapsed_s": 0.0},
                about={"round": self._questions},
            )
        )
        self._out[self._next_batch] = ids.tolist()
        self._next_id += count
        self._next_batch += 1

    def _points(self) -> None:
        if not self._out:
            return
        batch = next(iter(self._out))
        count = int(self.rng.integers(0, len(self._out[batch]) + 1))
        ids, self._out[batch] = self._out[batch][:count], self._out[batch][count:]
        blocks = [
            PointBlock.one(
                one,
                self._positions(1)[0],
                time_s=float(one),
                dwell_s=0.01,
                orientation=self.rng.permutation([1.0, 0, 0, 0]),
                status=PointStatus(int(self.rng.integers(1, 4))),
            )
            for one in ids
        ]
        lost = "exposed, result lost" if self.rng.random() < 0.1 else None
        self.entries.append(PointsStored(batch=batch, points=PointBlock.concatenate(blocks), lost=lost))

    def _close(self) -> None:
        if self._out:
            batch = int(self.rng.choice(list(self._out)))
            untouched = not any(isinstance(one, PointsStored) and one.batch == batch for one in self.entries)
            withdrawn = untouched and bool(self.rng.random() < 0.5)
            left = self._out.pop(batch)
            self.entries.append(
                BatchClosed(batch=batch, asked=len(left), points=0, done=None, error=None, withdrawn=withdrawn)
            )

    def _correct(self) -> None:
        rows_px, columns_px = self.rng.integers(-3, 4, 2).tolist()
        self.entries.append(
            Corrected(
                question=self._questions,
                rows_px=rows_px,
                columns_px=columns_px,
                from_point=int(self.rng.integers(0, self._next_id + 1)),
                aimed_from=self._next_id,
                moved=1,
                outside=0,
                again=0,
                points=100,
                gain=0.3,
                clear=5.0,
                found_px=(float(rows_px), float(columns_px)),
            )
        )

    def _answer(self) -> None:
        self._questions += 1
        self.entries.append(QuestionAsked(question=self._questions, points=self._next_id))
        failed = bool(self.rng.random() < 0.3)
        given: dict[str, Any] = {"error": "silent"} if failed else {"method": "nearest", "predicted_wrong": 0.25}
        self.entries.append(QuestionAnswered(question=self._questions, **given))

    def _say(self) -> None:
        self._events += 1
        kind = self.rng.choice(np.array(list(EventKind), object))
        event = RunEvent(
            sequence=self._events,
            state=RunState.RUNNING,
            event=kind,
            text=f"It is {kind}.",
            points_measured=0,
            points_budget=9,
        )
        self.entries.append(EventTold(event=event))

    def _other(self) -> None:
        others: list[Entry] = [
            SoftwareTold(software={"model": "0"}),
            Started(light_s=0.0),
            Stopped(question=self._questions, why="it is enough"),
            Ended(reason=FinishReason.STOPPED, detail="the operator stopped the run"),
            Resumed(created="2026-01-02", software={}),
        ]
        self.entries.append(others[int(self.rng.integers(len(others)))])


def assert_same(one: RunPicture, other: RunPicture) -> None:
    """Two pictures hold the same."""
    assert one.snapshot() == other.snapshot()
    for name in ("batch", "point_id", "position_px", "status", "phase_id", "orientation"):
        assert np.array_equal(one.points.column(name), other.points.column(name)), name


def assert_holds_what_the_session_holds(picture: RunPicture, entries: Sequence[Entry], folder: Path) -> None:
    """The picture of a recording is that of the session file made of it."""
    path = folder / "session.h5"
    remake(entries, path)
    session, points, inside = load_session(path), picture.points, picture.inside
    assert points.column("point_id")[inside].tolist() == session.points.point_id.tolist()
    assert points.column("point_id")[~inside].tolist() == session.outside.point_id.tolist()
    assert points.column("batch")[inside].tolist() == session.batch.tolist()
    for name in ("position_px", "status", "phase_id", "orientation"):
        assert np.array_equal(points.column(name)[inside], getattr(session.points, name)), name
    told = [(one.rows_px, one.columns_px, one.from_point, one.aimed_from) for one in picture.corrections]
    stored = [(one.rows_px, one.columns_px, one.from_point, one.aimed_from) for one in session.corrections]
    assert told == stored
    assert picture.last == (session.events[-1] if session.events else None)
    assert (picture.batches_over, picture.batches_withdrawn) == (
        len(session.batches),
        sum(bool(row.get("withdrawn")) for row in session.batches),
    )
    asked = session.requested
    over = {row["batch"] for row in session.batches}
    assert list(picture.out) == [row["batch"] for row in session.decisions if row["batch"] not in over]
    for number, one in picture.out.items():
        rows = asked.batch == number
        assert np.array_equal(one.point_id, asked.point_id[rows])
        assert np.array_equal(one.position_px, asked.position_px[rows])
        assert np.array_equal(one.reason, asked.reason[rows])
        assert np.array_equal(one.gain, asked.gain[rows])
    assert (picture.over.reason.value if picture.over else "") == session.finish_reason
    assert (picture.began.plan, picture.began.capabilities) == (session.plan, session.capabilities)
