"""What keeping everything costs, and what it gives: journal, fsync, keys, recovery, replay and repair.

Everything is measured without a model, against a reference in the same run: without fsync, without journal, without
keys, or the live run itself. Ways that are compared alternate, so that a busy moment slows both; told are median, least
and most of several repeats. What a disk takes for an fsync is told beside it, since most of all follows from that.
`--quick` checks that everything works, in half a minute; its numbers are worth nothing, and are not kept.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks.services import curve
from benchmarks.services.durability_live import SIDE_PX, carry_out, come_back, instrument, plan_of, stream
from benchmarks.services.ingest import decided, raw_of
from benchmarks.services.ingest import instrument as declared
from grainloop.controller.geometry import warm_up
from grainloop.controller.journal import Journal, PointsStored, journal_files, read_journal, replay
from grainloop.controller.ledger import Ledger
from grainloop.controller.record import JOURNAL_NAME, SESSION_NAME, Recording, recording
from grainloop.controller.session import SessionFile
from grainloop.controller.session.view import repair
from grainloop.protocols.aio import run
from grainloop.protocols.messages import ScanDone, Sync
from grainloop.protocols.plan import Budget, RunPlan
from grainloop.protocols.record_file import cut, sync_data
from grainloop.protocols.records import Record, read_records
from grainloop.protocols.values import PointBlock, Value

RESULT = Path(__file__).parents[1] / "results" / "durability.json"
AIMS = {"journal_share_of_ingest": 0.10, "replay_over_live": 50.0}
POINTS = 1_000
"""Of a block and a batch, where nothing else is said."""
PER_BATCH = 1_000


class Size:
    """How much is measured."""

    def __init__(self, *, quick: bool) -> None:
        self.quick = quick
        self.repeats = 2 if quick else 7
        self.blocks = 20 if quick else 100
        self.batches = 4 if quick else 20
        self.curve_rounds = 2 if quick else 7
        self.syncs = 20 if quick else 200
        self.runs = (1_000,) if quick else (1_000, 10_000, 100_000)
        self.live_points = 200 if quick else 1_500


def main() -> dict[str, Any]:
    """Measure, write `results/durability.json` and the page, and return what was found."""
    from benchmarks.services.durability_page import write_page

    size, began = Size(quick="--quick" in sys.argv or "quick" in sys.argv), time.monotonic()
    warm_up()
    found: dict[str, Any] = {"quick": size.quick, "machine": machine(), "aims": AIMS}
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as here:  # on the disk of the user, not in memory
        folder = Path(here)
        for part in (disk, journal_alone, ingest, streamed, keys, runs, replayed_live):
            found[part.__name__] = part(folder, size)
            print(f"{part.__name__}: {time.monotonic() - began:.0f} s", flush=True)
    if size.quick:
        folder = Path(tempfile.mkdtemp())
        write_page(found, folder)
        print(f"the page is in {folder}")
    else:
        RESULT.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        write_page(found)
    return found


def machine() -> dict[str, Any]:
    """What it is measured on."""
    return {"cores": os.cpu_count(), "system": platform.system(), "python": platform.python_version()}


def spread(values: list[float]) -> dict[str, Any]:
    """Median, least and most of repeats."""
    return {"median": median(values), "least": min(values), "most": max(values), "repeats": len(values)}


def compared(ways: dict[str, Callable[[Path], float]], folder: Path, repeats: int) -> dict[str, Any]:
    """Every way in turn, as often as asked, each time in a folder of its own, after one time that does not count."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for repeat in range(repeats + 1):
        for name, way in ways.items():
            with tempfile.TemporaryDirectory(dir=folder) as own:
                value = way(Path(own))
            if repeat:
                times[name].append(value)
    first, *others = ways
    ratios = {
        f"{name}_over_{first}": [o / f for o, f in zip(times[name], times[first], strict=True)] for name in others
    }
    return {name: spread(values) for name, values in (times | ratios).items()}


