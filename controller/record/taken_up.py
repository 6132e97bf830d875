"""What a recording that is taken up again begins with: its decisions made anew, and a view of journal and session file.

Going on to record is the business of `controller.record.recording`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from grainloop.controller.journal import ADVICE, Began, Entry, PointsStored, Replayed, read_journal, replay
from grainloop.controller.record.union import apart
from grainloop.controller.session import HeldPoints, replace_view
from grainloop.protocols.errors import BadInput
from grainloop.protocols.states import FinishReason


def view_replaced(began: Began, entries: Sequence[Entry], held: HeldPoints | None, path: Path) -> str:
    """Make the view again; a sentence where the old one was kept for what only that holds."""
    said = None if held is None else apart(held, entries, path)
    kept = replace_view(began, entries, path, keep=said is None or said.more)
    if kept is None:
        return ""
    what = f"{path.name} could not be read" if said is None else said.words
    return f"{what}; the old file is kept as {kept.name}."


def united_words(back: Sequence[PointsStored], kept: str, name: str) -> str:
    """What was put back from the session file of this name, and what was kept of it, in sentences."""
    count = sum(len(entry.points) for entry in back)
    put = f"{count:,} points that only {name} held were put back into the journal." if count else ""
    return " ".join(one for one in (put, kept) if one)


def decided_again(folder: Path, path: Path) -> tuple[Sequence[Entry], Replayed]:
    """What a journal holds, and the run as far as that goes.

    Raises:
        BadInput: it is damaged, decided otherwise, or tells of a run that was completed.
    """
    read = read_journal(folder)
    if read.damage:
        raise BadInput(f"{read.damage[0]} {ADVICE}", field="session", value=folder)
    found = replay(read.entries)
    if found.difference is not None:
        raise BadInput(f"The run in {path.parent} cannot be gone on with. {found.difference}", field="session")
    if found.ended is not None and found.ended.reason is FinishReason.COMPLETED:
        message = f"The run in {path.parent} was completed: {found.ended.detail}."
        raise BadInput(message, field="session", value=path.parent)
    return read.entries, found
