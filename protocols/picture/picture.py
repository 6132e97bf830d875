"""The picture of a run, made of its updates, or of a snapshot and the updates after it. No sockets, no files.

What a dashboard draws and what a controller tells those who come late are the same picture, by the same code.
"""

from __future__ import annotations

from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from grainloop.protocols.errors import BadInput
from grainloop.protocols.messages.events import RunEvent
from grainloop.protocols.messages.snapshots import PAGE_POINTS, PointsPage, RunSnapshot
from grainloop.protocols.messages.updates import (
    AnswerCame,
    BatchDecided,
    BatchOver,
    DriftCorrected,
    Fact,
    FinalMaps,
    MeasuredEnough,
    Noted,
    PointsCame,
    RunBegan,
    RunOver,
    RunUpdate,
    RunWentOn,
)
from grainloop.protocols.picture.out import packed, unpacked
from grainloop.protocols.picture.points import Points


class RunPicture:
    """A run as far as its updates tell.

    Attributes:
        number: of the newest update; 0 before the first.
        points: everything that came, those beside the grid among them.
        out: batches that are out, by their numbers, oldest first.
        batches_over, batches_withdrawn: how many are over, and how many of these were taken back.
        corrections, last, answer, final, enough, over: as in `protocols.messages.snapshots.RunSnapshot`.
    """

    def __init__(self) -> None:
        self.number = self.batches_over = self.batches_withdrawn = 0
        self.points = Points()
        self.out = dict[int, BatchDecided]()
        self.corrections = list[DriftCorrected]()
        self.last: RunEvent | None = None
        self.answer: AnswerCame | None = None
        self.final: FinalMaps | None = None
        self.enough: MeasuredEnough | None = None
        self.over: RunOver | None = None
        self._began: RunBegan | None = None
        self._missing = 0

    @classmethod
    def of(cls, snapshot: RunSnapshot) -> RunPicture:
        """The picture of a snapshot; `add` the pages of points that it does not hold, then apply updates."""
        picture = cls()
        picture.number, picture._began, picture.last = snapshot.number, snapshot.began, snapshot.last
        picture.out = unpacked(snapshot.out)
        picture.batches_over, picture.batches_withdrawn = snapshot.batches_over, snapshot.batches_withdrawn
        picture.corrections = list(snapshot.corrections)
        picture.answer, picture.final = snapshot.answer, snapshot.final
        picture.enough, picture.over = snapshot.enough, snapshot.over
        picture._missing = snapshot.points
        picture.add(snapshot.page)
        return picture

    @property
    def began(self) -> RunBegan:
        """How the run began.

        Raises:
            BadInput: nothing was told yet.
        """
        if self._began is None:
            raise BadInput("Nothing was told of the run yet.", field="number", value=self.number)
        return self._began

    @property
    def inside(self) -> NDArray[np.bool_]:
        """(N,) bool, points that lie on the grid, and so are part of the map."""
        position_px = self.points.column("position_px")
        height, width = self.began.capabilities.grid.shape_px
        row, column = position_px[:, 0], position_px[:, 1]
        return (row >= 0) & (row < height) & (column >= 0) & (column < width)

    @property
    def next_page(self) -> int | None:
        """Place of the first point of the page to ask for next; nothing where all are there."""
        return len(self.points) if self._missing else None

    def add(self, page: PointsPage) -> None:
        """A page of the snapshot, in order; points that came after it are left to the updates that bring them.

        Raises:
            BadInput: it is not the next one, or of another run or other corrections.
        """
        expected = (self.began.run, len(self.points), len(self.corrections))
        if (page.run, page.first, page.corrections) != expected:
            raise BadInput("This page of points is not the next one of the snapshot.", field="first", value=page.first)
        count = min(len(page.point_id), self._missing)
        self.points.add(page, count)
        self._missing -= count

    def apply(self, update: RunUpdate) -> None:
        """Take the next update; one that is in the picture already changes nothing.

        Raises:
            BadInput: updates before it are missing, or pages of the snapshot: ask for a snapshot.
        """
        if update.number <= self.number:
            return
        if update.number != self.number + 1 or self._missing:
            missing = f"update {self.number + 1} is missing" if not self._missing else "pages of points are missing"
            raise BadInput(f"Update {update.number} cannot follow: {missing}.", field="number", value=update.number)
        self._take(update.what)
        self.number = update.number

    def _take(self, fact: Fact) -> None:
        match fact:
            case RunBegan():
                self._began = fact
            case RunWentOn():
                self.over = None
            case PointsCame():
                self.points.add(fact)
            case BatchDecided():
                self.out[fact.batch] = fact
            case BatchOver():
                self._close(fact)
            case AnswerCame():
                self.answer = fact
            case FinalMaps():
                self.final = fact
            case DriftCorrected():
                self.corrections.append(fact)
                self.points.move(fact)
            case MeasuredEnough():
                self.enough = fact
            case RunEvent():
                self.last = fact
            case RunOver():
                self.over = fact
            case Noted():
                pass
            case _:
                assert_never(fact)

    def _close(self, fact: BatchOver) -> None:
        self.out.pop(fact.batch, None)
        self.batches_over += 1
        self.batches_withdrawn += fact.withdrawn

    def snapshot(self) -> RunSnapshot:
        """The picture as of now, with the first page of its points.

        Raises:
            BadInput: nothing was told yet.
        """
        return RunSnapshot(
            number=self.number,
            began=self.began,
            last=self.last,
            out=packed(list(self.out.values())),
            batches_over=self.batches_over,
            batches_withdrawn=self.batches_withdrawn,
            corrections=tuple(self.corrections),
            answer=self.answer,
            final=self.final,
            enough=self.enough,
            over=self.over,
            points=len(self.points),
            page=self.page(0, len(self.corrections)),
        )

    def page(self, first: int, corrections: int) -> PointsPage:
        """Points from a place on, as they lay when so many corrections were known."""
        return self.points.page(self.began.run, first, PAGE_POINTS, self.corrections, corrections)
