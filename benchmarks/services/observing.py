"""What log lines and figures cost: their share of the time in which batches go to journal and session file.

The processor time within the observer is measured beside the whole, in the same runs; the quickest of all counts for
each, as a busy machine only ever adds time. Batches hold 1,000 points, as in `ingest`, or 60, as a run of many
decisions has them. The page of figures is shown meanwhile.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.services import ingest
from grainloop.controller.decide import Batch, Decider, When, Why
from grainloop.controller.journal import BatchClosed, Entry, LatestMaps, PointsStored, decided_entry
from grainloop.controller.plans import Terms
from grainloop.controller.record import SESSION_NAME, Recording, View, Views
from grainloop.controller.run import RunObserver
from grainloop.controller.run.standing import Standing
from grainloop.protocols.messages import ProposalReason, ScanDone, Sync
from grainloop.protocols.observability.output import LogOptions, logging_to
from grainloop.protocols.observability.prometheus import PrometheusMetrics, page
from grainloop.protocols.plan import Budget, RunPlan
from grainloop.protocols.values import PointBlock

BATCHES, REPEATS = 100, 5
MOST = 0.01
RESULT = Path(__file__).parents[1] / "results" / "observing.json"


class Timed:
    """A view, and the seconds spent in it."""

    def __init__(self, observer: View) -> None:
        self._observer, self.seconds = observer, 0.0

    def recall(self, entries: Sequence[Entry]) -> None:
        """Pass them on."""
        self._observer.recall(entries)

    def show(self, entry: Entry | LatestMaps, number: int | None, seconds: float) -> None:
        """Pass an entry on."""
        began = time.thread_time()
        self._observer.show(entry, number, seconds)
        self.seconds += time.thread_time() - began


def main() -> dict[str, Any]:
    """Measure, write `results/observing.json`, and return what it holds."""
    found = {
        f"{what}, {points} points, sync {sync}": _quickest([_spent(sync, points, level) for _ in range(REPEATS)])
        for sync in Sync
        for points in (ingest.POINTS_PER_BATCH, 60)
        for what, level in (("figures", "error"), ("figures and lines", "info"))
    }
    result = {"batches": BATCHES, "wanted_share_of_figures": MOST, "found": found}
    RESULT.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return result


def _quickest(spent: list[tuple[float, float]]) -> dict[str, float]:
    observer_s, whole_s = (min(column) for column in zip(*spent, strict=True))
    per_batch_us = 1e6 / BATCHES
    return {
        "observer_us_per_batch": round(observer_s * per_batch_us, 1),
        "whole_us_per_batch": round(whole_s * per_batch_us, 1),
        "share": round(observer_s / whole_s, 4),
    }


def _spent(sync: Sync, points: int, level: str) -> tuple[float, float]:
    """Seconds within the observer, and in all."""
    decider = Decider(Terms(RunPlan(budget=Budget(fraction=1.0)), ingest.instrument()), "benchmark")
    metrics, standing = PrometheusMetrics("controller"), Standing()
    standing.ledger = decider.ledger
    decided = [decided_batch(decider, number, points) for number in range(BATCHES)]
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        log = Path(folder) / "log.jsonl"
        stack.enter_context(logging_to(LogOptions(level, file=log), stack.enter_context(Path("/dev/null").open("w"))))
        stack.enter_context(page(metrics, ("127.0.0.1", 0)))
        session = Recording.begin(Path(folder) / SESSION_NAME, decider, sync)
        timed = Timed(RunObserver(standing, metrics))
        session.attach(Views([timed]))
        began = time.perf_counter()
        for batch in decided:
            number, block = batch.request.batch, PointBlock.model_validate(ingest.raw_of(batch))
            session.record(decided_entry(batch, {"round": number}))
            decider.ledger.receive(number, block)
            session.record(PointsStored(batch=number, points=block))
            done = ScanDone(batch=number, points=len(block), started_s=number, finished_s=number + 1)
            decider.ledger.close(number, done)
            session.record(BatchClosed(batch=number, asked=len(block), points=len(block), done=done, error=None))
        elapsed = time.perf_counter() - began
        session.close()
    return timed.seconds, elapsed


def decided_batch(decider: Decider, number: int, points: int) -> Batch:
    """A batch of so many points that nobody asked for before."""
    index = np.arange(number * points, (number + 1) * points)
    request = decider.ledger.order(np.stack([index // 1_000, index % 1_000], axis=1).astype(np.int32), 0.0)
    why = Why.plain(points, ProposalReason.UNCERTAIN)
    return Batch(request, why, np.zeros(points, np.float32), "benchmark", When(0))


if __name__ == "__main__":
    print(json.dumps(main(), indent=2))
