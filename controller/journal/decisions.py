"""Decisions, answers and corrections of a drift as entries of a journal, and decisions back."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from grainloop.controller.decide import Batch, Shift, When, Why
from grainloop.controller.journal.entries import Corrected, Decided, QuestionAnswered
from grainloop.controller.ledger import Moved
from grainloop.protocols.messages import Reconstruction


def decided_entry(batch: Batch, about: dict[str, Any]) -> Decided:
    """A decided batch as an entry."""
    when = {field.name: getattr(batch.when, field.name) for field in fields(When)}
    columns: dict[str, Any] = dict(batch.why.columns())
    return Decided(
        request=batch.request,
        travel_px=batch.travel_px,
        decided_by=batch.decided_by,
        stop_gap=batch.stop_gap,
        when=when,
        about=about,
        **columns,
    )


def batch_of(entry: Decided) -> Batch:
    """The batch that an entry tells of."""
    why = Why(**{field.name: getattr(entry, field.name) for field in fields(Why)})
    when: dict[str, Any] = dict(entry.when)
    return Batch(entry.request, why, entry.travel_px, entry.decided_by, When(**when), entry.stop_gap)


def answered_entry(question: int, answer: Reconstruction) -> QuestionAnswered:
    """What the model answered to a question, without its maps, as an entry."""
    return QuestionAnswered(
        question=question,
        predicted_wrong=answer.predicted_wrong,
        method=answer.method,
        seconds=answer.seconds,
        proposals=answer.proposals,
    )


def corrected_entry(question: int, shift: Shift, moved: Moved) -> Corrected:
    """A correction of a drift that the answer to a question showed, and what it did, as an entry."""
    rows_px, columns_px = shift.whole_px
    return Corrected(
        question=question,
        rows_px=rows_px,
        columns_px=columns_px,
        from_point=shift.from_point,
        aimed_from=moved.aimed_from,
        moved=moved.points,
        outside=moved.outside,
        again=moved.again,
        points=shift.points,
        gain=shift.gain,
        clear=shift.clear,
        found_px=(shift.rows_px, shift.columns_px),
    )
