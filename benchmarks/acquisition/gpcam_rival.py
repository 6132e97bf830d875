"""gpCAM on the maps that ship: the same first pass, batches, budget and instrument as our policies have.

gpCAM is a policy here, so that `playing` plays it as any other; it runs as a process of its own (`gpcam_worker`) in an
environment of its own, and sees what is measured: 18 channels of the embedding of orientations, whose distances are
angles. No PL: it has no place for it. Its points are reconstructed three ways: by us with PL, and by what needs nothing
but the points: its own expectation, decoded to orientations, and nearest neighbour.

    python -m venv gpcam-env && gpcam-env/bin/pip install gpcam==8.6.1
    python -m benchmarks.acquisition.gpcam_rival --python gpcam-env/bin/python [--seeds N] [--acquisition NAME …]
"""

from __future__ import annotations

import json
import math
import subprocess
import time
from argparse import ArgumentParser
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any, cast

import numpy as np
from numpy.typing import NDArray

from benchmarks.acquisition.policies import (
    BUDGETS,
    LAUE_GROUP,
    REAL,
    Case,
    figures_of,
    keep,
    load,
    plan_of,
    playing_as,
    specimen_of,
)
from grainloop.controller.plans import Terms
from grainloop.evaluate.acquisition.playing import Stage, play, set_up
from grainloop.evaluate.sections.scenes import EXACT_POINTS
from grainloop.instrument_sim.driver import SimulatedInstrument
from grainloop.model.acquire import Scene
from grainloop.model.acquire.scene import code_of, proposals
from grainloop.model.crystal import decode, disorientation_deg, embed
from grainloop.model.crystal.score import WRONG_DEG
from grainloop.model.maps import OrientationMap
from grainloop.model.reconstruct import never, no_report
from grainloop.model.service.reconstruction import reconstruct
from grainloop.protocols.messages import ProposalReason, Proposals, ReconstructRequest, ScanRequest
from grainloop.protocols.values import PointBlock

ACQUISITIONS = ("variance", "gradient")
WORKER = Path(__file__).with_name("gpcam_worker.py")
EXPECTATION, NEAREST = "GP mean", "nn"


def name_of(acquisition: str) -> str:
    """Of the policy."""
    return f"gpCAM {acquisition}"


class Process:
    """A worker that is told arrays and answers with one."""

    def __init__(self, python: Path, folder: Path) -> None:
        """Start it; arrays go through files in `folder`."""
        self._file = folder / "arrays.npz"
        command = [str(python), "-W", "ignore", str(WORKER)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )

    def call(self, do: str, arrays: dict[str, NDArray[Any]], **more: Any) -> NDArray[np.float64]:
        """What it answers; an empty array where that is nothing."""
        np.savez(self._file, **cast(dict[str, Any], arrays))
        told = cast(IO[str], self._process.stdin)
        told.write(json.dumps({"do": do, "file": str(self._file)} | more) + "\n")
        told.flush()
        if not cast(IO[str], self._process.stdout).readline():
            raise RuntimeError(f"gpCAM ended while asked to {do}; is it installed in its environment?")
        with np.load(self._file) as found:
            return found["found"] if "found" in found.files else np.empty(0)

    def close(self) -> None:
        """End it."""
        cast(IO[str], self._process.stdin).close()
        self._process.wait()


@contextmanager
def running(python: Path) -> Generator[Process]:
    """A worker for the time of the context."""
    with TemporaryDirectory() as folder:
        process = Process(python, Path(folder))
        try:
            yield process
        finally:
            process.close()


class Recording:
    """An instrument that keeps what it has measured."""

    def __init__(self, instrument: SimulatedInstrument) -> None:
        self._instrument = instrument
        self.blocks: list[PointBlock] = []

    def __getattr__(self, name: str) -> Any:
        """Everything else is that of the instrument."""
        return getattr(self._instrument, name)

    def scan(self, request: ScanRequest) -> Iterator[PointBlock]:
        """See `SimulatedInstrument.scan`."""
        for block in self._instrument.scan(request):
            self.blocks.append(block)
            yield block


