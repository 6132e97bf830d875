"""Points per second through the controller and its session file, beside a bare h5py append in the same run.

What is measured is the way of a batch of 1,000 points from the wire to the disk: decoding the message, checking every
point against what was asked for, appending it to the session file, flushing, closing the batch, flushing. The reference
appends the same columns to the same kind of file with bare h5py and one flush per batch, and nothing else.
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from grainloop.controller.decide import Batch, When, Why
from grainloop.controller.ledger import Ledger
from grainloop.controller.plans import Terms
from grainloop.controller.serve.proof import measured
from grainloop.controller.session import SessionFile
from grainloop.protocols.capabilities import Capabilities
from grainloop.protocols.messages import ProposalReason, ScanDone
from grainloop.protocols.plan import Budget, RunPlan
from grainloop.protocols.values import Grid, Phase, PointBlock

POINTS_PER_BATCH = 1_000
BATCHES = 200
REPEATS = 3
WANTED_PER_S = 100_000
RESULT = Path(__file__).parents[1] / "results" / "ingest.json"


def main() -> dict[str, Any]:
    """Measure, write `results/ingest.json`, and return what it holds."""
    rates = [(_through_the_controller(), _bare_h5py()) for _ in range(REPEATS)]
    ours, bare = (max(column) for column in zip(*rates, strict=True))
    result = {
        "points_per_batch": POINTS_PER_BATCH,
        "points": POINTS_PER_BATCH * BATCHES,
        "controller_points_per_s": round(ours),
        "bare_h5py_points_per_s": round(bare),
        "controller_over_bare_h5py": round(ours / bare, 3),
        "wanted_points_per_s": WANTED_PER_S,
    }
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return result


def instrument() -> Capabilities:
    """What the session is told of the instrument."""
    side = 1_000
    return Capabilities(
        name="benchmark",
        simulated=True,
        grid=Grid(shape_px=(side, side), step_um=0.5),
        phases=(Phase(phase_id=1, name="Ti", point_group="6/mmm"),),
        dwell_range_s=(0.001, 1.0),
        default_dwell_s=0.01,
    )


def _pixels(batch: int) -> np.ndarray:
    index = np.arange(batch * POINTS_PER_BATCH, (batch + 1) * POINTS_PER_BATCH)
    return np.stack([index // 1_000, index % 1_000], axis=1).astype(np.int32)


def _through_the_controller() -> float:
    terms = Terms(RunPlan(budget=Budget(fraction=1.0)), instrument())
    ledger = Ledger(terms, "benchmark")
    batches = [decided(ledger, number) for number in range(BATCHES)]
    messages = [raw_of(batch) for batch in batches]
    with tempfile.TemporaryDirectory() as folder:
        session = SessionFile(Path(folder) / "session.h5", terms)
        began = time.perf_counter()
        for batch, raw in zip(batches, messages, strict=True):
            number = batch.request.batch
            points = PointBlock.model_validate(raw)
            session.add_decision(batch, {"round": number})
            ledger.receive(number, points)
            session.add_points(number, points)
            done = ScanDone(batch=number, points=len(points), started_s=number, finished_s=number + 1)
            ledger.close(number, done)
            session.close_batch(number, len(points), len(points), done, None)
        elapsed = time.perf_counter() - began
        session.close()
    return POINTS_PER_BATCH * BATCHES / elapsed


def decided(ledger: Ledger, number: int) -> Batch:
    """A batch of points that nobody asked for before."""
    request = ledger.order(_pixels(number), 0.0)
    why = Why.plain(POINTS_PER_BATCH, ProposalReason.UNCERTAIN)
    return Batch(request, why, np.zeros(POINTS_PER_BATCH, np.float32), "benchmark", When(0))


def raw_of(batch: Batch) -> dict[str, Any]:
    """The columns as they come off the wire, before they are validated."""
    points = measured(batch.request.point_id, batch.request.position_px)
    return {name: np.array(getattr(points, name)) for name in PointBlock.model_fields}


def _bare_h5py() -> float:
    points = measured(np.arange(POINTS_PER_BATCH), _pixels(0))
    rows = {name: getattr(points, name) for name in PointBlock.model_fields}
    with tempfile.TemporaryDirectory() as folder, h5py.File(Path(folder) / "bare.h5", "w") as file:
        columns = {
            name: file.create_dataset(
                name, (0, *row.shape[1:]), row.dtype, maxshape=(None, *row.shape[1:]), chunks=(4096, *row.shape[1:])
            )
            for name, row in rows.items()
        }
        began = time.perf_counter()
        for batch in range(BATCHES):
            for name, column in columns.items():
                column.resize((batch + 1) * POINTS_PER_BATCH, axis=0)
                column[batch * POINTS_PER_BATCH :] = rows[name]
            file.flush()
        elapsed = time.perf_counter() - began
    return POINTS_PER_BATCH * BATCHES / elapsed


if __name__ == "__main__":
    print(json.dumps(main(), indent=2))
