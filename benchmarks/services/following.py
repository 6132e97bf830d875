"""What it costs to tell a run to programs that follow it: time per batch in the views, bytes of updates and snapshots.

Batches of 1,000 points go to journal, session file and views as in `observing`, while a follower reads nothing at all;
the processor time within each view is measured, and the quickest of all repeats counts. Bytes are those of the frames.
"""

from __future__ import annotations

import json
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.services import ingest
from benchmarks.services.observing import Timed, decided_batch
from grainloop.controller.decide import Decider
from grainloop.controller.journal import BatchClosed, PointsStored, decided_entry
from grainloop.controller.plans import Terms
from grainloop.controller.record import SESSION_NAME, Recording, Views
from grainloop.controller.serve import Followers, RunTold
from grainloop.protocols.codec import encode
from grainloop.protocols.messages import GetPoints, ScanDone, Sync
from grainloop.protocols.plan import Budget, RunPlan
from grainloop.protocols.values import PointBlock, Value

BATCHES, REPEATS = 100, 5
POINTS = ingest.POINTS_PER_BATCH
RESULT = Path(__file__).parents[1] / "results" / "following.json"


def main() -> dict[str, Any]:
    """Measure, write `results/following.json`, and return what it holds."""
    spent = list[dict[str, float]]()
    for _ in range(REPEATS):
        told, seconds = _spent()
        spent.append(seconds)
    per_batch_us = {name: round(min(one[name] for one in spent) * 1e6 / BATCHES, 1) for name in spent[0]}
    result = {"batches": BATCHES, "points": BATCHES * POINTS, "us_per_batch": per_batch_us, "bytes": _bytes(told)}
    RESULT.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return result


def _spent() -> tuple[RunTold, dict[str, float]]:
    """What was told, and the seconds within each view."""
    decider = Decider(Terms(RunPlan(budget=Budget(fraction=1.0)), ingest.instrument()), "benchmark")
    batches = [decided_batch(decider, number, POINTS) for number in range(BATCHES)]
    told, followers = RunTold(), Followers()
    views = {"updates": Timed(told), "events": Timed(followers)}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        stack.enter_context(told.following(0))
        stack.enter_context(followers.follow(None))
        session = Recording.begin(Path(folder) / SESSION_NAME, decider, Sync.NEVER)
        session.attach(Views(views.values()))
        for number, batch in enumerate(batches):
            block = PointBlock.model_validate(ingest.raw_of(batch))
            session.record(decided_entry(batch, {"round": number}))
            session.record(PointsStored(batch=number, points=block))
            done = ScanDone(batch=number, points=POINTS, started_s=number, finished_s=number + 1)
            session.record(BatchClosed(batch=number, asked=POINTS, points=POINTS, done=done, error=None))
        session.close()
    return told, {name: view.seconds for name, view in views.items()}


def _bytes(told: RunTold) -> dict[str, int]:
    snapshot = told.snapshot()
    pages, first = [_size(snapshot)], len(snapshot.page.point_id)
    while first < snapshot.points:
        page = told.points(GetPoints(run=snapshot.began.run, first=first, corrections=0))
        pages.append(_size(page))
        first += len(page.point_id)
    updates = {update.what.kind: _size(update) for update in told.kept()}
    return {
        **{f"update {kind}": updates[kind] for kind in ("batch_decided", "points_came", "batch_over")},
        "snapshot, first page": pages[0],
        "snapshot, all pages": sum(pages),
        "pages": len(pages),
    }


def _size(message: Value) -> int:
    return sum(memoryview(frame).nbytes for frame in encode(message))


if __name__ == "__main__":
    print(json.dumps(main(), indent=2))
