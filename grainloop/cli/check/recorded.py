"""Checks of files: a session's journal and the session file made of it, and a map. Nothing is changed."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from grainloop.cli.check.findings import Finding, State, bad, good, judge
from grainloop.protocols.errors import GrainloopError
from grainloop.protocols.sentences import counted

if TYPE_CHECKING:
    from grainloop.controller.record import Apart

_UNITE: Final = "Put together what both hold: grainloop repair"


def session(path: Path) -> Iterator[Finding]:
    """A recorded run: every record of its journal, and its session file."""
    from grainloop.controller.record import JOURNAL_NAME, SESSION_NAME, folder_of

    folder = folder_of(path)
    file = folder / SESSION_NAME if folder == path else path
    held = yield from _journal(folder / JOURNAL_NAME, folder, file)
    yield _view(file)
    if held is not None:
        yield from _both(folder, held)


def _journal(journal: Path, folder: Path, file: Path) -> Generator[Finding, None, Apart | None]:
    """Findings; returns how the session file differs, nothing where one of the two cannot be read."""
    from grainloop.controller.journal import Ended, count_points, read_journal
    from grainloop.controller.record import apart, held_in

    what = f"journal of {folder}"
    try:
        found = read_journal(journal)
    except GrainloopError as error:
        yield bad(what, error.message, "Look for the session elsewhere: without a journal no run goes on.")
        return None
    stored = held_in(file)
    held = None if stored is None else apart(stored, found.entries, file)
    points = count_points(found.entries)
    ended = next((entry.reason for entry in reversed(found.entries) if isinstance(entry, Ended)), None)
    told = f"{counted(len(found.entries), 'record')}, {counted(points, 'point')}, " + (
        "not ended" if ended is None else str(ended)
    )
    more = held is not None and held.more
    go_on = f"{_UNITE} {folder}." if more else f"Go on with it: grainloop resume {folder}."
    yield judge(what, ended is not None, told, go_on, State.WARN)
    for damage in found.damage:
        do = _torn_words(held, folder, file.name) if found.torn else "Copy the folder, then run grainloop repair."
        yield Finding(what, State.WARN if found.torn else State.FAIL, damage, do)
    return held


def _torn_words(held: Apart | None, folder: Path, name: str) -> str:
    """What becomes of a torn end; that nothing is lost with it only where the session file shows so."""
    if held is None:
        return f"The next writer moves it aside; whether points are lost with it is unknown: {name} cannot be read."
    if held.more:
        return f"{_UNITE} {folder}."
    return f"The next writer moves it aside; {name} holds no point that the journal lacks."


def _both(folder: Path, held: Apart) -> Iterator[Finding]:
    """Whether journal and session file hold the same points."""
    what = f"points of {folder}"
    told = f"{held.session} holds {held.held:,} points, the journal {held.recorded:,}"
    if held.more:
        yield Finding(what, State.WARN, f"{told}; {held.alone}", f"{_UNITE} {folder}.")
    if held.behind:
        do = f"Make it again from the journal: grainloop repair {folder}."
        yield Finding(what, State.WARN, f"{told}; {held.behind:,} are in the journal alone", do)


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
