"""Checks of the machine: its clock, and the disk that sessions go to. Writes a few megabytes and removes them again."""

from __future__ import annotations

import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

from grainloop.cli.check.findings import Finding, State, bad, good, judge
from grainloop.protocols.files import open_file
from grainloop.protocols.record_file import RecordFile

_READINGS = 20_000
_OLDEST_YEAR = 2025
_FREE_FAIL_GB, _FREE_WARN_GB = 0.1, 2.0
_CHUNK = bytes(2**20)
_CHUNKS = 16
_SLOW_MB_PER_S = 10.0
_SYNCS, _SYNC_BYTES = 20, 4096
_SLOW_SYNC_S = 0.05


def clock() -> Iterator[Finding]:
    """A clock that never goes back, and a date that can be one."""
    readings = [time.monotonic() for _ in range(_READINGS)]
    steady = all(before <= after for before, after in pairwise(readings))
    told = time.get_clock_info("monotonic")
    found = f"{_READINGS:,} readings never went back; resolution {told.resolution:.0e} s"
    wrong = "it went back between two readings"
    yield judge("monotonic clock", steady, found if steady else wrong, "Deadlines cannot be kept: use another machine.")
    now = datetime.now(UTC)
    do = "Set the clock: logs and sessions carry its time."
    yield judge("date", now.year >= _OLDEST_YEAR, f"{now:%Y-%m-%d %H:%M} UTC", do, State.WARN)


def disk(folder: Path) -> Iterator[Finding]:
    """Room and speed where sessions are stored."""
    what = f"disk of {folder}"
    nearest = next((one for one in (folder, *folder.resolve().parents) if one.is_dir()), Path())
    free_gb = shutil.disk_usage(nearest).free / 1e9
    state = State.FAIL if free_gb < _FREE_FAIL_GB else State.WARN
    yield judge(what, free_gb >= _FREE_WARN_GB, f"{free_gb:,.1f} GB free", "Make room, or use another folder.", state)
    try:
        with tempfile.TemporaryDirectory(prefix=".grainloop-check-", dir=nearest) as scratch:
            yield _write(Path(scratch) / "write", what)
            yield _sync(Path(scratch) / "sync", what)
    except OSError as error:
        found = f"{nearest} cannot be written: {error.strerror or error}"
        yield bad(what, found, "Give yourself the right to write there, or use another folder.")


def _write(path: Path, what: str) -> Finding:
    began_s = time.perf_counter()
    with open_file(path, "wb") as file:
        for _ in range(_CHUNKS):
            file.write(_CHUNK)
        file.flush()
        os.fsync(file.fileno())
    speed = _CHUNKS * len(_CHUNK) / 1e6 / (time.perf_counter() - began_s)
    return judge(what, speed >= _SLOW_MB_PER_S, f"writes {speed:,.0f} MB/s", "Use a faster disk.", State.WARN)


def _sync(path: Path, what: str) -> Finding:
    """As a journal does it: each record on disk before the next."""
    file, times = RecordFile(path, new=True), list[float]()
    try:
        for _ in range(_SYNCS):
            began_s = time.perf_counter()
            file.write(bytes(_SYNC_BYTES))
            times.append(time.perf_counter() - began_s)
    finally:
        file.close()
    median_s = statistics.median(times)
    found = f"a record is on disk after {1e3 * median_s:.2g} ms (slowest of {_SYNCS}: {1e3 * max(times):.2g} ms)"
    if median_s <= _SLOW_SYNC_S:
        return good(what, found)
    return judge(what, False, found, "Use a local disk: every batch waits for this.", State.WARN)
