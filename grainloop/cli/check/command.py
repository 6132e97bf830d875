"""The command `grainloop check`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from grainloop.cli.options import JsonOption, KeyOption, KeysOption


def check(
    instrument: Annotated[str | None, typer.Option(help="Endpoint of the instrument service.")] = None,
    model: Annotated[str | None, typer.Option(help="Endpoint of the model service.")] = None,
    controller: Annotated[str | None, typer.Option(help="Endpoint of the controller service.")] = None,
    session: Annotated[Path | None, typer.Option(help="Also look at this recorded run.")] = None,
    specimen: Annotated[str | None, typer.Option("--map", help="Also look at this map file or specimen.")] = None,
    out: Annotated[Path, typer.Option(help="Folder that sessions will be stored in.")] = Path(),
    json: JsonOption = False,
    key: KeyOption = None,
    instrument_key: Annotated[
        str | None, typer.Option(help="Public key of the instrument service.", metavar="KEY")
    ] = None,
    model_key: Annotated[str | None, typer.Option(help="Public key of the model service.", metavar="KEY")] = None,
    controller_key: Annotated[
        str | None, typer.Option(help="Public key of the controller service.", metavar="KEY")
    ] = None,
    keys: KeysOption = None,
    prepare: Annotated[
        bool, typer.Option("--prepare", help="Only compile what a run computes with, so that its first use is quick.")
    ] = False,
) -> None:
    """Gather all that is wrong: machine, packages, weights, keys, services, session; exit code 1 if anything fails."""
    if prepare:
        from grainloop.cli.check.preparation import prepare_now

        raise typer.Exit(0 if prepare_now(json=json) else 1)
    from grainloop.cli.check.everything import CheckOptions, check_everything

    endpoints = {"instrument": instrument, "model": model, "controller": controller}
    server_keys = {"instrument": instrument_key, "model": model_key, "controller": controller_key}
    options = CheckOptions(endpoints, server_keys, keys, key, out, session, specimen)
    raise typer.Exit(0 if check_everything(options, json=json) else 1)
