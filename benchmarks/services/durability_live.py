"""Runs for the benchmark of durability: a fast instrument in a process of its own, no model, and runs over sockets.

The instrument makes up its points, at once or after a dwell. In the place of the model stands an answer that is there
at once: constant maps, and proposals scattered over the section. So a run takes what instrument, controller, sockets
and disk take, and its decisions are those of any run.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np

from benchmarks.processes import served_by
from benchmarks.services.spool import made_up
from grainloop.cli.serve.processes import free_endpoints
from grainloop.controller.decide import Batch, Decider, When, Why
from grainloop.controller.plans import Terms
from grainloop.controller.record import SESSION_NAME, Recording
from grainloop.controller.run import Run
from grainloop.controller.run.batches import Batches
from grainloop.controller.run.standing import Standing
from grainloop.protocols.aio import Client, run
from grainloop.protocols.capabilities import Capabilities, ScanTiming
from grainloop.protocols.driver_service import DriverService
from grainloop.protocols.messages import (
    CheckHealth,
    CloseSection,
    ControlReply,
    DescribeModel,
    Health,
    InstrumentReply,
    LightDiagnostics,
    ModelDescription,
    OpenSection,
    ProposalReason,
    Proposals,
    Reconstruction,
    ReconstructRequest,
    ResumeRequest,
    RunFinished,
    ScanRequest,
    SectionClosed,
    SectionOpened,
    Sync,
)
from grainloop.protocols.plan import Budget, RunPlan
from grainloop.protocols.values import Grid, Phase, PointBlock

SIDE_PX = 400
DWELL_S = 0.02
BLOCK = 500
"""Points that are told together, as of the simulator."""
_PATIENCE_S = 600.0


class FastInstrument:
    """Makes up its points; waits for nothing, or a dwell for each of them."""

    def __init__(self, waits: bool) -> None:
        self._waits = waits
        self._clock_s = 0.0
        self.capabilities = Capabilities(
            name="benchmark",
            simulated=not waits,
            grid=Grid(shape_px=(SIDE_PX, SIDE_PX), step_um=0.5),
            phases=(Phase(phase_id=1, name="Ti", point_group="6/mmm"),),
            dwell_range_s=(0.001, 1.0),
            default_dwell_s=DWELL_S,
            max_points_per_scan=100_000,
            timing=ScanTiming(batch_overhead_s=0.005),
            exposes_ahead=BLOCK,
        )

    def scan(self, request: ScanRequest) -> Iterator[PointBlock]:
        """Yield blocks; those that take time are short."""
        block = 10 if self._waits else BLOCK
        for first in range(0, len(request.point_id), block):
            ids = request.point_id[first : first + block]
            if self._waits:
                time.sleep(request.dwell_s * len(ids))
            ends_s = self._clock_s + request.dwell_s * np.arange(1, len(ids) + 1)
            self._clock_s = float(ends_s[-1])
            points = made_up(ids, request.position_px[first : first + len(ids)])
            dwell_s = np.full(len(ids), request.dwell_s, np.float32)
            yield points.model_copy(update={"time_s": ends_s, "dwell_s": dwell_s})

    def light(self, section: int, angles_deg: tuple[float, ...]) -> np.ndarray:
        """Never called."""
        raise NotImplementedError

    def park(self) -> None:
        """Nothing to blank."""


class NoModel:
    """Answers at once, by nothing: scattered proposals, constant maps."""

    def __init__(self) -> None:
        shape = (SIDE_PX, SIDE_PX)
        self._scattered = np.random.default_rng(7).permutation(SIDE_PX**2)
        ones = np.ones(shape, np.float32)
        orientation = np.zeros((*shape, 4), np.float32)
        orientation[..., 0] = 1
        self._maps: dict[str, Any] = {
            "orientation": orientation,
            "phase_id": np.ones(shape, np.uint8),
            "expected_error_deg": ones,
            "bound90_deg": ones,
            "p_wrong": ones / 2,
            "boundary": ones / 2,
            "grain": np.ones(shape, np.int32),
        }

    async def request(
        self,
        message: Any,
        *,
        deadline_s: float,  # noqa: ARG002  # as a connection has them
        on_progress: Callable[[Any], None] | None = None,  # noqa: ARG002
    ) -> Any:
        """The reply of a model service."""
        match message:
            case DescribeModel():
                return ModelDescription(
                    version="0",
                    methods=("none",),
                    default_method="none",
                    policies=("scattered",),
                    default_policy="scattered",
                    point_groups=("6/mmm",),
                )
            case OpenSection():
                return SectionOpened(section_key=message.section_key, light_usable=False)
            case ReconstructRequest():
                return self._answer(message)
            case CloseSection():
                return SectionClosed(section_key=message.section_key)
            case _:
                return Health(service="model", version="0", ok=True)

    def _answer(self, message: ReconstructRequest) -> Reconstruction:
        return Reconstruction(
            section_key=message.section_key,
            method="none",
            predicted_wrong=0.5,
            light=LightDiagnostics(used=False),
            proposals=None if message.propose is None else self._proposals(message),
            seconds=0.0,
            **self._maps,
        )

    def _proposals(self, message: ReconstructRequest) -> Proposals:
        assert message.propose is not None
        free = np.ones((SIDE_PX, SIDE_PX), np.bool_)
        for taken in (message.propose.excluded_px, message.points.position_px):
            free[tuple(taken.T)] = False
        numbers = self._scattered[free.reshape(-1)[self._scattered]][: message.propose.count]
        position = np.stack(np.unravel_index(numbers, free.shape), axis=1).astype(np.int32)
        why = Why.plain(len(position), ProposalReason.UNCERTAIN)
        gain = np.linspace(9, 1, len(position), dtype=np.float32)
        return Proposals(position_px=position, gain=gain, reason=why.reason, policy="scattered")


# --- processes -------------------------------------------------------------------------------------------------------
def instrument(*, waits: bool = False) -> AbstractContextManager[str]:
    """The fast instrument as a process; gives its endpoint."""
    return served_by("benchmarks.services.durability_live", *(["--waits"] if waits else []))


async def _serve(waits: bool) -> None:
    hosted = DriverService(FastInstrument(waits))
    await hosted.run("tcp://127.0.0.1:0", ready=lambda: print(hosted.endpoint, flush=True))


@asynccontextmanager
async def asking(endpoint: str) -> AsyncGenerator[Client]:
    """A connection to the instrument."""
    async with Client(endpoint, InstrumentReply, service="instrument") as client:
        yield client


# --- runs ------------------------------------------------------------------------------------------------------------
def plan_of(points: int, per_batch: int) -> RunPlan:
    """A plan of about so many points in batches of about so many."""
    budget = Budget(fraction=1.0, points=points)
    return RunPlan(budget=budget, batches=max(1, points // per_batch), use_light=False)


async def carry_out(endpoint: str, folder: Path, plan: RunPlan, sync: Sync = Sync.ALWAYS) -> RunFinished:
    """A whole run without model, over sockets; warmed up by whoever wants it so."""
    async with asking(endpoint) as client:
        return await Run(plan, folder, client, NoModel(), sync=sync).execute()


async def stream(endpoint: str, folder: Path, sync: Sync, batches: int, points: int) -> float:
    """Points per second of batches that are decided already: from the instrument over sockets into the journal."""
    plan = RunPlan(budget=Budget(fraction=1.0), use_light=False)
    decider = Decider(Terms(plan, FastInstrument(waits=False).capabilities), uuid4().hex)
    decider.begin(0.0)
    standing = Standing()
    recording = Recording.begin(folder / SESSION_NAME, decider, sync)
    standing.record_in(recording, decider.ledger)
    async with asking(endpoint) as client:
        out = Batches(client, decider, recording, standing)
        decided = [_decided(decider, number, points) for number in range(batches)]
        began = time.perf_counter()
        for batch in decided:
            out.send(batch, {"round": 0})
        while len(out):
            await out.close_oldest()
        elapsed = time.perf_counter() - began
        await out.withdraw_all()
    recording.close()
    return batches * points / elapsed


def _decided(decider: Decider, number: int, points: int) -> Batch:
    index = np.arange(number * points, (number + 1) * points)
    pixels = np.stack([index // SIDE_PX, index % SIDE_PX], axis=1).astype(np.int32)
    why = Why.plain(points, ProposalReason.UNCERTAIN)
    return Batch(decider.ledger.order(pixels, 0.0), why, np.ones(points, np.float32), "plan", When(0))


def come_back(at_instrument: str, session: Path) -> dict[str, float]:
    """Seconds of a controller that is started anew: until it serves, and from there until it goes on with a run."""
    endpoint, nobody = free_endpoints(2)
    words = ["serve", "controller", "--endpoint", endpoint, "--instrument", at_instrument, "--model", nobody]
    began = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-m", "grainloop", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            ready_s = time.perf_counter() - began
            goes_on_s = run(_goes_on(endpoint, str(session.resolve())))
        finally:
            process.kill()
    return {"start_s": ready_s, "resume_s": goes_on_s}


async def _goes_on(endpoint: str, session: str) -> float:
    """Seconds from the request to go on with a run until its first event."""
    heard = asyncio.Event()
    async with Client(endpoint, ControlReply, service="controller") as client:
        await client.request(CheckHealth(), deadline_s=_PATIENCE_S)
        request, began = ResumeRequest(session_dir=session), time.perf_counter()
        asked = client.request(request, deadline_s=_PATIENCE_S, on_progress=lambda _: heard.set())
        going_on, first = asyncio.create_task(asked), asyncio.create_task(heard.wait())
        await asyncio.wait([going_on, first], return_when=asyncio.FIRST_COMPLETED)
        elapsed = time.perf_counter() - began
        if not heard.is_set():
            raise RuntimeError(f"the run was not gone on with: {await going_on}")
        going_on.cancel()
        await asyncio.wait([going_on])
    return elapsed


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--waits", action="store_true")
    run(_serve(parser.parse_args().waits))
