"""The picture of a run asked for: a snapshot of it as of an update, its points in pages, and maps that updates name."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from grainloop.protocols.arrays import ByteList, FloatList, IdList, PieceList, PixelList, QuaternionList
from grainloop.protocols.messages.common import Name
from grainloop.protocols.messages.events import RunEvent
from grainloop.protocols.messages.model import Reconstruction
from grainloop.protocols.messages.updates import (
    AnswerCame,
    Count,
    DriftCorrected,
    FinalMaps,
    MeasuredEnough,
    RunBegan,
    RunOver,
    require_equal_lengths,
)
from grainloop.protocols.values import Value

PAGE_POINTS = 25_000
"""Points in a page of a snapshot: about 1 MB."""


class OneOut(Value):
    """A batch that is out, without its points; fields as in `BatchDecided`.

    Attributes:
        points, pieces: how many rows of the columns of all batches are its own; no pieces where it has none.
    """

    batch: Count
    round: Count
    points: Count
    pieces: Count | None
    decided_by: str
    stop_gap: bool
    question: Count | None


class BatchesOut(Value):
    """All batches that are out, oldest first, their points in columns one after the other."""

    batches: tuple[OneOut, ...]
    point_id: IdList
    position_px: PixelList
    reason: ByteList
    gain: FloatList
    pieces: PieceList


class PointsPage(Value):
    """A stretch of the points of a run in the order in which they came.

    Attributes:
        run: its name.
        first: place of the first of them, from 0.
        corrections: how many corrections of a drift are in the positions; the same stretch by the same corrections is
            the same page at any time.
        batch: that each belongs to.
        point_id, position_px, status, phase_id, orientation: as in `PointsCame`.
    """

    kind: Literal["points_page"] = "points_page"
    run: str
    first: Count
    corrections: Count
    batch: IdList
    point_id: IdList
    position_px: PixelList
    status: ByteList
    phase_id: ByteList
    orientation: QuaternionList

    @model_validator(mode="after")
    def _equal_lengths(self) -> PointsPage:
        require_equal_lengths(self.batch, self.point_id, self.position_px, self.status, self.phase_id, self.orientation)
        return self


class RunSnapshot(Value):
    """The whole picture of a run as of an update: with the updates after it, it is the picture at any later time.

    Attributes:
        number: of the update; follow the run after it.
        began: how it began.
        last: the newest event: state, budget, predicted share of wrong pixels, clock.
        out: batches that are out, oldest first.
        batches_over: how many are over, and how many of these were taken back.
        batches_withdrawn: of these, how many were taken back.
        corrections: of a drift, in order.
        answer: the newest of the model.
        final: maps of everything, if there are any.
        enough: why nothing more is measured, once that is decided.
        over: how it ended, once it has.
        points: how many have come; those beside the grid are among them.
        page: the first of them; ask for the others with `GetPoints`.
    """

    kind: Literal["run_snapshot"] = "run_snapshot"
    number: Annotated[int, Field(ge=1)]
    began: RunBegan
    last: RunEvent | None
    out: BatchesOut
    batches_over: Count
    batches_withdrawn: Count
    corrections: tuple[DriftCorrected, ...]
    answer: AnswerCame | None
    final: FinalMaps | None
    enough: MeasuredEnough | None
    over: RunOver | None
    points: Count
    page: PointsPage


class RunMaps(Value):
    """Maps that an update named; the proposals and PL features of the answer are left out."""

    kind: Literal["run_maps"] = "run_maps"
    maps: Name
    points: Count
    answer: Reconstruction


class GetSnapshot(Value):
    """Ask for the whole picture of the run that goes on, or of the last one."""

    kind: Literal["get_snapshot"] = "get_snapshot"


class GetPoints(Value):
    """Ask for a page of points of a snapshot.

    Attributes:
        run: of the snapshot.
        first: place of the first of them.
        corrections: how many corrections the snapshot holds.
    """

    kind: Literal["get_points"] = "get_points"
    run: Name
    first: Count
    corrections: Count


class GetMaps(Value):
    """Ask for maps that an update named; those of the newest answer and the final ones are kept."""

    kind: Literal["get_maps"] = "get_maps"
    run: Name
    maps: Name
