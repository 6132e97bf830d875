"""Journal files: what `append` has returned for is there, whatever happens to the writer, the disk or the bytes."""

from __future__ import annotations

import math
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from grainloop.controller.journal.entries import BatchClosed, EventTold, SoftwareTold
from grainloop.controller.journal.reading import journal_files, read_journal
from grainloop.controller.journal.writing import Journal, JournalLost, Sync
from grainloop.protocols.errors import BadInput, BadMessage
from grainloop.protocols.messages import RunEvent, ScanDone
from grainloop.protocols.records import HEADER_BYTES
from grainloop.protocols.states import RunState

KILLS = 5
SEED = 20261128
WRITER = """
import sys
from pathlib import Path
from grainloop.controller.journal.entries import SoftwareTold
from grainloop.controller.journal.writing import Journal
journal = Journal(Path(sys.argv[1]))
while True:
    number = journal.append(SoftwareTold(software={"text": "x" * 5000}))
    print(number, flush=True)
"""


def entry(number: int) -> SoftwareTold:
    return SoftwareTold(software={"number": str(number)})


def write(folder: Path, numbers: range) -> None:
    journal = Journal(folder)
    for number in numbers:
        journal.append(entry(number))
    journal.close()


def test_a_journal_goes_on_where_it_ended(tmp_path: Path) -> None:
    write(tmp_path, range(3))
    write(tmp_path, range(3, 5))
    found = read_journal(tmp_path)
    assert (list(found.entries), found.damage, found.torn) == ([entry(n) for n in range(5)], (), False)
    assert len(journal_files(tmp_path)) == 1


