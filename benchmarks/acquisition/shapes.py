"""Free points, lines and rectangles at equal instrument time on the shipped maps, beside a coarse raster of the map.

Every run begins with a coarse raster of the whole map, half of its time where later shapes cost little beyond their
exposures, and up to all of it where they cost much. What is left is spent in batches of the shapes that pay most per
second by the declared costs, chosen from the posterior of everything measured so far. Points are exact; PL has every
default nuisance. Times are those of the simulated instrument, PL not included, since light images come from another
microscope in most laboratories. The reference is the coarse raster that takes as long, filled by nearest neighbour,
which is today's practice, and by the same model.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.posterior.classical import Bench, mask, registered
from grainloop.controller.geometry.shape_route import ShapeRoute, short_shape_route
from grainloop.evaluate.sections.scenes import EXACT_POINTS
from grainloop.instrument_sim.config import SimConfig
from grainloop.instrument_sim.presets import EXTERNAL_CONTROL, MAP_QUEUE, Preset
from grainloop.model.acquire import Scene
from grainloop.model.acquire.shaped import ShapeProposal, propose_shapes, stake_of
from grainloop.model.light import Alignment
from grainloop.model.reconstruct import Posterior
from grainloop.model.service.methods import shipped_weights
from grainloop.protocols.capabilities import ScanMeans
from grainloop.protocols.messages import ScanRequest
from grainloop.protocols.shapes import Piece, ScanShape, encode_pieces, exposure_ends_s
from grainloop.protocols.values import PointBlock

RESULTS = Path(__file__).parents[1] / "results" / "shapes.json"
NAMES = ("ti64", "mg-twins")
SEEDS = (0, 1)
STEPS_PX = (2, 3, 5)
"""Steps of the coarse rasters whose times the runs are given."""
MOST_BATCHES = 6
_ROUNDING_S = 1e-3
EXPLORATION = 0.1
METHOD = "joint"
NEAREST, SAME_MODEL = "coarse raster, nearest neighbour", "coarse raster, same model"
Shapes = tuple[ScanShape, ...]


@dataclass(frozen=True)
class Case:
    """An instrument, an exposure, and what the runs may ask for."""

    name: str
    preset: Preset
    dwell_s: float
    modes: dict[str, Shapes]


def _alone(preset: Preset) -> dict[str, Shapes]:
    return {shape.value: (shape,) for shape in preset.shapes.accepted}


def _modes(preset: Preset) -> dict[str, Shapes]:
    return _alone(preset) | {"whatever pays": preset.shapes.accepted}


CASES = (
    Case("external scan control, 20 ms", EXTERNAL_CONTROL, 0.02, _alone(EXTERNAL_CONTROL)),
    Case("external scan control, 1 ms", EXTERNAL_CONTROL, 0.001, _modes(EXTERNAL_CONTROL)),
    Case("map queue, 20 ms", MAP_QUEUE, 0.02, _modes(MAP_QUEUE)),
    Case("map queue, 200 ms", MAP_QUEUE, 0.2, _modes(MAP_QUEUE)),
)


@dataclass
class Run:
    """A section being measured: its points, the instrument time of its scans, and what the posterior makes of them."""

    bench: Bench
    means: ScanMeans
    points: PointBlock = field(default_factory=PointBlock.empty)
    aligned: Alignment | None = None
    spent_s: float = 0.0
    first: int = 0
    requests: int = 0
    used: dict[str, int] = field(default_factory=dict[str, int])

    def scan(self, route: ShapeRoute) -> None:
        """Measure a batch of shapes."""
        number = np.arange(len(self.points), len(self.points) + len(route.index))
        request = ScanRequest(
            batch=self.requests,
            point_id=number,
            position_px=route.position_px,
            pieces=encode_pieces(route.pieces),
            dwell_s=self.means.dwell_s,
        )
        instrument, started_s = self.bench.instrument, self.bench.instrument.clock.now_s
        self.points = PointBlock.concatenate([self.points, *instrument.scan(request)])
        self.spent_s += instrument.clock.now_s - started_s
        if self.requests:
            for piece in route.pieces:
                count = piece.points if piece.shape is ScanShape.POINTS else 1
                self.used[piece.shape.value] = self.used.get(piece.shape.value, 0) + count
        else:
            self.first = len(self.points)
        self.requests += 1

    def posterior(self, method: str = METHOD) -> Posterior:
        """What a method makes of the points, PL registered by them."""
        self.aligned = self.bench.aligned(self.points, self.aligned)
        return self.bench.solve(method, self.points, registered(self.aligned))

    def propose(self, posterior: Posterior, budget_s: float) -> list[ShapeProposal]:
        """Shapes for some seconds."""
        shape, indexed = self.bench.shape, self.points.indexed
        scene = Scene(
            posterior,
            measured=mask(shape, self.points.position_px),
            excluded=np.zeros(shape, np.bool_),
            exploration_share=EXPLORATION,
            not_indexed=mask(shape, self.points.position_px[~indexed]),
        )
        return propose_shapes(stake_of(scene), self.means, budget_s)

    def route(self, proposals: list[ShapeProposal], budget_s: float) -> ShapeRoute | None:
        """The best proposals, as many as fit into some seconds with the ways between them."""
        beam = self.bench.instrument.beam_px
        while proposals:
            pixels = np.concatenate([one.position_px for one in proposals])
            route = short_shape_route([one.piece for one in proposals], pixels, self.means.shapes, beam)
            ends_s = exposure_ends_s(route.position_px, route.pieces, beam, self.means.dwell_s, self.means.timing)
            if ends_s[-1] <= budget_s:
                return route
            proposals = proposals[: min(len(proposals) - 1, int(len(proposals) * budget_s / ends_s[-1]))]
        return None


def mounted(name: str, case: Case, shapes: Shapes, seed: int) -> Run:
    """A specimen in an instrument of the case, of which only some shapes are asked for."""
    config = SimConfig(
        **dict(EXACT_POINTS)
        | {"timing": case.preset.timing, "shapes": case.preset.shapes, "dwell_range_s": (1e-4, 1.0)}
        | {"default_dwell_s": case.dwell_s}
    )
    limits = case.preset.shapes.model_copy(update={"accepted": shapes})
    means = ScanMeans(timing=case.preset.timing, shapes=limits, dwell_s=case.dwell_s)
    return Run(Bench(name, config, seed), means)


def coarse(shape_px: tuple[int, int], down: int, across: int, means: ScanMeans) -> ShapeRoute:
    """A raster of the whole map, its margins even."""
    rows, columns = (-(-(size - step // 2) // step) for size, step in zip(shape_px, (down, across), strict=True))
    first = tuple(
        (size - 1 - (n - 1) * step) // 2
        for size, n, step in zip(shape_px, (rows, columns), (down, across), strict=True)
    )
    piece = Piece(ScanShape.RECTANGLES, rows * columns, first, rows, columns, (down, 0), (0, across))
    pixels = piece.raster(means.shapes.serpentine)
    return ShapeRoute([piece], pixels, np.arange(len(pixels)))


def seconds_of(route: ShapeRoute, means: ScanMeans) -> float:
    """Declared time of a first request."""
    return float(exposure_ends_s(route.position_px, route.pieces, None, means.dwell_s, means.timing)[-1])


def first_raster(shape_px: tuple[int, int], budget_s: float, means: ScanMeans) -> ShapeRoute | None:
    """The densest raster of the whole map, about as wide as high in its steps, that takes no longer."""
    steps = [(k + a, k + b) for k in range(1, 40) for a, b in ((0, 0), (1, 0), (0, 1))]
    for down, across in sorted(steps, key=lambda one: one[0] * one[1]):
        route = coarse(shape_px, down, across, means)
        if seconds_of(route, means) <= budget_s + _ROUNDING_S:
            return route
    return None


def adaptive(name: str, case: Case, shapes: Shapes, budget_s: float, seed: int) -> Run | None:
    """One run: a coarse raster, then batches of shapes until the time is spent; nothing where it is too short."""
    run = mounted(name, case, shapes, seed)
    waiting, exposing = smallest_s(case, shapes)
    least_s = case.preset.timing.batch_overhead_s + 2 * (waiting + exposing)
    later_s = exposing / (exposing + waiting) / 2 * budget_s
    first = first_raster(run.bench.shape, budget_s - (later_s if later_s >= least_s else 0.0), run.means)
    if first is None:
        return None
    run.scan(first)
    if later_s < least_s:
        return run
    batches = int(np.clip((budget_s - run.spent_s) / least_s, 1, MOST_BATCHES))
    for batch in range(batches):
        left_s = budget_s - run.spent_s
        share_s = left_s / (batches - batch)
        proposals = run.propose(run.posterior(), share_s)
        route = run.route(proposals, left_s if batch == batches - 1 else share_s * 1.02)
        if route is not None:
            run.scan(route)
    return run


def smallest_s(case: Case, shapes: Shapes) -> tuple[float, float]:
    """What the cheapest shape has to wait for, and how long its points are exposed, in seconds."""
    limits, timing = case.preset.shapes, case.preset.timing
    lines, per_line = limits.smallest_rectangle_points
    points = {ScanShape.LINES: limits.shortest_line_points, ScanShape.RECTANGLES: lines * per_line}
    costs = [(timing.settle_s + timing.start_s(one), points.get(one, 1) * case.dwell_s) for one in shapes]
    return min(costs, key=sum)


def static(name: str, case: Case, step_px: int, method: str, seed: int) -> dict[str, Any]:
    """One coarse raster of the whole map."""
    run = mounted(name, case, (ScanShape.RECTANGLES,), seed)
    run.scan(coarse(run.bench.shape, step_px, step_px, run.means))
    return row_of(run, method)


def row_of(run: Run, method: str) -> dict[str, Any]:
    """What came of a run."""
    found = run.bench.figures(run.posterior(method) if method != "nn" else run.bench.solve("nn", run.points, None))
    points = int(mask(run.bench.shape, run.points.position_px).sum())
    return {
        "seconds": round(run.spent_s, 3),
        "wrong_percent": round(found["wrong_percent"], 3),
        "exposures": len(run.points),
        "points": points,
        "again": len(run.points) - points,
        "requests": run.requests,
        "first_points": run.first,
        "shapes": run.used,
    }


def measure(seeds: Sequence[int], done: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Every run as a row, those that are done left out; rasters first, since they say what time the others have."""
    rows = {key_of(row): row for row in done}
    for seed, name, case, step in product(seeds, NAMES, CASES, STEPS_PX):
        about = {"map": name, "case": case.name, "step_px": step, "seed": seed}
        for mode, method in ((NEAREST, "nn"), (SAME_MODEL, METHOD)):
            if key_of(about | {"mode": mode}) not in rows:
                row = about | {"mode": mode} | static(name, case, step, method, seed)
                rows[key_of(row)] = row
                yield row
        budget_s = rows[key_of(about | {"mode": SAME_MODEL})]["seconds"]
        for mode, shapes in case.modes.items():
            if key_of(about | {"mode": mode}) not in rows:
                run = adaptive(name, case, shapes, budget_s, seed)
                yield about | {"mode": mode} | ({} if run is None else row_of(run, METHOD))


