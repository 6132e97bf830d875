"""`grainloop demo`: three services as processes, one real map, one adaptive run, and an honest comparison.

Whatever happens, the services are stopped: at the end, on Ctrl-C and SIGTERM, and when one of them dies.
"""

from __future__ import annotations

import asyncio
import json
import math
import signal
import sys
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import typer

from grainloop.cli.folders import drawing, make_folder, told
from grainloop.cli.operate.progress import show_events, show_stage
from grainloop.cli.prepare import prepare_first_use
from grainloop.cli.serve.processes import Child, Children, free_endpoints, healthy
from grainloop.controller.journal import LOCK, SUFFIX, TORN, journal_files
from grainloop.controller.plans import make_plan
from grainloop.controller.record import JOURNAL_NAME
from grainloop.protocols.aio import Client, run
from grainloop.protocols.errors import BadInput, GrainloopError
from grainloop.protocols.files import write_text
from grainloop.protocols.messages import (
    ControlReply,
    InstrumentReply,
    ModelReply,
    RunEvent,
    RunFinished,
    RunRequest,
    ScanRequest,
)
from grainloop.protocols.observability.output import LOG_NAME
from grainloop.protocols.plan import RunPlan
from grainloop.protocols.sentences import counted
from grainloop.protocols.states import FinishReason
from grainloop.protocols.values import PointBlock

_LONGEST_RUN_S = 24 * 3600.0
_INTERRUPTED = 130
_FIGURES = ("demo.png", "orientation.png", "uncertainty.png", "light_points.png", "evidence.png", "error.png")
_MADE = ("session.h5", "summary.json", LOG_NAME, *_FIGURES)
_LAST_WORDS_S = 2.0


@dataclass(frozen=True)
class DemoOptions:
    """What the command line says."""

    specimen: str
    budget: float
    out: Path
    seed: int
    json: bool
    speed_up: float
    method: str | None
    policy: str | None
    shape: str | None = None
    preset: str | None = None
    real_time: bool = False


def run_demo(options: DemoOptions) -> int:
    """The whole demo; returns the exit code.

    Raises:
        GrainloopError: bad input, or a service that cannot do its work.
    """
    began = time.monotonic()
    plan = demo_plan(options)
    _check_input(options)
    _make_room(options.out)
    _interrupt_on_termination()
    try:
        prepare_first_use(quiet=options.json)
        finished = run(_measure(RunRequest(plan=plan, session_dir=str(options.out.resolve())), options))
    except KeyboardInterrupt:
        kept = options.out / "session.h5"
        told = f"what was measured is in {kept}" if kept.is_file() else "nothing was measured"
        print(f"grainloop: interrupted; {told}.", file=sys.stderr)  # noqa: T201
        return _INTERRUPTED
    if finished.reason in (FinishReason.FAILED, FinishReason.ABORTED):
        kept = f"{counted(finished.points_measured, 'point')} in {finished.session_file}"
        raise GrainloopError(f"The run has {finished.reason}: {finished.detail.rstrip('.')}; {kept}.")
    with show_stage("scoring and drawing", options.json):
        summary, light = _evaluate(options, began)
    _report(summary, light, options)
    return 0


def demo_plan(options: DemoOptions) -> RunPlan:
    """The plan that the options describe.

    Raises:
        BadInput: a budget that leaves nothing to measure, or asks for more than everything.
    """
    if not 0 < options.budget <= 1:
        message = (
            f"--budget {options.budget:g} cannot be used: give the share of the pixels to measure, above 0 up to 1."
        )
        raise BadInput(message, field="budget", value=options.budget)
    if not options.speed_up > 0:
        message = f"--speed-up {options.speed_up:g} cannot be used: give a factor above 0, or inf."
        raise BadInput(message, field="speed_up", value=options.speed_up)
    fields: dict[str, Any] = {"budget": {"fraction": options.budget}, "seed": options.seed}
    fields |= {"method": options.method, "policy": options.policy, "real_time": options.real_time}
    fields |= {} if options.shape is None else {"shape": str(options.shape)}
    return make_plan(fields, "the options")


