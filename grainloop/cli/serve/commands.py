"""`grainloop serve`: the three services, each in a process of its own."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from grainloop.cli.extras import require_extras
from grainloop.cli.options import (
    EndpointOption,
    KeyOption,
    KeysOption,
    MapOption,
    PresetOption,
    SeedOption,
    SpeedOption,
    StdinOption,
    SyncOption,
    access,
    credentials,
)
from grainloop.cli.serve.observation import LogFileOption, LogJsonOption, LogLevelOption, MetricsOption, observed
from grainloop.cli.serve.stdout import own_stdout
from grainloop.protocols.endpoints import CONTROLLER_ENDPOINT, INSTRUMENT_ENDPOINT, MODEL_ENDPOINT, require_near
from grainloop.protocols.hosting.dead_man import DEAD_MAN_S
from grainloop.protocols.messages import Sync
from grainloop.protocols.observability.output import logging_beside
from grainloop.protocols.security import Credentials

SpoolOption = Annotated[
    Path | None,
    typer.Option(
        help="Folder that keeps what was exposed, for when this is started again; else ~/.grainloop/spool for a real "
        "instrument, and none for a simulated one.",
        metavar="FOLDER",
    ),
]
DeadManOption = Annotated[
    float,
    typer.Option(min=0, help="Blank the beam when the controller has been silent for so many seconds; 0 for never."),
]

serve = typer.Typer(name="serve", help="Run one of the three services until Ctrl-C.", no_args_is_help=True)


@serve.command("instrument")
def serve_instrument(
    driver: Annotated[str | None, typer.Option(help="Your driver, as module:object; else the simulator runs.")] = None,
    specimen: MapOption = "ti64",
    seed: SeedOption = 0,
    speed_up: SpeedOption = math.inf,
    preset: PresetOption = None,
    endpoint: EndpointOption = INSTRUMENT_ENDPOINT,
    spool: SpoolOption = None,
    dead_man: DeadManOption = DEAD_MAN_S,
    key: KeyOption = None,
    keys: KeysOption = None,
    log_level: LogLevelOption = "info",
    log_json: LogJsonOption = None,
    log_file: LogFileOption = None,
    metrics: MetricsOption = None,
    until_stdin_ends: StdinOption = False,
) -> None:
    """Serve an instrument: your driver, or a simulator with a real map as its specimen."""
    from grainloop.cli.serve import service as serving
    from grainloop.protocols.hosting.loading import load_driver

    if driver is None:
        require_extras("serve instrument without --driver", ("sim",))
    seen = observed("instrument", log_level, log_json, log_file, metrics)
    guard = access("instrument", endpoint, keys, key)
    with own_stdout() as out:
        device = load_driver(driver) if driver else serving.simulator(specimen, seed, speed_up, preset)
        hosted = serving.host(device, spool, dead_man, seen.metrics)
        serving.serve(seen, hosted.run, endpoint, until_stdin_ends, guard, out)


@serve.command("model")
def serve_model(
    endpoint: EndpointOption = MODEL_ENDPOINT,
    key: KeyOption = None,
    keys: KeysOption = None,
    log_level: LogLevelOption = "info",
    log_json: LogJsonOption = None,
    log_file: LogFileOption = None,
    metrics: MetricsOption = None,
    until_stdin_ends: StdinOption = False,
) -> None:
    """Serve the model: reconstruction, uncertainty, proposals."""
    from grainloop.cli.serve import service as serving

    seen = observed("model", log_level, log_json, log_file, metrics)
    guard = access("model", endpoint, keys, key)
    with own_stdout() as out:  # methods and policies may be other packages'
        from grainloop.cli.prepare import prepare_first_use
        from grainloop.model.service import run_model_service

        prepare_first_use()
        serving.serve(seen, partial(run_model_service, metrics=seen.metrics), endpoint, until_stdin_ends, guard, out)


@serve.command("controller")
def serve_controller(
    instrument: Annotated[str, typer.Option(help="Endpoint of the instrument service.")] = INSTRUMENT_ENDPOINT,
    model: Annotated[str, typer.Option(help="Endpoint of the model service.")] = MODEL_ENDPOINT,
    endpoint: EndpointOption = CONTROLLER_ENDPOINT,
    key: KeyOption = None,
    keys: KeysOption = None,
    instrument_key: Annotated[
        str | None, typer.Option(help="Public key of the instrument service, if it uses keys.", metavar="KEY")
    ] = None,
    model_key: Annotated[
        str | None, typer.Option(help="Public key of the model service, if it uses keys.", metavar="KEY")
    ] = None,
    local: Annotated[
        bool, typer.Option("--local", help="Ask nobody here for a key; --key then only opens the other services.")
    ] = False,
    sessions: Annotated[
        Path, typer.Option(help="Folder for sessions; with keys only owners may store elsewhere.")
    ] = Path(),
    sync: SyncOption = Sync.ALWAYS,
    log_level: LogLevelOption = "info",
    log_json: LogJsonOption = None,
    log_file: LogFileOption = None,
    metrics: MetricsOption = None,
    until_stdin_ends: StdinOption = False,
) -> None:
    """Serve the controller: runs plans against an instrument and a model."""
    from grainloop.cli.serve import service as serving

    seen = observed("controller", log_level, log_json, log_file, metrics)
    guard = access("controller", endpoint, keys, None if local else key)
    to_instrument = other_service("instrument", instrument, keys, key, instrument_key)
    to_model = other_service("model", model, keys, key, model_key)
    from grainloop.controller.serve import ControlService

    serving.warm_up_controller()
    control = ControlService(
        instrument,
        model,
        instrument_keys=to_instrument,
        model_keys=to_model,
        sessions=sessions.resolve(),
        sync=sync,
        metrics=seen.metrics,
        log_beside=logging_beside,
    )
    serving.serve(seen, control.run, endpoint, until_stdin_ends, guard)


def other_service(
    name: str, endpoint: str, keys: Path | None, own: str | None, public: str | None
) -> Credentials | None:
    """How the controller proves itself to another service; without keys only to one on this machine.

    Raises:
        BadInput: a key is missing.
        NotPermitted: the service is on another machine and its key is not given.
    """
    if public is None:
        require_near(endpoint, name, f"--{name}-key")
        return None
    return credentials(keys, own, public, f"--{name}-key")
