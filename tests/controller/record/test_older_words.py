"""Corrections that a journal of version 2 lost: made again from what their events say in words."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grainloop.controller.decide.drift import Shift
from grainloop.controller.journal.entries import Corrected
from grainloop.controller.journal.reading import read_journal
from grainloop.controller.journal.replay import replay
from grainloop.controller.ledger import Moved
from grainloop.controller.record.older_words import Told, told_in_words
from grainloop.controller.record.recording import JOURNAL_NAME
from grainloop.protocols.messages import EventKind, RunEvent
from grainloop.protocols.states import RunState
from tests.controller.record.test_mending import damaged, mended, records

SAMPLE = Path(__file__).parents[1] / "journal" / "samples" / "v2"


def said(text: str) -> RunEvent:
    return RunEvent(
        sequence=1, state=RunState.RUNNING, event=EventKind.DRIFT, text=text, points_measured=1, points_budget=2
    )


@given(
    st.tuples(st.integers(-5, 5), st.integers(-5, 5)),
    st.tuples(st.floats(-0.49, 0.49), st.floats(-0.49, 0.49)),
    st.integers(100, 600),
    st.integers(1, 900),
    st.integers(0, 50),
)
def test_the_words_of_a_correction_say_what_was_done(
    whole_px: tuple[int, int], more_px: tuple[float, float], points: int, moved: int, outside: int
) -> None:
    found_px = whole_px[0] + more_px[0], whole_px[1] + more_px[1]
    shift = Shift(*found_px, points, 0.3, 6.0, 40)
    assert shift.whole_px == whole_px
    told = told_in_words(said(shift.corrected_words(Moved(moved, outside, 2, 700))))
    assert told == Told(whole_px, pytest.approx(found_px, abs=0.051), points, moved, outside)  # type: ignore[arg-type]
    assert told_in_words(said(f"{shift.words} Their positions are not corrected.")) is None


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    """A session of version 2, its journal unpacked and alone."""
    folder = tmp_path / "whole"
    (folder / JOURNAL_NAME).mkdir(parents=True)
    packed = (SAMPLE / JOURNAL_NAME / "000.journal.gz").read_bytes()
    (folder / JOURNAL_NAME / "000.journal").write_bytes(gzip.decompress(packed))
    return folder


def place_of(entries: tuple[object, ...]) -> int:
    (place,) = (number for number, entry in enumerate(entries) if isinstance(entry, Corrected))
    return place


def test_a_correction_that_was_lost_is_made_again_from_its_words(sample: Path, tmp_path: Path) -> None:
    before = read_journal(sample / JOURNAL_NAME).entries
    place = place_of(before)
    found = mended(damaged(sample, tmp_path / "run", [records(sample)[place][0]]))
    assert (found.whole, found.back, found.doubt) == (True, 1, ""), found.why
    made, lost = found.entries[place], before[place]
    assert isinstance(lost, Corrected)
    assert made.found_px == pytest.approx(lost.found_px, abs=0.05)
    assert (made.gain, made.clear) == (0.0, 0.0)
    evidence = {"gain": lost.gain, "clear": lost.clear, "found_px": lost.found_px}
    assert made.model_copy(update=evidence) == lost
    assert replay(found.entries).difference is None


def test_words_that_do_not_fit_the_points_make_no_correction(sample: Path, tmp_path: Path) -> None:
    """Points before it are lost as well, so that nobody knows which of them moved."""
    held = records(sample)
    place = place_of(read_journal(sample / JOURNAL_NAME).entries)
    stored = next(number for number, (_, kind) in enumerate(held) if kind == "points")
    found = mended(damaged(sample, tmp_path / "run", [held[stored][0], held[place][0]]))
    assert not found.whole
    assert not any(isinstance(entry, Corrected) for entry in found.entries)
