"""Commands that talk to a controller which is running already: run, watch, status, pause, resume, stop, abort."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from grainloop.cli.options import (
    ControllerOption,
    JsonOption,
    KeyOption,
    KeysOption,
    RealTimeOption,
    ServerKeyOption,
    ShapeOption,
    credentials,
)
from grainloop.protocols.endpoints import CONTROLLER_ENDPOINT

_WORDS = {
    "pause": "Send no more batches until `resume`.",
    "stop": "Finish the batch being measured, reconstruct, and end the run.",
    "abort": "End the run now: park the instrument, keep every point.",
}


def add_operating(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    for command in (run, watch, status, resume):
        app.command()(command)
    for word, says in _WORDS.items():
        app.command(word, help=says)(_word(word))


def run(
    plan: Annotated[Path | None, typer.Option(help="Plan as TOML; else the default plan.")] = None,
    controller: ControllerOption = CONTROLLER_ENDPOINT,
    out: Annotated[
        Path, typer.Option(help="Folder for session and figures; of a controller elsewhere: within its sessions.")
    ] = Path("run-output"),
    shape: ShapeOption = None,
    real_time: RealTimeOption = False,
    json: JsonOption = False,
    key: KeyOption = None,
    server_key: ServerKeyOption = None,
    keys: KeysOption = None,
) -> None:
    """Run a plan with the services that are running already. Ctrl-C stops it cleanly."""
    from grainloop.cli.operate.conversation import Controller, run_plan

    at = Controller(controller, credentials(keys, key, server_key))
    raise typer.Exit(run_plan(plan, at, out, json, shape, real_time=real_time))


def watch(
    controller: ControllerOption = CONTROLLER_ENDPOINT,
    json: JsonOption = False,
    key: KeyOption = None,
    server_key: ServerKeyOption = None,
    keys: KeysOption = None,
) -> None:
    """Follow the run that goes on until it ends; Ctrl-C ends the watching alone."""
    from grainloop.cli.operate.conversation import Controller, watch_run

    raise typer.Exit(watch_run(Controller(controller, credentials(keys, key, server_key)), json))


def status(
    controller: ControllerOption = CONTROLLER_ENDPOINT,
    json: JsonOption = False,
    key: KeyOption = None,
    server_key: ServerKeyOption = None,
    keys: KeysOption = None,
) -> None:
    """Say where the run stands."""
    from grainloop.cli.operate.conversation import Controller, show_status

    show_status(Controller(controller, credentials(keys, key, server_key)), json)


def resume(
    session: Annotated[
        Path | None, typer.Argument(help="Folder of a recorded run whose controller died.", show_default=False)
    ] = None,
    controller: ControllerOption = CONTROLLER_ENDPOINT,
    json: JsonOption = False,
    key: KeyOption = None,
    server_key: ServerKeyOption = None,
    keys: KeysOption = None,
) -> None:
    """Go on after `pause`; with a session, go on with that run after its controller died."""
    if session is None:
        _command("resume", controller, keys, key, server_key)
        return
    from grainloop.cli.operate.conversation import Controller, resume_run

    raise typer.Exit(resume_run(session, Controller(controller, credentials(keys, key, server_key)), json))


def _word(word: str) -> Callable[..., None]:
    """The command that says one word to the run."""

    def command(
        controller: ControllerOption = CONTROLLER_ENDPOINT,
        key: KeyOption = None,
        server_key: ServerKeyOption = None,
        keys: KeysOption = None,
    ) -> None:
        _command(word, controller, keys, key, server_key)

    return command


def _command(word: str, controller: str, keys: Path | None, key: str | None, server_key: str | None) -> None:
    from grainloop.cli.operate.conversation import Controller, send_command

    send_command(Controller(controller, credentials(keys, key, server_key)), word)
