"""How much the instrument waits for the model, at several rates: whole runs of the real loop with the shipped model.

Instrument service, model service and controller are the real ones and talk over real sockets, in one process. The
instrument is the simulator, which need not be waited for; the model takes the time that it takes on this computer, and
that time passes for the instrument. A rate is points per second by the declared costs: exposure and travel. PL images
are taken before, outside the time that is compared. Each rate is run as it is by default, and once with the instrument
waiting for every answer, which tells what filling in costs in quality. What would happen without any model is told by
a full raster of the same exposure, and by a coarse grid of as many points.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np

from grainloop.cli.serve.processes import free_endpoints
from grainloop.controller.figures.summary import grid_baseline, score
from grainloop.controller.geometry import coarse_grid_of_at_least
from grainloop.controller.run import Run
from grainloop.controller.session import Session, load_session
from grainloop.instrument_sim.config import SimConfig
from grainloop.instrument_sim.driver import SimulatedInstrument
from grainloop.instrument_sim.specimens.named import load_specimen
from grainloop.model.maps import OrientationMap
from grainloop.model.service.service import ModelService
from grainloop.protocols.aio import Client
from grainloop.protocols.capabilities import ScanTiming
from grainloop.protocols.driver_service import DriverService
from grainloop.protocols.messages import CheckHealth, InstrumentReply, ModelReply, RunFinished, ScanRequest
from grainloop.protocols.plan import Budget, RunPlan
from grainloop.protocols.values import PointBlock

RESULTS = Path(__file__).parents[1] / "results" / "idle.json"
MAP = "ti64"
RATES_PER_S = (50, 500, 5000)
BUDGETS = (0.06, 0.25)
SEEDS = (0, 1)
_TRAVEL_SHARE, _REQUESTS_S = 0.1, 0.005
_PATIENCE_S = 120.0


@dataclass(frozen=True)
class Case:
    """One run: points per second, share of the pixels, seed, and whether stop-gaps fill in while the model thinks."""

    rate_per_s: int
    budget: float
    seed: int
    fill_in: bool

    @property
    def config(self) -> SimConfig:
        """An instrument of this rate: a tenth of the time goes into the way from point to point."""
        each_s = 1 / self.rate_per_s
        way_px = 0.7 / self.budget**0.5
        timing = ScanTiming(travel_s_per_px=_TRAVEL_SHARE * each_s / way_px, batch_overhead_s=_REQUESTS_S)
        dwell_s = (1 - _TRAVEL_SHARE) * each_s
        return SimConfig(timing=timing, default_dwell_s=dwell_s, dwell_range_s=(1e-6, 1.0), seconds_per_image=0.0)

    @property
    def plan(self) -> RunPlan:
        """The default plan with this budget."""
        return RunPlan(budget=Budget(fraction=self.budget), seed=self.seed, fill_in=self.fill_in, real_time=True)


def main() -> None:
    """Measure everything (or with `quick` one seed of the smallest budget) and write JSON and page."""
    from benchmarks.services.idle_page import write_page

    seeds, budgets = (SEEDS[:1], BUDGETS[:1]) if "quick" in sys.argv else (SEEDS, BUDGETS)
    specimen, rows = load_specimen(MAP), list[dict[str, Any]]()
    for budget in budgets:
        for rate in RATES_PER_S:
            for fill_in in (True, False):
                runs = [measure(specimen, Case(rate, budget, seed, fill_in)) for seed in seeds]
                rows.append(gathered(runs))
                print(json.dumps(rows[-1]), flush=True)
    found = {"map": MAP, "seeds": list(seeds), "cores": os.cpu_count(), "rows": rows}
    RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    write_page(found)


def gathered(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Means over seeds; lists are those of the first."""
    numbers = {key for key, value in runs[0].items() if isinstance(value, float)}
    return {key: mean(run[key] for run in runs) if key in numbers else value for key, value in runs[0].items()}


