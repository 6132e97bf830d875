"""A journal that lost the correction of a drift: put back, made again from its event, or told to be unknown."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from grainloop.cli import main
from grainloop.controller.journal.entries import Corrected, Decided, Missing, PointsStored
from grainloop.controller.journal.reading import read_journal
from grainloop.controller.journal.replay import replay
from grainloop.controller.record.recording import JOURNAL_NAME, SESSION_NAME
from grainloop.controller.recorded.agreement import limits
from grainloop.controller.recorded.redecide import recorded_run
from grainloop.controller.run.run import Run
from grainloop.controller.session.reader import load_session
from grainloop.controller.session.view import remake
from grainloop.protocols.errors import BadInput
from grainloop.protocols.messages import RunFinished
from grainloop.protocols.states import FinishReason
from tests.controller.record.test_mending import damaged, mended, records
from tests.controller.run.test_correcting import Drifting, Knowing, carry_out
from tests.controller.virtual_time import run

LATE = 1100
"""A drift from this point on is found when everything is measured."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run whose drift was corrected in the middle."""
    folder = tmp_path_factory.mktemp("whole")
    carry_out(folder)
    return folder


@pytest.fixture(scope="module")
def late(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run whose drift was found behind the last decision."""
    folder = tmp_path_factory.mktemp("late")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tests.controller.run.test_correcting.BEFORE", LATE)
        carry_out(folder)
    return folder


@pytest.fixture(params=["whole", "late"])
def corrected(request: pytest.FixtureRequest) -> Path:
    return request.getfixturevalue(request.param)


def entries(folder: Path) -> tuple[Any, ...]:
    return read_journal(folder / JOURNAL_NAME).entries


def place_of(folder: Path) -> int:
    """The number of the record of the correction."""
    (place,) = (number for number, entry in enumerate(entries(folder)) if isinstance(entry, Corrected))
    return place


def without(folder: Path, to: Path, numbers: Sequence[int], *, session: bool = True) -> Path:
    """A copy that has lost these records, and perhaps the session file."""
    held = records(folder)
    damaged(folder, to, [held[number][0] for number in numbers])
    if not session:
        (to / SESSION_NAME).unlink()
    return to


@pytest.mark.parametrize("more", [0, 1], ids=["alone", "with its event"])
def test_a_correction_that_the_session_file_holds_is_put_back(corrected: Path, tmp_path: Path, more: int) -> None:
    place = place_of(corrected)
    folder = without(corrected, tmp_path / "run", range(place, place + 1 + more))
    found = mended(folder)
    assert (found.whole, found.back, found.doubt) == (True, 1 + more, ""), found.why
    assert found.entries == entries(folder) == entries(corrected)
    remake(found.entries, folder / SESSION_NAME)
    again, before = load_session(folder / SESSION_NAME), load_session(corrected / SESSION_NAME)
    assert (again.points, again.outside, again.corrections) == (before.points, before.outside, before.corrections)
    assert again.events == before.events


def test_without_the_session_file_it_is_made_again_from_its_event(corrected: Path, tmp_path: Path) -> None:
    place = place_of(corrected)
    found = mended(without(corrected, tmp_path / "run", [place], session=False))
    assert (found.whole, found.back, found.doubt) == (True, 1, ""), found.why
    assert found.entries == entries(corrected)
    again, before = replay(found.entries), replay(entries(corrected))
    assert again.difference is None
    assert again.decider.ledger.points.block() == before.decider.ledger.points.block()


def test_a_mended_run_is_gone_on_with_by_the_same_aim(whole: Path, tmp_path: Path) -> None:
    """Its controller died some decisions behind the correction."""
    place = place_of(whole)
    later = [number for number, entry in enumerate(entries(whole)) if number > place and isinstance(entry, Decided)][1]
    folder = without(whole, tmp_path / "run", [], session=False)
    (file,) = (folder / JOURNAL_NAME).glob("*.journal")
    held = records(whole)
    data = bytearray(file.read_bytes()[: held[later + 1][0]])
    data[held[place][0] + 30] ^= 1
    file.write_bytes(bytes(data))

    def go_on() -> RunFinished:
        return run(Run.taken_up(folder, Drifting(), Knowing()).execute())

    with pytest.raises(BadInput, match="`grainloop repair` mends it"):
        go_on()
    assert mended(folder).whole
    assert go_on().reason is FinishReason.COMPLETED
    session = load_session(folder / SESSION_NAME)
    assert session.corrections[0].correction == entries(whole)[place].correction
    assert replay(entries(folder)).difference is None


def test_what_nothing_tells_of_any_more_is_not_said_to_differ(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Correction, event and session file are lost: the next decision was made by an aim that nobody knows."""
    place = place_of(whole)
    folder = without(whole, tmp_path / "run", [place, place + 1], session=False)
    number = sum(isinstance(entry, Decided) for entry in entries(whole)[:place])
    sentence = f"Decision {number} cannot be made again: records {place} to {place + 1} are lost."
    assert main(["replay", str(folder)]) == 1
    out = capsys.readouterr().out
    assert f"{number} decisions were made again, byte for byte as recorded;" in out
    assert sentence in out
    assert "differs" not in out
    assert main(["repair", str(folder)]) == 0
    out = capsys.readouterr().out
    assert f"The journal stays as it is: what was lost decides how the run goes on. {sentence}" in out
    assert "differs" not in out
    recorded = recorded_run(read_journal(folder / JOURNAL_NAME).with_gaps)
    told = " ".join(limits(recorded, found=None, entries=entries(whole), beyond=None))  # type: ignore[arg-type]
    assert f"The recording itself: {sentence}" in told
    assert f"In the recording records {place} to {place + 1} are lost." in told
    assert "differs" not in told


def test_behind_the_last_decision_nobody_would_notice_so_it_is_told(
    late: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = place_of(late)
    folder = without(late, tmp_path / "run", [place, place + 1], session=False)
    assert main(["repair", str(folder)]) == 0
    out = capsys.readouterr().out
    assert "the run can be gone on with" in out
    assert f"session.h5 is lost as well: records {place} to {place + 1} are lost behind the last decision;" in out
    assert "points count where the instrument said that it measured them" in out
    assert len(load_session(folder / SESSION_NAME).outside) == 0


def test_no_doubt_is_told_where_only_an_event_can_be_lost(late: Path, tmp_path: Path) -> None:
    place = place_of(late)
    assert mended(without(late, tmp_path / "run", [place + 1], session=False)).doubt == ""


def test_a_journal_that_cannot_be_mended_keeps_its_correction_in_the_session_file(whole: Path, tmp_path: Path) -> None:
    place = place_of(whole)
    decided = next(n for n, entry in enumerate(entries(whole)) if n > place and isinstance(entry, Decided))
    folder = without(whole, tmp_path / "run", [place, decided])
    found = mended(folder)
    assert not found.whole
    assert "differs" not in found.why
    remake(found.entries, folder / SESSION_NAME)
    again, before = load_session(folder / SESSION_NAME), load_session(whole / SESSION_NAME)
    assert (again.points, again.corrections) == (before.points, before.corrections)


def test_it_is_put_back_where_points_before_it_are_lost_for_good(whole: Path, tmp_path: Path) -> None:
    """The event holds all its numbers, so that what is left of the points is placed right."""
    place = place_of(whole)
    stored = next(n for n, entry in enumerate(entries(whole)) if isinstance(entry, PointsStored))
    found = mended(without(whole, tmp_path / "run", [stored, place], session=False))
    assert not found.whole
    assert [entry for entry in found.entries if isinstance(entry, Corrected)] == [entries(whole)[place]]


def test_gaps_stand_where_records_are_lost(whole: Path, tmp_path: Path) -> None:
    place = place_of(whole)
    found = read_journal(without(whole, tmp_path / "run", [3, place, place + 1]) / JOURNAL_NAME)
    gaps = [(number, one) for number, one in enumerate(found.with_gaps) if isinstance(one, Missing)]
    assert gaps == [(3, Missing(3, 3)), (place, Missing(place, place + 1))]
    assert tuple(one for one in found.with_gaps if not isinstance(one, Missing)) == found.entries
