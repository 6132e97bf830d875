"""Whole runs and what comes after: resuming, replaying, repairing, and a replay against the live run."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from benchmarks.services.durability_live import SIDE_PX, carry_out, come_back, instrument, plan_of
from benchmarks.services.durability_measure import PER_BATCH, Size, journals_timed, spread, timed
from grainloop.controller.journal import journal_files, read_journal, replay
from grainloop.controller.record import JOURNAL_NAME, repair
from grainloop.protocols.aio import run
from grainloop.protocols.record_file import cut
from grainloop.protocols.records import Record, read_records


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
