"""Commands on sessions that were recorded, without any service: replay, diff, repair."""

from __future__ import annotations

import json as jsonlib
import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from grainloop.cli.extras import require_extras
from grainloop.cli.options import JsonOption, KeyOption, KeysOption, StdinOption, access
from grainloop.protocols.endpoints import CONTROLLER_ENDPOINT
from grainloop.protocols.errors import BadInput
from grainloop.protocols.security import Access
from grainloop.protocols.sentences import counted

if TYPE_CHECKING:
    from grainloop.controller.journal import Item
    from grainloop.controller.record import Apart

_DIFFERS = 3
"""Exit code where decisions differ; 1 is for sessions that cannot be read, or have lost what would tell."""
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
    speed: Annotated[
        str | None,
        typer.Option(help="Tell its events to whoever follows, so many times as fast as the instrument; or `max`."),
    ] = None,
    bind: Annotated[str, typer.Option(help="With --speed: where to listen.")] = CONTROLLER_ENDPOINT,
    key: KeyOption = None,
    keys: KeysOption = None,
    until_stdin_ends: StdinOption = False,
    json: JsonOption = False,
) -> None:
    """Decide a recorded run again from its journal, compared byte for byte; exit code 3 if a decision differs.

    With --policy, --model, --budget or --truth it is decided anew on the recorded points, and both runs are compared.
    With --speed its events are told as if it went on, until Ctrl-C: `grainloop watch` follows.
    """
    anew = any(one is not None for one in (policy, model, budget, truth))
    if speed is not None:
        if anew or out is not None:
            raise BadInput("--speed tells a run as it is; it goes with --bind, --key and --keys alone.", field="speed")
        guard = access("controller", bind, keys, key)
        _retell(session, _factor(speed), bind, guard, until_stdin_ends)
    elif anew:
        require_extras("replay that decides anew", ("controller", "model"))
        from grainloop.cli.recorded.redecide import RedecideOptions, run_redecide

        options = RedecideOptions(policy, model, budget, truth, out, json)
        run_redecide(_entries(session, quiet=json), options)
    elif out is not None:
        raise BadInput("--out needs --policy, --model, --budget or --truth: else nothing is decided anew.", field="out")
    else:
        _verify(session, json)


def _factor(speed: str) -> float:
    try:
        factor = math.inf if speed == "max" else float(speed)
    except ValueError:
        factor = 0.0
    if not factor > 0:
        raise BadInput(f"--speed {speed} cannot be used: give a factor above 0, or max.", field="speed", value=speed)
    return factor


def _retell(session: Path, factor: float, bind: str, guard: Access | None, until_stdin_ends: bool) -> None:
    from grainloop.cli.serve import service as serving
    from grainloop.cli.serve.observation import observed
    from grainloop.controller.recorded import Retelling

    seen = observed("controller", "warning", None, None, None)
    told = Retelling(_entries(session, quiet=False), str(_folder(session)[1]), factor, seen.metrics)
    serving.serve(seen, told.run, bind, until_stdin_ends, guard)


def _verify(session: Path, json: bool) -> None:
    from grainloop.controller.journal import replay as decide_again

    found = decide_again(_entries(session, quiet=json))
    if json:
        told = {"decisions": found.decisions, "difference": None, "points": len(found.decider.ledger.points)}
        told |= {"difference": asdict(found.difference)} if found.difference else {}
        told |= {"unknown": found.unknown or None, "notes": found.notes}
        typer.echo(jsonlib.dumps(told, indent=2))
    else:
        for note in found.notes:
            typer.echo(note, err=True)
        points = len(found.decider.ledger.points)
        made = counted(found.decisions, "decision was", "decisions were")
        again = f"{made} made again, byte for byte as recorded; {counted(points, 'point')}."
        typer.echo(again if found.difference is None else str(found.difference))
        if found.unknown:
            typer.echo(found.unknown)
    raise typer.Exit(_exit_code(differs=found.difference is not None, unknown=bool(found.unknown)))


def _exit_code(*, differs: bool, unknown: bool) -> int:
    return _DIFFERS if differs else int(unknown)


def diff(first: SessionArgument, second: SessionArgument, json: JsonOption = False) -> None:
    """Name the first decision in which two recorded runs differ, and why; exit code 3 if there is one.

    A correction of a drift is a decision too.
    """
    from grainloop.controller.recorded import compare

    (one, damage), (other, more) = (_entries_and_damage(session, quiet=json) for session in (first, second))
    apart, damage = compare(one, other), [*damage, *more]
    if json:
        typer.echo(jsonlib.dumps(asdict(apart) | {"damage": damage}, indent=2))
    else:
        typer.echo(apart.words)
        for why in (*apart.lost, *apart.why):
            typer.echo(f"  {why}")
    raise typer.Exit(_exit_code(differs=apart.decision is not None, unknown=bool(apart.lost)))


def repair(session: SessionArgument) -> None:
    """Mend a damaged journal by what session.h5 holds, and make session.h5 again from it; old files are kept."""
    from grainloop.controller.record import repair as mend_both

    folder, file = _folder(session)
    found, points, kept = mend_both(folder, file)
    for one in found.damage:
        typer.echo(one, err=True)
    if found.whole:
        back = f"{counted(found.back, 'record')} put back"
        typer.echo(f"The journal was written anew, {back}: the run can be gone on with.")
        if found.doubt:
            typer.echo(found.doubt)
    elif found.why:
        typer.echo(f"The journal stays as it is: what was lost decides how the run goes on. {found.why}")
    typer.echo(f"{file} was made again from the journal: {counted(points, 'point')}.")
    if kept is not None:
        typer.echo(_kept_words(found.left, file.name, kept.name))


def _kept_words(left: Apart | None, name: str, kept: str) -> str:
    if left is None:
        return f"The old {name} could not be read; it is kept as {kept}."
    if left.more:
        return f"{left.words}: the old file is kept as {kept}."
    return f"The old {name} is kept as {kept}."


def _folder(session: Path) -> tuple[Path, Path]:
    """Folder of the journal of a session, and its session file."""
    from grainloop.controller.record import JOURNAL_NAME, SESSION_NAME, folder_of

    at = folder_of(session)
    return at / JOURNAL_NAME, at / SESSION_NAME if at == session else session


def _entries(session: Path, *, quiet: bool) -> tuple[Item, ...]:
    """The entries of a session's journal, with `Missing` where records are lost; damage is told on stderr."""
    return _entries_and_damage(session, quiet=quiet)[0]


def _entries_and_damage(session: Path, *, quiet: bool) -> tuple[tuple[Item, ...], tuple[str, ...]]:
    from grainloop.controller.journal import read_journal

    found = read_journal(_folder(session)[0])
    if not quiet:
        for one in found.damage:
            typer.echo(one, err=True)
    return found.with_gaps, found.damage
