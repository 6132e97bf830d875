"""A file system that is really full, under HDF5 itself: in another process, for libhdf5 can end the one that it is in.

A small file system is mounted where the tests may do that; the limit of a file's size, which fails in the same calls,
needs no leave.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

BLOCK = 4096
RUN = """
import json, os, sys
from pathlib import Path
from grainloop.controller.record import EventsTo
from grainloop.controller.run import Run
from grainloop.protocols.plan import Budget, RunPlan
from tests.controller.fakes import FakeInstrument, FakeModel
from tests.controller.virtual_time import run

folder, ballast, events = Path(sys.argv[1]), Path(sys.argv[2]), []

def heard(event):
    events.append(event.event.value)
    if event.event == sys.argv[3]:
        ballast.unlink(missing_ok=True)

if len(sys.argv) > 4:
    import resource
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[4]), resource.RLIM_INFINITY))
one = Run(RunPlan(budget=Budget(fraction=0.25), batches=4), folder, FakeInstrument(), FakeModel(), [EventsTo(heard)])
finished = run(one.execute())
left = [name for name in os.listdir("/proc/self/fd") if str(folder) in os.path.realpath("/proc/self/fd/" + name)]
print(json.dumps({"reason": finished.reason, "points": finished.points_measured, "events": events, "open": left}))
"""
LOOK = """
import json, sys
from pathlib import Path
from grainloop.controller.journal import PointsStored, read_journal, replay
from grainloop.controller.session import load_session
from grainloop.controller.record.mending import repair

folder = Path(sys.argv[1])
found = read_journal(folder / "journal")
points = sum(len(entry.points) for entry in found.entries if isinstance(entry, PointsStored))
repaired = repair(folder / "journal", folder / "session.h5")
session = load_session(folder / "session.h5")
damage = list(repaired.mended.damage)
print(json.dumps([points, repaired.points, len(session.points), damage, replay(found.entries).difference]))
"""


@contextmanager
def mounted(folder: Path, size: int) -> Generator[Path]:
    """A file system of so many bytes."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=True, capture_output=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def may_mount() -> bool:
    """Whether these tests may mount one."""
    folder = Path("/tmp") / f"grainloop-mount-{os.getpid()}"  # noqa: S108
    try:
        with mounted(folder, BLOCK):
            return True
    except (OSError, subprocess.CalledProcessError):
        return False
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def said(code: str, *arguments: str | Path) -> Any:
    """What a program says, which must not be ended by a signal."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, f"{done.returncode}: {done.stderr}"
    return json.loads(done.stdout.splitlines()[-1])


def look(folder: Path) -> None:
    """Everything is in the journal, and the view can be made of it."""
    assert said(LOOK, folder) == [120, 120, 120, [], None]


if may_mount():

    @pytest.mark.parametrize("blocks", [12, 20, 40, 80])
    def test_a_disk_that_is_full_for_a_while(tmp_path: Path, blocks: int) -> None:
        with mounted(tmp_path / "disk", 1000 * BLOCK) as disk:
            ballast = disk / "ballast"
            ballast.write_bytes(bytes((1000 - blocks) * BLOCK))
            told = said(RUN, disk / "run", ballast, "no_room")
            ballast.unlink(missing_ok=True)
            assert "no_room" in told["events"]
            assert (told["reason"], told["points"], told["open"]) == ("completed", 120, [])
            look(disk / "run")

    def test_where_a_view_has_no_room_the_run_goes_on(tmp_path: Path) -> None:
        with mounted(tmp_path / "disk", 1000 * BLOCK) as disk:
            ballast = disk / "ballast"
            ballast.write_bytes(bytes(940 * BLOCK))
            told = said(RUN, disk / "run", ballast, "view_lost")
            assert (told["reason"], told["points"], told["open"]) == ("completed", 120, [])
            assert "view_lost" in told["events"]
            look(disk / "run")


@pytest.mark.parametrize("kib", [48, 64, 96])
def test_files_that_may_not_grow(tmp_path: Path, kib: int) -> None:
    """The journal goes on in a new file, the view is lost and can be made where files may grow."""
    told = said(RUN, tmp_path / "run", tmp_path / "none", "never", str(kib * 1024))
    assert (told["reason"], told["points"], told["open"]) == ("completed", 120, [])
    assert "view_lost" in told["events"]
    look(tmp_path / "run")
