"""Whatever is damaged, and whatever is commanded then: no point that could be read somewhere is ever gone.

Journals, session files and all copies kept of them are read after each command. What commands say is compared with what
is there.
"""

from __future__ import annotations

import contextlib
import io
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from grainloop.cli import main
from grainloop.cli.check.recorded import session as checked
from grainloop.controller.journal.entries import PointsStored, read_entry
from grainloop.controller.journal.reading import journal_files, read_journal
from grainloop.controller.record.recording import JOURNAL_NAME, SESSION_NAME, Recording
from grainloop.controller.session.held import held_points
from grainloop.protocols.errors import GrainloopError
from grainloop.protocols.messages import Sync
from grainloop.protocols.records import Record, file_header, read_records
from grainloop.protocols.values import PointBlock
from tests.controller.record.test_union import stopped

Points = set[tuple[int, bytes, bytes]]
COMMANDS = ("check", "repair", "resume", "replay")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stopped(tmp_path_factory.mktemp("whole"))


def of_block(points: PointBlock) -> Points:
    columns = points.point_id.tolist(), points.position_px, points.orientation
    return {(number, place.tobytes(), turn.tobytes()) for number, place, turn in zip(*columns, strict=True)}


def in_journal(path: Path) -> Points:
    """Points of every whole record in a file, wherever in it."""
    found = Points()
    for record in read_records(file_header(0) + path.read_bytes()):
        if isinstance(record, Record):
            with contextlib.suppress(GrainloopError):
                entry = read_entry(record.payload)
                found |= of_block(entry.points) if isinstance(entry, PointsStored) else set()
    return found


def in_session(path: Path) -> Points:
    try:
        return of_block(held_points(path).points)
    except GrainloopError:
        return set()


def readable(folder: Path) -> Points:
    """Points that exist anywhere in the folder of a session."""
    journals = [path for path in (folder / JOURNAL_NAME).glob("*.journal*") if path.is_file()]
    sessions = [path for path in folder.glob(f"{SESSION_NAME}*") if path.is_file()]
    return set[tuple[int, bytes, bytes]]().union(*map(in_journal, journals), *map(in_session, sessions))


def damage(folder: Path, draw: st.DataObject) -> None:
    """Harm the journal or the session file."""
    (file, *_) = [*journal_files(folder / JOURNAL_NAME), folder / SESSION_NAME]
    file = draw.draw(st.sampled_from([file, folder / SESSION_NAME]), "file")
    if not file.exists():
        return
    data = file.read_bytes()
    kind = draw.draw(st.sampled_from(["cut", "torn", "zeroed", "record"]), "kind")
    ends = [one.end for one in read_records(data) if isinstance(one, Record)] if file.suffix == ".journal" else []
    if kind == "record" and len(ends) > 1:
        n = draw.draw(st.integers(0, len(ends) - 2), "record")
        file.write_bytes(data[: ends[n]] + data[ends[n + 1] :])
        return
    at = draw.draw(st.integers(0, len(data)), "byte")
    if kind == "zeroed":
        size = draw.draw(st.sampled_from([1, 100, 4096]), "size")
        file.write_bytes(data[:at] + bytes(len(data[at : at + size])) + data[at + size :])
    else:
        file.write_bytes(data[:at] + (b"\xa5GLR torn" if kind == "torn" else b""))


def points_of(folder: Path) -> set[int]:
    entries = read_journal(folder / JOURNAL_NAME).entries
    return {point for one in entries if isinstance(one, PointsStored) for point in one.points.point_id.tolist()}


def check(folder: Path) -> None:
    """Nothing is said to be well where one of the two holds more."""
    found = list(checked(folder))
    told = " ".join(f"{one.found} {one.do}" for one in found)
    try:
        journal, view = points_of(folder), set(held_points(folder / SESSION_NAME).points.point_id.tolist())
    except GrainloopError:
        assert "holds no point that" not in told
        return
    assert (f"{len(view - journal)} are in {SESSION_NAME} alone" in told) == bool(view - journal)
    assert (f"{len(journal - view)} are in the journal alone" in told) == bool(journal - view)
    assert not (view - journal and "holds no point that the journal lacks" in told)


def repair(folder: Path) -> None:
    old, out = in_session(folder / SESSION_NAME), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
        code = main(["repair", str(folder)])
    said = out.getvalue()
    if code:
        assert not said
        return
    made = re.search(r"was made again from the journal: (\d+) points", said)
    assert made is not None
    assert int(made[1]) == len(held_points(folder / SESSION_NAME).points)
    kept = re.search(r"kept as (\S+)\.\n", said)
    lost = old - in_session(folder / SESSION_NAME)
    assert not lost or kept is not None
    if kept is not None:
        assert in_session(folder / kept[1]) == old
    alone = re.search(r"held (\d+) points, the journal (\d+), (\d+) are in", said)
    if alone is not None:
        assert {int(alone[1])} == {len(held_points(folder / str(kept and kept[1])).points)}
        assert int(alone[2]) == len(points_of(folder))


def resume(folder: Path) -> None:
    old = in_session(folder / SESSION_NAME)
    recording, refused = None, ""
    try:
        recording, _ = Recording.take_up(folder / SESSION_NAME, Sync.NEVER)
    except GrainloopError as error:
        refused = str(error)
    if recording is None:
        assert refused.endswith(".")
        return
    recording.close()
    lost = old - in_session(folder / SESSION_NAME)
    assert bool(lost) <= ("the old file is kept as" in recording.united)
    assert len(points_of(folder)) == len(held_points(folder / SESSION_NAME).points) == recording.points


def replay(folder: Path) -> None:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        main(["replay", str(folder)])


def commanded(draw: st.DataObject) -> Iterator[str]:
    yield from draw.draw(st.lists(st.sampled_from(COMMANDS), min_size=1, max_size=4), "commands")


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_no_command_makes_what_can_be_read_less(whole: Path, draw: st.DataObject) -> None:
    do = {"check": check, "repair": repair, "resume": resume, "replay": replay}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "run"
        shutil.copytree(whole, folder)
        for _ in range(2):
            damage(folder, draw)
            before = readable(folder)
            for command in commanded(draw):
                do[command](folder)
                after = readable(folder)
                assert before <= after, f"{command} lost {len(before - after)} of {len(before)} points"
                before = after
