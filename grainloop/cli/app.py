"""The command `grainloop`: the names of its commands and what they are for, known without loading what they do.

Loading all of them takes several times as long as telling their names.
"""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

COMMANDS = {
    "demo": "Measure a real map adaptively with a simulated instrument, and compare with a coarse grid.",
    "reconstruct": "Reconstruct one map from some of its points and PL, and compare with the map itself.",
    "train": "Train the model on synthetic specimens. Ctrl-C saves; --resume goes on.",
    "plan": "Say whether adaptive acquisition pays for a map, an instrument and this computer, and by how much.",
    "check": "Gather all that is wrong: machine, packages, weights, keys, services, session; exit code 1 if anything "
    "fails.",
    "logs": "Show log lines: readable, chosen by what they are about, several files merged by time.",
    "run": "Run a plan with the services that are running already. Ctrl-C stops it cleanly.",
    "watch": "Follow the run that goes on until it ends; Ctrl-C ends the watching alone.",
    "status": "Say where the run stands.",
    "resume": "Go on after `pause`; with a session, go on with that run after its controller died.",
    "pause": "Send no more batches until `resume`.",
    "stop": "Finish the batch being measured, reconstruct, and end the run.",
    "abort": "End the run now: park the instrument, keep every point.",
    "replay": "Decide a recorded run again from its journal, compared byte for byte; exit code 3 if a decision "
    "differs.",
    "diff": "Name the first decision in which two recorded runs differ, and why; exit code 3 if there is one.",
    "repair": "Mend a damaged journal by what session.h5 holds, and make session.h5 again from it; old files are kept.",
    "serve": "Run one of the three services until Ctrl-C.",
    "keys": "Make keys, and say whose keys may ask the services of this machine.",
    "bench": "Measure how good reconstruction and acquisition are.",
}
"""Name → the first paragraph of its help; a test holds it against `commands`."""


@cache
def _loaded() -> dict[str, Any]:
    from grainloop.cli.commands import app as full

    group: Any = typer.main.get_command(full)
    return group.commands


class _Listed(TyperGroup):
    """Tells of commands from the table, and loads them when one is called."""

    _telling = False

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        for name, says in COMMANDS.items():
            self.add_command(TyperCommand(name, help=says))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if self._telling or cmd_name not in COMMANDS:
            return super().get_command(ctx, cmd_name)
        return _loaded()[cmd_name]

    def format_help(self, ctx: Any, formatter: Any) -> None:
        self._telling = True
        super().format_help(ctx, formatter)
        self._telling = False


app = typer.Typer(
    name="grainloop",
    cls=_Listed,
    help="Adaptive EBSD acquisition with polarized light: fewer scan points, honest uncertainty, nothing lost.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


def _version(asked: bool) -> None:
    if asked:
        from grainloop.protocols.version import grainloop_version

        typer.echo(f"grainloop {grainloop_version()}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None: ...