def measure(specimen: OrientationMap, case: Case) -> dict[str, Any]:
    """One run, scored."""
    with tempfile.TemporaryDirectory() as folder:
        finished = asyncio.run(carry_out(specimen, case, Path(folder)))
        session = load_session(Path(finished.session_file))
    if session.result is None:
        raise RuntimeError(f"no map: {finished.detail}")
    withdrawn = {row["batch"] for row in session.batches if row.get("withdrawn")}
    sent = [row for row in session.decisions if row["batch"] not in withdrawn]
    decided = [row for row in sent if row["round"] and not row["stop_gap"]]
    thought = [row["when"]["elapsed_s"] for row in decided]
    grid = grid_baseline(grid_points(specimen, case), specimen)
    return {
        "rate_per_s": case.rate_per_s,
        "budget": case.budget,
        "fill_in": case.fill_in,
        "idle_share": finished.idle_s / finished.instrument_s,
        "instrument_s": finished.instrument_s,
        "full_raster_s": full_raster_s(specimen, case),
        "decisions": float(len(decided)),
        "decision_s": float(np.mean(thought)) if thought else 0.0,
        "stop_gap_points": float(sum(row["points"] for row in sent if row["stop_gap"])),
        "points": float(len(session.points)),
        "error_over_5deg": float(score(session.result.orientation, specimen).error_over_5deg),
        "grid_error_over_5deg": float(grid.score.error_over_5deg),
        "batch_points": [row["points"] for row in sent],
        "batch_kinds": kinds(sent),
        "timeline": timeline(session),
    }


def kinds(sent: list[dict[str, Any]]) -> list[str]:
    """What each batch is."""
    return ["stop-gap" if row["stop_gap"] else "decided" if row["round"] else "first pass" for row in sent]


def timeline(session: Session) -> list[tuple[float, float]]:
    """When each batch that was measured began and ended, on the instrument clock."""
    return [(row["started_s"], row["finished_s"]) for row in session.batches if row["ok"]]


async def carry_out(specimen: OrientationMap, case: Case, folder: Path) -> RunFinished:
    """The run, with services of its own."""
    instrument = DriverService(SimulatedInstrument(specimen, case.config, case.seed))
    at = free_endpoints(2)
    async with (
        served(instrument, at[0]),
        served(ModelService(), at[1]),
        Client(at[0], InstrumentReply, service="instrument") as to_instrument,
        Client(at[1], ModelReply, service="model") as to_model,
    ):
        await to_model.request(CheckHealth(), deadline_s=_PATIENCE_S)  # loads and compiles, as before any run
        return await Run(case.plan, folder, to_instrument, to_model).execute()


@asynccontextmanager
async def served(service: Any, endpoint: str) -> AsyncIterator[None]:
    """A service that runs meanwhile."""
    ready, stop = asyncio.Event(), asyncio.Event()
    running = asyncio.create_task(service.run(endpoint, ready=ready.set, stop=stop))
    await ready.wait()
    try:
        yield
    finally:
        stop.set()
        await running


def full_raster_s(specimen: OrientationMap, case: Case) -> float:
    """All pixels, row by row and back, exposed as long."""
    config = case.config
    return specimen.phase_id.size * (config.default_dwell_s + config.timing.travel_s_per_px)


def grid_points(specimen: OrientationMap, case: Case) -> PointBlock:
    """A coarse grid of as many points on the same instrument."""
    instrument = SimulatedInstrument(specimen, case.config, case.seed)
    pixels = coarse_grid_of_at_least(specimen.shape_px, int(case.budget * specimen.phase_id.size))
    numbers = np.arange(len(pixels), dtype=np.int64)
    dwell_s = case.config.default_dwell_s
    request = ScanRequest(batch=0, point_id=numbers, position_px=pixels, dwell_s=dwell_s)
    return PointBlock.concatenate(list(instrument.scan(request)))


if __name__ == "__main__":
    started = time.monotonic()
    main()
    print(f"{time.monotonic() - started:.0f} s")