def test_sections_have_files_of_their_own(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append(entry(0))
    journal.rotate()
    assert journal.append(entry(1)) == 1
    journal.close()
    write(tmp_path, range(2, 3))
    assert [path.name for path in journal_files(tmp_path)] == ["000.journal", "001.journal"]
    assert list(read_journal(tmp_path).entries) == [entry(n) for n in range(3)]
    journal_files(tmp_path)[0].unlink()
    assert "record 0 is missing" in read_journal(tmp_path).damage[0]


def test_files_are_in_the_order_of_their_numbers_and_other_digits_are_none(tmp_path: Path) -> None:
    for name in ("1000", "999", "000", "²", "١", "1a"):
        (tmp_path / f"{name}.journal").touch()
    assert [path.stem for path in journal_files(tmp_path)] == ["000", "999", "1000"]


def test_one_process_writes_at_a_time(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    with pytest.raises(BadInput, match="Another process writes the journal"):
        Journal(tmp_path)
    journal.close()
    journal.close()
    Journal(tmp_path).close()


def test_a_torn_tail_is_cut_and_kept_beside(tmp_path: Path) -> None:
    """At every byte of the last record."""
    write(tmp_path, range(2))
    (path,) = journal_files(tmp_path)
    before = path.stat().st_size
    write(tmp_path, range(2, 3))
    whole = path.read_bytes()
    for cut in range(before, len(whole)):
        path.write_bytes(whole[:cut])
        found = read_journal(tmp_path)
        assert list(found.entries) == [entry(0), entry(1)]
        assert found.torn == (cut > before) == bool(found.damage)
        write(tmp_path, range(2, 3))
        assert path.read_bytes() == whole
    beside = path.with_name("000.journal.torn").read_bytes()
    assert len(beside) == sum(range(len(whole) - before))


def test_a_writer_that_died_within_the_header_left_nothing(tmp_path: Path) -> None:
    write(tmp_path, range(2))
    new = tmp_path / "001.journal"
    for size in range(HEADER_BYTES):
        new.write_bytes(journal_files(tmp_path)[0].read_bytes()[:size])
        assert list(read_journal(tmp_path).entries) == [entry(0), entry(1)]
    write(tmp_path, range(2, 3))
    assert list(read_journal(tmp_path).entries) == [entry(n) for n in range(3)]


def test_damage_within_is_told_and_nobody_writes_behind_it(tmp_path: Path) -> None:
    write(tmp_path, range(3))
    (path,) = journal_files(tmp_path)
    data = bytearray(path.read_bytes())
    data[HEADER_BYTES + 20] ^= 4
    path.write_bytes(bytes(data))
    found = read_journal(tmp_path)
    assert list(found.entries) == [entry(1), entry(2)]
    assert f"is damaged from byte {HEADER_BYTES} to" in found.damage[0]
    assert "record 0 is missing" in found.damage[1]
    assert not found.torn
    with pytest.raises(BadInput, match="`grainloop repair` mends it where that can be done"):
        Journal(tmp_path)


@pytest.mark.parametrize("content", [b"", b"not a journal at all, but long enough to be one"])
def test_other_files_are_refused_by_name(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(BadInput, match="There is no journal in"):
        read_journal(tmp_path)
    (tmp_path / "000.journal").write_bytes(content)
    with pytest.raises(BadInput, match=r"000\.journal is no journal that can be read"):
        read_journal(tmp_path)


def test_a_folder_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="cannot be written"):
        Journal(tmp_path / "file" / "journal")


def test_a_file_that_may_not_grow_is_followed_by_the_next_and_costs_no_record(tmp_path: Path) -> None:
    """The limit on file sizes cuts a write short as a full disk does; a record beyond it finds no room at all."""
    code = """
import resource, signal, sys
from pathlib import Path
from grainloop.controller.journal.entries import SoftwareTold
from grainloop.controller.journal.writing import Journal, JournalFull
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
journal = Journal(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (3000, resource.RLIM_INFINITY))
for _ in range(20):
    journal.append(SoftwareTold(software={"text": "x" * 400}))
for _ in range(3):
    try:
        journal.append(SoftwareTold(software={"text": "x" * 4000}))
    except JournalFull as error:
        print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
journal.append(SoftwareTold(software={"text": "x" * 4000}))
"""
    command = [sys.executable, "-c", code, str(tmp_path)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    told = ran.stdout.splitlines()
    assert len(told) == 3
    assert all("cannot be written: File too large." in sentence for sentence in told)
    found = read_journal(tmp_path)
    assert (len(found.entries), found.damage) == (21, ())
    assert len(journal_files(tmp_path)) == 5


def test_a_failed_fsync_ends_the_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: int) -> None:
        raise OSError(5, "Input/output error")

    journal = Journal(tmp_path)
    monkeypatch.setattr("grainloop.protocols.record_file.sync_data", fails)
    with pytest.raises(JournalLost, match="Input/output error"):
        journal.append(entry(0))
    monkeypatch.undo()
    with pytest.raises(JournalLost, match="Input/output error"):
        journal.append(entry(1))
    journal.close()


def test_records_are_synced_before_append_returns_unless_told_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced = list[int]()
    monkeypatch.setattr("grainloop.protocols.record_file.sync_data", synced.append)
    for name, sync, expected in (("a", Sync.ALWAYS, 2), ("b", Sync.NEVER, 0)):
        synced.clear()
        journal = Journal(tmp_path / name, sync)
        journal.append(entry(0))
        assert len(synced) == expected  # the header of the file is a write too
        journal.close()


def test_a_writer_killed_at_any_moment_has_stored_what_it_acknowledged(tmp_path: Path) -> None:
    rng, acknowledged = np.random.default_rng(SEED), 0
    for _ in range(KILLS):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        assert writer.stdout is not None
        for _ in range(int(rng.integers(1, 60))):
            acknowledged = int(writer.stdout.readline()) + 1
        writer.send_signal(signal.SIGKILL)
        rest = writer.stdout.read().split("\n")[:-1]
        writer.stdout.close()
        acknowledged = int(rest[-1]) + 1 if rest else acknowledged
        writer.wait()
        found = read_journal(tmp_path)
        assert len(found.entries) in (acknowledged, acknowledged + 1), f"seed {SEED}"
        assert found.torn == bool(found.damage)


def test_what_no_reader_accepts_is_never_written(tmp_path: Path) -> None:
    done = ScanDone(batch=0, points=5, started_s=1, finished_s=2)
    closed = BatchClosed(batch=0, asked=5, points=5, done=done, error=None)
    endless = closed.model_copy(update={"done": done.model_copy(update={"idle_s": math.inf})})
    event = RunEvent(sequence=1, state=RunState.RUNNING, event="x", text="", points_measured=1, points_budget=2)
    strange = EventTold(event=event.model_copy(update={"state": "dreaming"}))
    journal = Journal(tmp_path)
    assert journal.append(closed) == 0
    for kind, entry in (("closed", endless), ("event", strange)):
        with pytest.raises(BadMessage, match=f"record `{kind}` that nobody could read again is not written"):
            journal.append(entry)
    assert journal.append(closed) == 1
    journal.close()
    found = read_journal(tmp_path)
    assert (found.entries, found.damage) == ((closed, closed), ())