def _check_input(options: DemoOptions) -> None:
    from grainloop.instrument_sim.specimens.named import load_specimen, require_single_phase

    require_single_phase(load_specimen(options.specimen), options.specimen)


def _make_room(out: Path) -> None:
    """Remove what an earlier demo made; never a session of a real instrument, nor a file that is no session.

    Raises:
        BadInput: there is such a file, or the folder cannot be made.
    """
    make_folder(out)
    if (earlier := out / "session.h5").exists():
        from grainloop.controller.session import load_session

        if not load_session(earlier).capabilities.simulated:
            message = f"{earlier} was measured on a real instrument and is not overwritten; choose another --out."
            raise BadInput(message, field="out", value=out)
    try:
        for name in _MADE:
            (out / name).unlink(missing_ok=True)
        _remove_journal(out / JOURNAL_NAME)
    except OSError as error:
        message = f"{error.filename} of an earlier demo cannot be removed: {told(error)}; choose another --out."
        raise BadInput(message, field="out", value=out) from error


def _remove_journal(folder: Path) -> None:
    """The journal of the session that was removed; a folder that holds anything else keeps that."""
    for path in (*journal_files(folder), *folder.glob(f"*{SUFFIX}{TORN}"), folder / LOCK):
        path.unlink(missing_ok=True)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def _interrupt_on_termination() -> None:
    """SIGTERM ends the demo as Ctrl-C does."""

    def interrupt(_number: int, _frame: object) -> None:
        signal.raise_signal(signal.SIGINT)

    signal.signal(signal.SIGTERM, interrupt)


async def _measure(request: RunRequest, options: DemoOptions) -> RunFinished:
    async with Children(options.out / "logs") as children, _ending_told():
        with show_stage("starting instrument, model and controller", options.json):
            controller = await _start(children, options)
        with show_events(quiet=options.json) as heard:
            running = asyncio.create_task(_run(controller, request, heard))
            dying = asyncio.create_task(children.until_dead())
            try:
                await asyncio.wait([running, dying], return_when=asyncio.FIRST_COMPLETED)
                if _in_trouble(running):
                    await asyncio.wait([dying], timeout=_LAST_WORDS_S)
                if dying.done():
                    raise dying.result()
                return running.result()
            finally:
                running.cancel()
                dying.cancel()
                await asyncio.gather(running, dying, return_exceptions=True)


@asynccontextmanager
async def _ending_told() -> AsyncGenerator[None]:
    """Services take some seconds to end, and silence would be taken for being stuck."""
    try:
        yield
    except asyncio.CancelledError:
        print("grainloop: interrupted; the services are being stopped.", file=sys.stderr)  # noqa: T201
        raise


def _in_trouble(running: asyncio.Task[RunFinished]) -> bool:
    """Whether the run ended in a way that a dying service may explain better."""
    if not running.done():
        return False
    return running.exception() is not None or running.result().reason is FinishReason.FAILED


async def _start(children: Children, options: DemoOptions) -> Child:
    at_instrument, at_model, at_controller = free_endpoints(3)
    speed_up = "inf" if math.isinf(options.speed_up) else repr(options.speed_up)
    simulator = ["--map", options.specimen, "--seed", str(options.seed), "--speed-up", speed_up]
    simulator += [] if options.preset is None else ["--preset", options.preset]
    instrument = children.start("instrument", at_instrument, simulator)
    model = children.start("model", at_model)
    controller = children.start("controller", at_controller, ["--instrument", at_instrument, "--model", at_model])
    expected = ((instrument, InstrumentReply), (model, ModelReply), (controller, ControlReply))
    proofs = [asyncio.create_task(healthy(child, replies)) for child, replies in expected]
    try:
        await asyncio.gather(*proofs)
    finally:
        for proof in proofs:
            proof.cancel()
        await asyncio.gather(*proofs, return_exceptions=True)
    return controller