def timed(work: Callable[[], object]) -> float:
    """Seconds that it takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


# --- disk and journal ------------------------------------------------------------------------------------------------
def disk(folder: Path, size: Size) -> dict[str, Any]:
    """Milliseconds of an fsync behind 4 KiB and behind a block of points."""
    return {f"fsync_ms_{kib}_kib": spread(_syncs_ms(folder / "sync", 1024 * kib, size.syncs)) for kib in (4, 53)}


def _syncs_ms(path: Path, count: int, syncs: int) -> list[float]:
    with path.open("wb") as file:
        times = list[float]()
        for _ in range(syncs):
            os.write(file.fileno(), bytes(count))
            times.append(1e3 * timed(lambda: sync_data(file.fileno())))
    return times


def block() -> PointBlock:
    """Points as they come."""
    return PointBlock.model_validate(raw_of(decided(Ledger(RunPlan(), declared(), "benchmark"), 0)))


def journal_alone(folder: Path, size: Size) -> dict[str, Any]:
    """Points per second into a journal in blocks of 1,000, and of bare writes of as many bytes."""
    entry = PointsStored(batch=0, points=block())

    def journal(sync: Sync) -> Callable[[Path], float]:
        def write(own: Path) -> float:
            it = Journal(own / JOURNAL_NAME, sync)
            seconds = timed(lambda: [it.append(entry) for _ in range(size.blocks)])
            it.close()
            return POINTS * size.blocks / seconds

        return write

    ways = {"never": journal(Sync.NEVER), "always": journal(Sync.ALWAYS)}
    for name, sync in (("bare_never", False), ("bare_always", True)):
        ways[name] = lambda own, sync=sync: POINTS * size.blocks / _bare(own / "bare", size.blocks, sync=sync)
    return compared(ways, folder, size.repeats)


def _bare(path: Path, blocks: int, *, sync: bool) -> float:
    data = bytes(54_000)
    with path.open("wb", buffering=0) as file:

        def write() -> None:
            for _ in range(blocks):
                file.write(data)
                if sync:
                    sync_data(file.fileno())

        return timed(write)


class TimedJournal(Journal):
    """Knows how long its records took."""

    seconds = 0.0

    def append(self, entry: Value) -> int:
        """Store an entry."""
        began = time.perf_counter()
        number = super().append(entry)
        self.seconds += time.perf_counter() - began
        return number


@contextmanager
def journals_timed() -> Generator[list[TimedJournal]]:
    """Whatever is recorded meanwhile goes into journals that know how long they took."""
    made = list[TimedJournal]()

    class Kept(TimedJournal):
        def __init__(self, *how: Any) -> None:
            super().__init__(*how)
            made.append(self)

    recording.Journal = Kept
    try:
        yield made
    finally:
        recording.Journal = Journal


def ingest(folder: Path, size: Size) -> dict[str, Any]:
    """Share of the journal in taking batches of 1,000 points: decoded, checked, journaled, in the session file."""
    shares: dict[str, list[float]] = {}
    rates: dict[str, list[float]] = {}
    for repeat in range(size.repeats + 1):
        for sync in Sync:
            with tempfile.TemporaryDirectory(dir=folder) as own:
                seconds, journal_s = _taken(Path(own), sync, size.blocks)
            if repeat:
                shares.setdefault(f"journal_share_{sync}", []).append(journal_s / seconds)
                rates.setdefault(f"points_per_s_{sync}", []).append(POINTS * size.blocks / seconds)
    return {name: spread(values) for name, values in (shares | rates).items()}


def _taken(folder: Path, sync: Sync, count: int) -> tuple[float, float]:
    """Seconds of all, and of the journal."""
    plan, capabilities = RunPlan(budget=Budget(fraction=1.0)), declared()
    ledger = Ledger(plan, capabilities, "benchmark")
    batches = [decided(ledger, number) for number in range(count)]
    raw = [raw_of(batch) for batch in batches]
    journal = TimedJournal(folder / JOURNAL_NAME, sync)
    session = Recording(folder / SESSION_NAME, journal, SessionFile(folder / SESSION_NAME, plan, capabilities))
    began = time.perf_counter()
    for number, batch in enumerate(batches):
        points = PointBlock.model_validate(raw[number])
        session.add_decision(batch, {"round": number})
        session.add_points(number, ledger.receive(number, points).kept)
        done = ScanDone(batch=number, points=POINTS, started_s=number, finished_s=number + 1)
        ledger.close(number, done)
        session.close_batch(number, POINTS, POINTS, done, None)
    seconds = time.perf_counter() - began
    session.close()
    return seconds, journal.seconds


# --- over sockets ----------------------------------------------------------------------------------------------------
def streamed(folder: Path, size: Size) -> dict[str, Any]:
    """Acknowledged points per second, from a fast instrument in another process into journal and session file."""
    with instrument() as at:
        ways: dict[str, Callable[[Path], float]] = {
            sync.value: lambda own, sync=sync: run(stream(at, own, sync, size.batches, 5 * POINTS))
            for sync in (Sync.NEVER, Sync.ALWAYS)
        }
        return compared(ways, folder, size.repeats)


def keys(_folder: Path, size: Size) -> dict[str, Any]:
    """What CURVE costs: see `benchmarks.services.curve`."""
    return curve.measure(size.curve_rounds)


# --- whole runs, and what comes after --------------------------------------------------------------------------------
def runs(folder: Path, size: Size) -> list[dict[str, Any]]:
    """Runs of several sizes, and for each how long resuming, replaying and repairing take."""
    rows = list[dict[str, Any]]()
    with instrument() as at:
        run(carry_out(at, folder / "warm", plan_of(1_000, 500)))
        for points in size.runs:
            own = folder / f"run-{points}"
            rows.append(_afterwards(at, own, points, min(size.repeats, 2 if points > 10_000 else 3)))
    return rows


def _afterwards(at: str, folder: Path, points: int, repeats: int) -> dict[str, Any]:
    finished = run(carry_out(at, folder / "live", plan_of(points, PER_BATCH)))
    journal = folder / "live" / JOURNAL_NAME
    again = [timed(lambda: replay(read_journal(journal).entries)) for _ in range(repeats)]
    return {
        "points": finished.points_measured,
        "per_batch": PER_BATCH,
        "side_px": SIDE_PX,
        "journal_mb": sum(path.stat().st_size for path in journal_files(journal)) / 1e6,
        "live_s": finished.wall_s,
        "instrument_s": finished.instrument_s,
        "read_s": spread([timed(lambda: read_journal(journal)) for _ in range(repeats)]),
        "replay_s": spread(again),
        "repair_s": spread([_repaired(journal, folder / "mended.h5") for _ in range(repeats)]),
        **_come_back(at, folder, repeats),
    }


def _repaired(journal: Path, session: Path) -> float:
    session.unlink(missing_ok=True)
    return timed(lambda: repair(journal, session))


def _come_back(at: str, folder: Path, repeats: int) -> dict[str, Any]:
    """A controller that died when the last batch was over."""
    rows = list[dict[str, float]]()
    for repeat in range(repeats):
        dead = folder / f"dead-{repeat}"
        shutil.copytree(folder / "live", dead)
        without_end(dead / JOURNAL_NAME)
        rows.append(come_back(at, dead))
        shutil.rmtree(dead)
    return {name: spread([row[name] for row in rows]) for name in rows[0]}


def without_end(journal: Path) -> None:
    """Take the last record away, which says how the run ended."""
    (path,) = journal_files(journal)
    records = [one for one in read_records(path.read_bytes()) if isinstance(one, Record)]
    cut(path, records[-2].end)


def replayed_live(folder: Path, size: Size) -> dict[str, Any]:
    """A run that takes the time of an instrument, 20 ms per point, and the same run replayed."""
    with instrument(waits=True) as at:
        plan = plan_of(size.live_points, 200)
        with journals_timed() as journals:
            finished = run(carry_out(at, folder / "waited", plan))
    journal = folder / "waited" / JOURNAL_NAME
    times = [timed(lambda: replay(read_journal(journal).entries)) for _ in range(size.repeats)]
    found = replay(read_journal(journal).entries)
    if found.difference is not None:
        raise RuntimeError(str(found.difference))
    return {
        "points": finished.points_measured,
        "decisions": found.decisions,
        "live_s": finished.wall_s,
        "journal_s": sum(one.seconds for one in journals),
        "replay_s": spread(times),
        "live_over_replay": spread([finished.wall_s / one for one in times]),
    }


if __name__ == "__main__":
    np.seterr(all="raise", under="ignore")
    print(json.dumps(main(), indent=1))
