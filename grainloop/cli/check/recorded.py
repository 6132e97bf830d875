"""Checks of files: a session's journal and the session file made of it, and a map. Nothing is changed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from grainloop.cli.check.findings import Finding, State, bad, good, judge
from grainloop.protocols.errors import GrainloopError
from grainloop.protocols.sentences import counted


def session(path: Path) -> Iterator[Finding]:
    """A recorded run: every record of its journal, and its session file."""
    from grainloop.controller.record import JOURNAL_NAME, SESSION_NAME, folder_of

    folder = folder_of(path)
    yield from _journal(folder / JOURNAL_NAME, folder)
    yield _view(folder / SESSION_NAME if folder == path else path)


def _journal(journal: Path, folder: Path) -> Iterator[Finding]:
    from grainloop.controller.journal import Ended, PointsStored, read_journal

    what = f"journal of {folder}"
    try:
        found = read_journal(journal)
    except GrainloopError as error:
        yield bad(what, error.message, "Look for the session elsewhere: without a journal no run goes on.")
        return
    points = sum(len(entry.points) for entry in found.entries if isinstance(entry, PointsStored))
    ended = next((entry.reason for entry in reversed(found.entries) if isinstance(entry, Ended)), None)
    told = f"{counted(len(found.entries), 'record')}, {counted(points, 'point')}, " + (
        "not ended" if ended is None else str(ended)
    )
    yield judge(what, ended is not None, told, f"Go on with it: grainloop resume {folder}.", State.WARN)
    for damage in found.damage:
        cut = "The next writer cuts it off; nothing that counted is lost."
        do = cut if found.torn else "Copy the folder, then run grainloop repair."
        yield Finding(what, State.WARN if found.torn else State.FAIL, damage, do)


def _view(file: Path) -> Finding:
    from grainloop.controller.session import load_session

    what = f"session file {file}"
    try:
        return good(what, f"{counted(len(load_session(file).points), 'point')} can be read")
    except (GrainloopError, OSError) as error:
        return bad(what, str(error), f"Make it again from the journal: grainloop repair {file.parent}.")


def map_file(name: str) -> Iterator[Finding]:
    """A map, as the simulated instrument would load it."""
    from grainloop.instrument_sim.specimens.named import load_specimen

    found = load_specimen(name)
    height, width = found.shape_px
    phases = ", ".join(f"{phase.name} ({phase.laue_group})" for phase in found.phases)
    yield good(f"map {name}", f"{height} × {width} px, {phases}, {found.indexed.mean():.1%} indexed")
