"""Decisions as entries of a journal, and back."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from grainloop.controller.decide import Batch, When, Why
from grainloop.controller.journal.entries import Decided


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
