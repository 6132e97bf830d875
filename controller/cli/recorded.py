"""Commands on sessions that were recorded, without any service: replay, diff, repair."""

from __future__ import annotations

import json as jsonlib
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from controller.cli.options import JsonOption
from protocols.errors import BadInput

_DIFFERS = 3
"""Exit code where decisions differ; 1 is for sessions that cannot be read."""
SessionArgument = Annotated[Path, typer.Argument(help="Folder of a session, or its session.h5.", show_default=False)]


def add_recorded(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    for command in (replay, diff, repair):
        app.command()(command)


def replay(
    session: SessionArgument,
    policy: Annotated[str | None, typer.Option(help="Decide anew by this policy.")] = None,
    model: Annotated[
        str | None, typer.Option(help="Decide anew by this method, by `classical`, or by a folder of weights.")
    ] = None,
    budget: Annotated[float | None, typer.Option(help="Decide anew with this share of the pixels.")] = None,
    truth: Annotated[
        str | None, typer.Option(help="Map file or specimen that answers what was not recorded, and scores both.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the session that is decided anew, and figures.")] = None,
    json: JsonOption = False,
) -> None:
    """Decide a recorded run again from its journal, compared byte for byte; exit code 3 if a decision differs.

    With --policy, --model, --budget or --truth it is decided anew on the recorded points, and both runs are compared.
    """
    if any(one is not None for one in (policy, model, budget, truth)):
        from controller.cli.redecide import RedecideOptions, run_redecide

        options = RedecideOptions(policy, model, budget, truth, out, json)
        run_redecide(_entries(session, quiet=json), options)
    elif out is not None:
        raise BadInput("--out needs --policy, --model, --budget or --truth: else nothing is decided anew.", field="out")
    else:
        _verify(session, json)


def _verify(session: Path, json: bool) -> None:
    from controller.replay import replay as decide_again

    found = decide_again(_entries(session, quiet=json))
    if json:
        told = {"decisions": found.decisions, "difference": None, "points": len(found.core.ledger.points)}
        told |= {"difference": asdict(found.difference)} if found.difference else {}
        typer.echo(jsonlib.dumps(told | {"notes": found.notes}, indent=2))
    else:
        for note in found.notes:
            typer.echo(note, err=True)
        points = len(found.core.ledger.points)
        typer.echo(
            f"{found.decisions} decisions were made again, byte for byte as recorded; {points} points."
            if found.difference is None
            else str(found.difference)
        )
    raise typer.Exit(0 if found.difference is None else _DIFFERS)


def diff(first: SessionArgument, second: SessionArgument, json: JsonOption = False) -> None:
    """Name the first decision in which two recorded runs differ, and why; exit code 3 if there is one."""
    from controller.comparing import compare

    apart = compare(_entries(first, quiet=json), _entries(second, quiet=json))
    if json:
        typer.echo(jsonlib.dumps(asdict(apart), indent=2))
    elif apart.decision is None:
        typer.echo("All decisions are the same.")
        for why in apart.why:
            typer.echo(f"  {why}")
    else:
        typer.echo(f"Decision {apart.decision} is the first that differs; {apart.field}.")
        for why in apart.why:
            typer.echo(f"  {why}")
    raise typer.Exit(0 if apart.decision is None else _DIFFERS)


def repair(session: SessionArgument) -> None:
    """Make session.h5 again from the journal beside it; the old file is kept as session.h5.broken."""
    from controller.journal.view import repair as make_again

    folder, file = _folder(session)
    points, damage = make_again(folder, file)
    for one in damage:
        typer.echo(one, err=True)
    typer.echo(f"{file} was made again from the journal: {points} points.")


def _folder(session: Path) -> tuple[Path, Path]:
    """Folder of the journal of a session, and its session file."""
    from controller.recording import JOURNAL_NAME, SESSION_NAME, folder_of

    at = folder_of(session)
    return at / JOURNAL_NAME, at / SESSION_NAME if at == session else session


def _entries(session: Path, *, quiet: bool) -> tuple[Any, ...]:
    """The entries of a session's journal; damage is told on stderr."""
    from controller.journal.reading import read_journal

    found = read_journal(_folder(session)[0])
    if not quiet:
        for one in found.damage:
            typer.echo(one, err=True)
    return found.entries