async def _run(controller: Child, request: RunRequest, heard: Callable[[RunEvent], None]) -> RunFinished:
    async with Client(controller.endpoint, ControlReply, service="controller") as client:
        return await client.request(request, deadline_s=_LONGEST_RUN_S, on_progress=heard)


def _evaluate(options: DemoOptions, began: float) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The summary, also written to its file, and what became of PL."""
    from grainloop.controller.figures import grid_baseline, light_lines, summarise, write_figures
    from grainloop.controller.session import load_session
    from grainloop.instrument_sim.specimens.named import load_specimen

    truth, session = load_specimen(options.specimen), load_session(options.out / "session.h5")
    grid = grid_baseline(_measure_grid(options, len(session.points)), truth)
    summary = summarise(session, truth, grid, options.specimen, time.monotonic() - began)
    with drawing(options.out, session.path):
        write_figures(session, options.out, truth, grid)
        summary["wall_s"] = time.monotonic() - began
        write_text(options.out / "summary.json", json.dumps(summary, indent=2) + "\n")
    return summary, light_lines(session.result.light) if session.result else ()


def _measure_grid(options: DemoOptions, count: int) -> PointBlock:
    """The coarse grid on the same instrument: same specimen, same noise, a clock that starts anew.

    A regular grid of exactly `count` points need not exist; the reference then gets a few points more, never fewer.
    """
    from grainloop.controller.geometry import coarse_grid_of_at_least, short_path
    from grainloop.instrument_sim.config import SimConfig
    from grainloop.instrument_sim.driver import SimulatedInstrument
    from grainloop.instrument_sim.specimens.named import load_specimen

    instrument = SimulatedInstrument(load_specimen(options.specimen), SimConfig(), options.seed)
    pixels = coarse_grid_of_at_least(instrument.capabilities.grid.shape_px, count)
    pixels = pixels[short_path(pixels)]
    request = ScanRequest(
        batch=0,
        point_id=np.arange(len(pixels), dtype=np.int64),
        position_px=pixels,
        dwell_s=instrument.capabilities.default_dwell_s,
    )
    return PointBlock.concatenate(list(instrument.scan(request)))


def _report(summary: dict[str, Any], light: tuple[str, ...], options: DemoOptions) -> None:
    if options.json:
        typer.echo(json.dumps(summary, indent=2))
        return
    from rich.console import Console
    from rich.table import Table

    grid = summary["baseline"]["grid_nn"]
    table = Table("", "points", "mean error", "wrong by > 5°", "boundary F1")
    for name, row in (("this run", summary), ("coarse grid, nearest neighbour", grid)):
        points = f"{row['points_measured']} ({row['fraction_measured']:.1%})"
        errors = f"{row['error_mean_deg']:.2f}°", f"{row['error_over_5deg']:.1%}", f"{row['boundary_f1']:.3f}"
        table.add_row(name, points, *errors)
    console = Console()
    console.print(table)
    for line in (*light, *summary["errors"], *summary["warnings"]):
        console.print(line)
    idle = f"{summary['instrument_idle_fraction']:.1%} of it idle"
    console.print(f"Instrument time {summary['instrument_s']:.0f} s, {idle}; this took {summary['wall_s']:.0f} s.")
    console.print(_thinking(summary["decision_s"]))
    figures = "Figures, session.h5 and summary.json are" if _drawn(options.out) else "session.h5 is"
    console.print(f"{figures} in {options.out}.")


def _drawn(out: Path) -> bool:
    """Whether everything could be written, the summary as the last of it."""
    return (out / "summary.json").is_file()


def _thinking(decision_s: float | None) -> str:
    """What the thinking of the model counted."""
    if decision_s is None:
        return "A decision counted what it took here, so another run may decide otherwise."
    return f"A decision counted {decision_s:.2f} s, however long it took, so the same seed decides the same anywhere."
