"""A snapshot at any moment and the updates after it are the picture of all updates, and what session.h5 holds."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grainloop.controller.journal import Entry, PointsStored, read_journal
from grainloop.controller.record import JOURNAL_NAME
from grainloop.controller.serve.facts import Facts
from grainloop.controller.serve.updates import RunTold
from grainloop.protocols.codec import decode, encode
from grainloop.protocols.errors import BadInput
from grainloop.protocols.messages import ControlReply, GetPoints, Noted, RunSnapshot, RunUpdate
from grainloop.protocols.picture import RunPicture, picture
from tests.controller.run.test_correcting import carry_out
from tests.controller.serve.telling import Recorded, assert_holds_what_the_session_holds, assert_same, beginning


def updates_of(entries: Sequence[Entry]) -> list[RunUpdate]:
    facts = Facts()
    return [RunUpdate(number=number, what=facts.of(entry)) for number, entry in enumerate(entries, 1)]


def of_all(updates: Sequence[RunUpdate]) -> RunPicture:
    made = RunPicture()
    for update in updates:
        made.apply(update)
    return made


def over_the_wire(message: RunUpdate | RunSnapshot) -> RunUpdate | RunSnapshot:
    again = decode([bytes(frame) for frame in encode(message)], ControlReply)
    assert again == message
    return again  # type: ignore[return-value]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 60), st.data())
def test_a_snapshot_and_what_comes_after_it_are_the_whole_picture(seed: int, steps: int, data: st.DataObject) -> None:
    """Pages of the snapshot are asked for while the run goes on, and points before them may be moved meanwhile."""
    entries = Recorded(np.random.default_rng(seed)).grow(steps)
    at = data.draw(st.integers(1, len(entries)))
    updates, told = updates_of(entries), RunTold()
    told.recall(entries[:at])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(picture, "PAGE_POINTS", data.draw(st.integers(1, 5)))
        snapshot = over_the_wire(told.snapshot())
        assert isinstance(snapshot, RunSnapshot)
        made, later = RunPicture.of(snapshot), list(entries[at:])
        while (first := made.next_page) is not None:
            told.recall(later[:1])
            later = later[1:]
            request = GetPoints(run="r", first=first, corrections=len(snapshot.corrections))
            made.add(told.points(request))
    for update in updates:
        made.apply(over_the_wire(update))  # type: ignore[arg-type]  # those before the snapshot change nothing
    assert_same(made, of_all(updates))


def test_points_that_come_while_pages_are_asked_for_are_not_taken_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture, "PAGE_POINTS", 10)
    entries = Recorded(np.random.default_rng(5)).grow(300)
    counts = np.cumsum([len(entry.points) if isinstance(entry, PointsStored) else 0 for entry in entries])
    at = int(np.searchsorted(counts, 15))  # the second page is not full when the snapshot is made
    assert 10 < counts[at] < 20 <= counts[-1]
    told = RunTold()
    told.recall(entries[: at + 1])
    made = RunPicture.of(told.snapshot())
    corrections = len(made.corrections)
    told.recall(entries[at + 1 :])
    made.add(told.points(GetPoints(run="r", first=10, corrections=corrections)))
    assert len(made.points) == counts[at]
    assert made.next_page is None
    for update in updates_of(entries):
        made.apply(update)
    assert_same(made, of_all(updates_of(entries)))


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 60))
def test_the_picture_is_what_the_session_file_holds(seed: int, steps: int) -> None:
    entries = Recorded(np.random.default_rng(seed)).grow(steps)
    with tempfile.TemporaryDirectory() as folder:
        assert_holds_what_the_session_holds(of_all(updates_of(entries)), entries, Path(folder))


@pytest.fixture(scope="module")
def drifted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Entry, ...]:
    """The journal of a run whose drift was corrected in the middle."""
    folder = tmp_path_factory.mktemp("drifted")
    carry_out(folder)
    return read_journal(folder / JOURNAL_NAME).entries


@pytest.mark.parametrize("share", [0.1, 0.5, 0.8, 1.0])
def test_the_picture_of_a_real_run_is_what_its_session_holds_at_any_time(
    drifted: tuple[Entry, ...], tmp_path: Path, share: float
) -> None:
    entries = drifted[: max(1, round(share * len(drifted)))]
    made = of_all(updates_of(entries))
    assert_holds_what_the_session_holds(made, entries, tmp_path)
    assert (made.over is not None) == (made.final is not None) == (share == 1.0)
    assert made.corrections or share < 1.0


def test_an_update_that_is_missing_is_seen() -> None:
    updates = updates_of(Recorded(np.random.default_rng(0)).grow(20))
    made = of_all(updates[:5])
    with pytest.raises(BadInput, match="Update 7 cannot follow: update 6 is missing"):
        made.apply(updates[6])
    made.apply(updates[2])  # heard before
    assert made.number == 5


def test_a_page_that_is_not_the_next_one_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture, "PAGE_POINTS", 3)
    told = RunTold()
    entries = Recorded(np.random.default_rng(3)).grow(200)
    told.recall(entries)
    made = RunPicture.of(told.snapshot())
    assert made.next_page == 3
    with pytest.raises(BadInput, match="is not the next one"):
        made.add(told.points(GetPoints(run="r", first=6, corrections=len(made.corrections))))
    with pytest.raises(BadInput, match="pages of points are missing"):
        made.apply(RunUpdate(number=made.number + 1, what=Noted(what="light")))


def test_before_anything_is_told_there_is_no_picture() -> None:
    with pytest.raises(BadInput, match="Nothing was told"):
        RunPicture().snapshot()
    assert of_all(updates_of([beginning()])).began.run == "r"