@dataclass
class Gpcam:
    """gpCAM as a policy.

    Attributes:
        batch: points of a batch; the controller asks for more, to have a choice.
        seconds: wall time of each answer.
    """

    process: Process
    acquisition: str
    seed: int
    batch: int
    seconds: list[float] = field(default_factory=list[float])

    @property
    def name(self) -> str:
        """Of the policy."""
        return name_of(self.acquisition)

    def __call__(self, scene: Scene, count: int, rng: np.random.Generator) -> Proposals:
        """See `Policy`."""
        del rng
        started = time.perf_counter()
        self.tell(cast(PointBlock, scene.points))
        free = np.argwhere(scene.free & ~scene.measured).astype(float)
        more = {
            "count": min(count, self.batch),
            "spacing": scene.spacing_px,
            "acquisition": self.acquisition,
            "seed": self.seed,
        }
        position = self.process.call("ask", {"free": free}, **more).astype(np.intp)
        self.seconds.append(time.perf_counter() - started)
        reason = np.full(len(position), code_of(ProposalReason.UNCERTAIN))
        return proposals(self.name, position, np.ones(len(position)), reason)

    def tell(self, points: PointBlock) -> None:
        """Let it know points; all of them were indexed."""
        arrays = {"x": points.position_px.astype(float), "y": embed(points.orientation, LAUE_GROUP).astype(float)}
        self.process.call("tell", arrays, seed=self.seed)

    def expected(self, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """(h, w, 4) orientations that it expects."""
        pixels = np.indices(shape).reshape(2, -1).T.astype(float)
        channels = self.process.call("predict", {"x": pixels}).astype(np.float32)
        return decode(channels, LAUE_GROUP).reshape(*shape, 4)


def run(case: Case, acquisition: str, python: Path) -> Iterator[tuple[Case, dict[str, Any]]]:
    """Play one run; a row of each reconstruction of its points."""
    truth = specimen_of(case)
    stage = set_up(truth, EXACT_POINTS, case.seed)
    recording, plan = Recording(stage.instrument), plan_of(case, stage)
    terms = Terms(plan, stage.instrument.capabilities)
    points, coarse = terms.max_points, terms.first_pass_points(terms.max_points)
    batch = math.ceil((points - coarse) / plan.batches)
    with running(python) as process:
        rival = Gpcam(process, acquisition, case.seed, batch)
        with playing_as(rival):
            played = replace(stage, instrument=cast(SimulatedInstrument, recording))
            moments = tuple(play(played, plan, case.queued + 1))
        row = figures_of(case, moments) | {"asking_s": round(float(np.mean(rival.seconds)), 3)}
        yield case, row
        measured = PointBlock.concatenate(recording.blocks)
        rival.tell(measured)
        maps = {EXPECTATION: rival.expected(truth.shape_px), NEAREST: nearest(stage, measured)}
    for method, found in maps.items():
        own = replace(case, method=method)
        yield own, {name: row[name] for name in KEPT} | asdict(own) | errors(found, truth)


KEPT = ("points_measured", "instrument_s", "adjacent_share")
"""Figures of a run that do not depend on the reconstruction."""


def nearest(stage: Stage, points: PointBlock) -> NDArray[np.float32]:
    """(h, w, 4) by nearest neighbour."""
    asked = ReconstructRequest(section_key=stage.section.declared.section_key, points=points, method=NEAREST)
    return reconstruct(stage.section, asked, no_report, never).orientation


def errors(found: NDArray[np.float32], truth: OrientationMap) -> dict[str, float]:
    """Mean and share of wrong pixels, over those that are indexed."""
    inside = truth.indexed
    error = disorientation_deg(found[inside], truth.orientation[inside], LAUE_GROUP)
    return {"error_mean_deg": round(float(error.mean()), 6), "error_over_5deg": float((error > WRONG_DEG).mean())}


def main(python: Path, acquisitions: Sequence[str] = ACQUISITIONS, seeds: int = 1) -> None:
    """Measure what is missing."""
    for acquisition, seed, budget, name in product(acquisitions, range(seeds), BUDGETS, REAL):
        case = Case(name, seed, name_of(acquisition), budget)
        if replace(case, method=NEAREST).key in load()["rows"]:
            continue
        started = time.perf_counter()
        for made, row in run(case, acquisition, python):
            keep(made.key, row)
            took_s = time.perf_counter() - started
            print(f"{made.key}: {row['error_over_5deg']:.4f} after {took_s:.0f} s", flush=True)


if __name__ == "__main__":
    parser = ArgumentParser(prog="python -m benchmarks.acquisition.gpcam_rival", description=__doc__)
    parser.add_argument("--python", type=Path, required=True, help="of the environment that gpCAM is installed in")
    parser.add_argument("--acquisition", nargs="+", default=ACQUISITIONS, choices=ACQUISITIONS)
    parser.add_argument("--seeds", type=int, default=1)
    given = parser.parse_args()
    main(given.python, given.acquisition, given.seeds)
