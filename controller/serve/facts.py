"""Entries of a journal as what updates tell: one fact for each record, in the frame of the specimen.

What is put together from them is the business of `protocols.picture`, who is told that of `controller.serve.updates`.
"""

from __future__ import annotations

from typing import assert_never

from grainloop.controller.journal import (
    BatchClosed,
    Began,
    Corrected,
    Decided,
    Ended,
    Entry,
    EventTold,
    LightStored,
    PointsStored,
    QuestionAnswered,
    QuestionAsked,
    Reconstructed,
    Resumed,
    SoftwareTold,
    Started,
    Stopped,
)
from grainloop.controller.ledger import Correction, aimed_offsets, measured_offsets
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
    RunWentOn,
)

FINAL_MAPS = "final"


def maps_of(question: int) -> str:
    """What the maps of the answer to a question are called."""
    return f"answer-{question}"


class Facts:
    """Makes facts of the entries of one run, in order."""

    def __init__(self) -> None:
        self._corrections = list[Correction]()
        self._asked_points = 0

    def of(self, entry: Entry) -> Fact:  # noqa: PLR0911  # one return for each kind
        """What an entry tells."""
        match entry:
            case Began():
                return RunBegan(run=entry.run, created=entry.created, plan=entry.plan, capabilities=entry.capabilities)
            case Resumed():
                return RunWentOn(created=entry.created)
            case PointsStored():
                return self._points(entry)
            case Decided():
                return self._decided(entry)
            case BatchClosed():
                return BatchOver.model_validate(entry.model_dump(exclude={"kind", "done"}))
            case QuestionAsked():
                self._asked_points = entry.points
                return Noted(what=entry.kind)
            case QuestionAnswered():
                return self._answered(entry)
            case Reconstructed():
                return _final(entry)
            case Corrected():
                return self._corrected(entry)
            case Stopped():
                return MeasuredEnough(question=entry.question, why=entry.why)
            case EventTold():
                return entry.event
            case Ended():
                return RunOver(reason=entry.reason, detail=entry.detail)
            case SoftwareTold() | LightStored() | Started():
                return Noted(what=entry.kind)
            case _:
                assert_never(entry)

    def _points(self, entry: PointsStored) -> PointsCame:
        points = entry.points
        return PointsCame(
            batch=entry.batch,
            point_id=points.point_id,
            position_px=points.position_px + measured_offsets(self._corrections, points.point_id),
            status=points.status,
            phase_id=points.phase_id,
            orientation=points.orientation,
            lost=entry.lost,
        )

    def _decided(self, entry: Decided) -> BatchDecided:
        request, question = entry.request, entry.when.get("question")
        return BatchDecided(
            batch=request.batch,
            round=int(entry.about.get("round") or 0),
            point_id=request.point_id,
            position_px=request.position_px + aimed_offsets(self._corrections, request.point_id),
            pieces=request.pieces,
            reason=entry.reason,
            gain=entry.gain,
            decided_by=entry.decided_by,
            stop_gap=entry.stop_gap,
            question=None if question is None else int(question),
        )

    def _answered(self, entry: QuestionAnswered) -> AnswerCame:
        return AnswerCame(
            question=entry.question,
            points=self._asked_points,
            method=entry.method,
            predicted_wrong=entry.predicted_wrong,
            seconds=entry.seconds,
            error=entry.error,
            maps=None if entry.error is not None else maps_of(entry.question),
        )

    def _corrected(self, entry: Corrected) -> DriftCorrected:
        self._corrections.append(entry.correction)
        return DriftCorrected.model_validate(entry.model_dump(include=set(DriftCorrected.model_fields) - {"kind"}))


def _final(entry: Reconstructed) -> FinalMaps:
    answer = entry.answer
    return FinalMaps(points=entry.points, method=answer.method, predicted_wrong=answer.predicted_wrong, maps=FINAL_MAPS)
