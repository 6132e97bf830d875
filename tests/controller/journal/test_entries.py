"""Entries: each kind comes back as it was; bytes that are none are refused."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grainloop.controller.decide.decider import Decider
from grainloop.controller.journal.entries import (
    BatchClosed,
    Began,
    Corrected,
    Decided,
    Ended,
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
    entry_bytes,
    read_entry,
)
from grainloop.controller.plans import Terms
from grainloop.protocols.errors import BadMessage, UnknownKind
from grainloop.protocols.frames import pack
from grainloop.protocols.messages import RunEvent, ScanDone
from grainloop.protocols.plan import Budget, RunPlan
from grainloop.protocols.states import FinishReason, RunState
from grainloop.protocols.values import LightImages, LightKind, Value
from tests.controller.fakes import block_of, capabilities, reconstruction

PLAN = RunPlan(budget=Budget(fraction=0.3), seed=4)
DONE = ScanDone(batch=0, points=5, started_s=1, finished_s=2)


def entries() -> list[Any]:
    """One of each kind."""
    decider = Decider(Terms(PLAN, capabilities()), "run")
    decider.begin(0.0)
    batch = decider.next_planned()
    assert batch is not None
    points = block_of(batch.request, 3.0)
    decider.ledger.receive(0, points)
    decider.ledger.close(0, None)
    answer = reconstruction(decider.final_question(), (24, 20))
    images = np.random.default_rng(0).random((2, 5, 4)).astype(np.float32)
    light = LightImages(kind=LightKind.ROTATION_STACK, angles_deg=(0.0, 90.0), images=images, pixel_um=0.7)
    event = RunEvent(sequence=1, state=RunState.RUNNING, event="x", text="ü", points_measured=1, points_budget=2)
    return [
        Began(run="a", created="now", plan=PLAN, capabilities=decider.terms.capabilities, software={"python": "3"}),
        SoftwareTold(software={"model": "1"}),
        LightStored(light=light, seconds=2.5),
        Decided(
            request=batch.request,
            travel_px=batch.travel_px,
            decided_by=batch.decided_by,
            stop_gap=False,
            when=asdict(batch.when),
            about={"round": 0, "note": None},
            **dict[str, Any](batch.why.columns()),
        ),
        PointsStored(batch=0, points=points),
        BatchClosed(
            batch=0, asked=5, points=5, done=ScanDone(batch=0, points=5, started_s=1, finished_s=2), error=None
        ),
        BatchClosed(batch=1, asked=5, points=0, done=None, error=None, withdrawn=True),
        Started(light_s=2.5),
        QuestionAsked(question=1, points=5),
        QuestionAnswered(question=1, predicted_wrong=0.2, method="joint", seconds=0.5, proposals=answer.proposals),
        QuestionAnswered(question=2, error="The model is gone."),
        Corrected(
            question=2,
            rows_px=3,
            columns_px=-2,
            from_point=7,
            aimed_from=9,
            moved=2,
            outside=1,
            again=0,
            points=200,
            gain=0.4,
            clear=9.5,
            found_px=(2.9, -2.2),
        ),
        Resumed(created="later", software={"python": "4"}),
        Stopped(question=2, why="it is enough"),
        Reconstructed(points=5, answer=answer),
        EventTold(event=event),
        Ended(reason=FinishReason.COMPLETED, detail="done"),
    ]


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry.kind)
def test_an_entry_comes_back_as_it_was(entry: Value) -> None:
    assert read_entry(entry_bytes(entry)) == entry


def test_the_same_entry_has_the_same_bytes() -> None:
    first, second = entries(), entries()
    assert [entry_bytes(one) for one in first] == [entry_bytes(one) for one in second]


@given(st.binary(max_size=60))
def test_noise_is_no_entry(noise: bytes) -> None:
    with pytest.raises(BadMessage):
        read_entry(noise)


def test_an_unknown_kind_is_named() -> None:
    frames = [bytes(frame) for frame in pack({"kind": "dreamt"})]
    with pytest.raises(UnknownKind, match="dreamt"):
        read_entry(msgpack.packb(frames) or b"")
