"""What the commands do that talk to a controller: ask, follow, and tell."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from grainloop.cli.folders import drawing
from grainloop.cli.operate.progress import show_events, show_lines
from grainloop.protocols.aio import Client, expect, run
from grainloop.protocols.endpoints import is_near
from grainloop.protocols.errors import Unavailable
from grainloop.protocols.messages import (
    Accepted,
    CheckHealth,
    Command,
    ControlReply,
    FollowRun,
    GetStatus,
    ResumeRequest,
    RunCommand,
    RunEvent,
    RunFinished,
    RunRequest,
    RunStatus,
    Sync,
)
from grainloop.protocols.plan import RunPlan
from grainloop.protocols.rpc.heartbeat import CLIENT_HEARTBEAT, Heartbeat
from grainloop.protocols.security import Credentials
from grainloop.protocols.sentences import counted, duration
from grainloop.protocols.states import FinishReason, RunState

_FIRST_WORD_S = 3.0
_PATIENCE_S = 30.0
_STOPPING = (
    "Stopping: what is being measured is finished and the map made. Ctrl-C again waits no longer; the run ends anyway."
)
_LONGEST_RUN_S = 30 * 24 * 3600.0


@dataclass(frozen=True)
class Controller:
    """Where a controller is, and how to prove oneself to it."""

    endpoint: str
    credentials: Credentials | None = None

    @property
    def here(self) -> bool:
        """Whether its files are this machine's, as far as the endpoint tells."""
        return is_near(self.endpoint)


def run_plan(
    plan_file: Path | None,
    controller: Controller,
    out: Path,
    json: bool,
    shape: str | None = None,
    *,
    real_time: bool = False,
) -> int:
    """Run a plan, with another `shape` than it says where one is given, or in real time; returns the exit code."""
    from grainloop.controller.plans import load_plan  # here, because it brings numba: other words need none

    plan = RunPlan() if plan_file is None else load_plan(plan_file)
    plan = plan if shape is None else plan.model_copy(update={"shape": str(shape)})
    plan = plan.model_copy(update={"real_time": True, "decision_s": None}) if real_time else plan
    request = RunRequest(plan=plan, session_dir=str(out.resolve() if controller.here else out))
    finished = run(_run_request(request, controller, json))
    code = _tell_end(finished, json)
    if controller.here and Path(finished.session_file).is_file():
        _draw(Path(finished.session_file), out)
    return code


def resume_run(session: Path, controller: Controller, json: bool) -> int:
    """Go on with a recorded run whose controller died; returns the exit code."""
    from grainloop.controller.record import folder_of  # here, because it brings h5py

    folder = folder_of(session)
    request = ResumeRequest(session_dir=str(folder.resolve() if controller.here else folder))
    finished = run(_run_request(request, controller, json))
    code = _tell_end(finished, json)
    if controller.here and Path(finished.session_file).is_file():
        _draw(Path(finished.session_file), folder)
    return code


def watch_run(controller: Controller, json: bool) -> int:
    """Follow a run to its end, as JSON a line per event and one for its end; returns the exit code."""
    try:
        return _tell_end(run(_watch(controller, json)), json, indent=None)
    except KeyboardInterrupt:
        return 0


def show_status(controller: Controller, json: bool) -> None:
    """Print where the run stands."""
    status = expect(run(_ask(controller, GetStatus())), RunStatus, "controller")
    if json:
        typer.echo(status.model_dump_json(indent=2))
        return
    typer.echo(f"The run is {status.state}.")
    if status.sync is Sync.NEVER:
        typer.echo("Its records are not synced to disk: a power failure may cost the newest.")
    if status.session is not None:
        typer.echo(f"It is stored in {status.session}.")
    if (last := status.last) is not None:
        typer.echo(f"{_so_far(last, status.state)}; last event: {last.text}")


def _so_far(last: RunEvent, state: RunState) -> str:
    """Points, predicted share and, while there is more to come, what that takes by the points that were measured."""
    said = [f"{last.points_measured} of at most {counted(last.points_budget, 'point')}"]
    if last.predicted_wrong is not None:
        said.append(f"predicted wrong: {last.predicted_wrong:.1%}")
    left = last.points_budget - last.points_measured
    if left > 0 and last.points_measured and last.instrument_s and state is not RunState.FINISHED:
        left_s = last.instrument_s / last.points_measured * left
        said.append(f"at most about {duration(left_s)} of instrument time to go")
    return ", ".join(said)


def send_command(controller: Controller, word: str) -> None:
    """Say one word to the run."""
    accepted = expect(run(_ask(controller, Command(command=RunCommand(word)))), Accepted, "controller")
    typer.echo(f"The run is {accepted.state}.")


def _tell_end(finished: RunFinished, json: bool, indent: int | None = 2) -> int:
    if json:
        typer.echo(finished.model_dump_json(indent=indent))
    else:
        typer.echo(f"The run has {finished.reason}: {finished.detail}")
        typer.echo(f"{counted(finished.points_measured, 'point')} in {finished.session_file}")
    return 0 if finished.reason in (FinishReason.COMPLETED, FinishReason.STOPPED) else 1


async def _run_request(request: RunRequest | ResumeRequest, controller: Controller, json: bool) -> RunFinished:
    async with _connected(controller) as client:
        with show_events(quiet=json) as heard:
            running = asyncio.create_task(client.request(request, deadline_s=_LONGEST_RUN_S, on_progress=heard))
            try:
                return await asyncio.shield(running)
            except asyncio.CancelledError:
                typer.echo(_STOPPING, err=True)
                await client.request(Command(command=RunCommand.STOP), deadline_s=_PATIENCE_S)
                return await running


async def _watch(controller: Controller, json: bool) -> RunFinished:
    async with _connected(controller) as client:
        with show_lines() if json else show_events() as heard:
            return await client.request(FollowRun(), deadline_s=_LONGEST_RUN_S, on_progress=heard)


async def _ask(controller: Controller, message: GetStatus | Command) -> Any:
    async with _connected(controller) as client:
        return await client.request(message, deadline_s=_PATIENCE_S)


@asynccontextmanager
async def _connected(controller: Controller) -> AsyncGenerator[Client]:
    """A connection to a controller that has answered once; says quickly when there is none."""
    impatient = Heartbeat(interval_s=_FIRST_WORD_S / 3, silence_s=_FIRST_WORD_S)
    async with _client(controller, impatient) as client:
        try:
            await client.request(GetStatus(), deadline_s=_FIRST_WORD_S)
        except Unavailable as error:
            hint = "start it with: grainloop serve controller"
            message = f"No controller service answers at {controller.endpoint}; {hint}."
            raise Unavailable(message, field="controller", value=controller.endpoint) from error
    async with _client(controller, CLIENT_HEARTBEAT) as client:
        await client.request(CheckHealth(), deadline_s=_PATIENCE_S)
        yield client


def _client(controller: Controller, heartbeat: Heartbeat) -> Client:
    return Client(
        controller.endpoint,
        ControlReply,
        service="controller",
        heartbeat=heartbeat,
        credentials=controller.credentials,
    )


def _draw(session: Path, out: Path) -> None:
    from grainloop.controller.figures import write_figures
    from grainloop.controller.session import load_session

    with drawing(out, session):
        write_figures(load_session(session), out)
