"""What keeping everything costs, and what it gives: journal, fsync, keys, recovery, replay and repair.

Everything is measured without a model, against a reference in the same run: without fsync, without journal, without
keys, or the live run itself. Ways that are compared alternate, so that a busy moment slows both; told are median, least
and most of several repeats. What a disk takes for an fsync is told beside it, since most of all follows from that.
`--quick` checks that everything works, in half a minute; its numbers are worth nothing, and are not kept.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.services import curve
from benchmarks.services.durability_live import instrument, stream
from benchmarks.services.durability_measure import Size, TimedJournal, compared, machine, spread, timed
from benchmarks.services.durability_runs import replayed_live, runs
from benchmarks.services.ingest import decided, raw_of
from benchmarks.services.ingest import instrument as declared
from grainloop.controller.geometry import warm_up
from grainloop.controller.journal import BatchClosed, Journal, PointsStored, decided_entry
from grainloop.controller.ledger import Ledger
from grainloop.controller.plans import Terms
from grainloop.controller.record import JOURNAL_NAME, SESSION_NAME, Recording
from grainloop.controller.session import SessionFile, SessionView
from grainloop.protocols.aio import run
from grainloop.protocols.messages import ScanDone, Sync
from grainloop.protocols.plan import Budget, RunPlan
from grainloop.protocols.record_file import sync_data
from grainloop.protocols.values import PointBlock

RESULT = Path(__file__).parents[1] / "results" / "durability.json"


AIMS = {"journal_share_of_ingest": 0.10, "replay_over_live": 50.0}


POINTS = 1_000
"""Of a block and a batch, where nothing else is said."""


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
    return PointBlock.model_validate(raw_of(decided(Ledger(Terms(RunPlan(), declared()), "benchmark"), 0)))


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
    terms = Terms(RunPlan(budget=Budget(fraction=1.0)), declared())
    ledger = Ledger(terms, "benchmark")
    batches = [decided(ledger, number) for number in range(count)]
    raw = [raw_of(batch) for batch in batches]
    journal = TimedJournal(folder / JOURNAL_NAME, sync)
    session = Recording(folder / SESSION_NAME, journal, SessionView(SessionFile(folder / SESSION_NAME, terms)))
    began = time.perf_counter()
    for number, batch in enumerate(batches):
        points = PointBlock.model_validate(raw[number])
        session.record(decided_entry(batch, {"round": number}))
        session.record(PointsStored(batch=number, points=ledger.receive(number, points).kept))
        done = ScanDone(batch=number, points=POINTS, started_s=number, finished_s=number + 1)
        ledger.close(number, done)
        session.record(BatchClosed(batch=number, asked=POINTS, points=POINTS, done=done, error=None))
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


if __name__ == "__main__":
    np.seterr(all="raise", under="ignore")
    print(json.dumps(main(), indent=1))