def key_of(row: dict[str, Any]) -> tuple[Any, ...]:
    """What tells a run from all others."""
    return tuple(row[name] for name in ("map", "case", "step_px", "seed", "mode"))


def full_seconds(name: str, case: Case) -> float:
    """Time of the full raster of a map."""
    run = mounted(name, case, (ScanShape.RECTANGLES,), 0)
    return seconds_of(coarse(run.bench.shape, 1, 1, run.means), run.means)


def main(seeds: Sequence[int] = SEEDS, resume: bool = False) -> dict[str, Any]:
    """Measure, write `results/shapes.json` after every run, and return what it holds; `resume` keeps what is there."""
    kept = json.loads(RESULTS.read_text(encoding="utf-8"))["rows"] if resume and RESULTS.exists() else []
    result: dict[str, Any] = {
        "method": METHOD,
        "weights_sha256": dict(shipped_weights()),
        "presets": {
            case.name: {"dwell_s": case.dwell_s, **case.preset.timing.model_dump()} | case.preset.shapes.model_dump()
            for case in CASES
        },
        "full_raster_seconds": {n: {case.name: full_seconds(n, case) for case in CASES} for n in NAMES},
        "rows": kept,
    }
    for row in measure(seeds, tuple(kept)):
        result["rows"].append(row)
        RESULTS.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return result


if __name__ == "__main__":
    main(resume="resume" in sys.argv[1:])
