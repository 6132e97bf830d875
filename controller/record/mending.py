"""A journal that lost records in its middle: what `session.h5` still holds of them is put back where it was.

Points, ends of batches, PL, the beginning, events, corrections of a drift and questions can be put back; decisions and
answers cannot (`controller.record.filling`). The run can be gone on with where everything is decided again as recorded.
The damaged files are kept, and so is a session file that holds more (`controller.record.union`).
"""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from grainloop.controller.journal import SUFFIX, Entry, Found, Item, journal_files, locked, read_journal, replay
from grainloop.controller.journal import entries as of
from grainloop.controller.record.filling import fill, is_a, last_place
from grainloop.controller.record.union import Apart, all_behind, apart, held_in, put_behind
from grainloop.controller.session import HeldPoints, Session, load_session, remake
from grainloop.protocols.errors import BadInput
from grainloop.protocols.record_file import RecordFile, keep_aside, sync_folder
from grainloop.protocols.records import record_bytes

DAMAGED: Final = ".damaged"
_NEW: Final = ".mended"


@dataclass(frozen=True)
class Mended:
    """What became of a journal.

    Attributes:
        entries: that it held, and those that were put back.
        damage: one sentence per damage.
        back: how many entries were put back.
        whole: it was written anew, and the run can be gone on with; else it was left as it is.
        why: it was not written anew, in a sentence; empty where nothing had to be mended.
        doubt: what cannot be known although it was written anew, in a sentence.
        left: what the session file holds more than the entries; nothing where that cannot be read.
    """

    entries: tuple[Entry, ...]
    damage: tuple[str, ...]
    back: int = 0
    whole: bool = False
    why: str = ""
    doubt: str = ""
    left: Apart | None = None


class Repaired(NamedTuple):
    """A journal mended and its view made again.

    Attributes:
        mended: what became of the journal.
        points: in the view.
        kept: the session file that was there, under its new name, if there was one.
    """

    mended: Mended
    points: int
    kept: Path | None


def repair(journal: Path, session: Path) -> Repaired:
    """Mend a journal, and make the session file again; nobody writes either meanwhile, and both old files are kept.

    Raises:
        BadInput: as `mend`, or the session file cannot be made again.
    """
    with _alone(journal):
        found = _mended(journal, session)
        points, kept = remake(found.entries, session)
    return Repaired(found, points, kept)


def mend(journal: Path, session: Path) -> Mended:
    """Put back what a journal lost, and write it anew where the run can then be gone on with.

    A tail that was torn by the death of the writer is no damage, unless the session file holds points that were behind
    it: who goes on cuts it.

    Args:
        journal: folder of the journal.
        session: the session file beside it, perhaps broken or missing.

    Raises:
        BadInput: there is no journal, another process writes it, its beginning is lost, or it cannot be written.
    """
    with _alone(journal):
        return _mended(journal, session)


@contextmanager
def _alone(journal: Path) -> Generator[None]:
    if not journal_files(journal):
        raise BadInput(f"There is no journal in {journal}.", field="session", value=journal)
    lock = locked(journal)
    try:
        yield
    finally:
        lock.release()


def _mended(journal: Path, session: Path) -> Mended:
    found, stored, held = read_journal(journal), _stored(session), held_in(session)
    damaged = bool(found.damage) and not found.torn
    items = _once(found.with_gaps)
    if damaged:
        fill(items, stored, None if held is None else held.once())
    entries = tuple(item for item in items if not isinstance(item, of.Missing))
    if not any(isinstance(entry, of.Began) for entry in entries):
        raise _headless(journal, session, found, held)
    why = _why_not_whole(items) if damaged else ""
    behind = all_behind(entries, held) if why else put_behind(entries, held)
    entries = (*entries, *behind)
    back, left = len(entries) - len(found.entries), None if held is None else apart(held, entries, session)
    if why or not (damaged or behind):
        return Mended(entries, found.damage, max(0, back), why=why, left=left)
    _write_anew(journal, entries)
    doubt = _doubt(items, found) if damaged and stored is None else ""
    doubt = doubt and f"{session.name} is lost as well: {doubt}"
    return Mended(entries, found.damage, max(0, back), whole=True, doubt=doubt, left=left)


def _headless(journal: Path, session: Path, found: Found, held: HeldPoints | None) -> BadInput:
    why = found.damage[0] if found.damage else "it is empty."
    stays = "" if held is None else f" {session.name} holds {len(held.points):,} points and stays as it is."
    message = f"The beginning of the journal in {journal} is lost, in {session.name} too: {why}{stays}"
    return BadInput(message, field="session", value=journal)


def _once(items: Sequence[Item]) -> list[Item]:
    """The items with each point where it stands first."""
    seen, kept = set[int](), list[Item]()
    for item in items:
        if isinstance(item, of.PointsStored):
            numbers = item.points.point_id.tolist()
            fresh = np.array([number not in seen for number in numbers], np.bool_)
            seen.update(numbers)
            if not fresh.all():
                item = item.model_copy(update={"points": item.points.select(fresh)})
                if not fresh.any():
                    continue
        kept.append(item)
    return kept


def _stored(session: Path) -> Session | None:
    try:
        return load_session(session)
    except BadInput:
        return None


def _why_not_whole(items: Sequence[Item]) -> str:
    """Why the run cannot be gone on with; nothing where it can."""
    try:
        again = replay(items)
    except BadInput as error:
        return str(error)
    return " ".join(str(one) for one in (again.difference, again.unknown, *again.notes) if one)


def _doubt(items: Sequence[Item], found: Found) -> str:
    """What lost records behind the last decision may have told of; before it, another aim would have shown."""
    behind = last_place(items, is_a(of.Decided)) + 1
    tail = items[behind:]
    held, lost = {id(entry) for entry in found.entries}, [item for item in tail if isinstance(item, of.Missing)]
    before = [item.event.sequence for item in items[:behind] if isinstance(item, of.EventTold)]
    told = [*before[-1:], *(item.event.sequence for item in tail if isinstance(item, of.EventTold))]
    events = told[-1] - told[0] + 1 - len(told) if told else 0
    back = sum(id(item) not in held and not isinstance(item, of.Missing) for item in tail)
    if not lost or (all(one.count for one in lost) and sum(one.count for one in lost) - back <= events):
        return ""
    return (
        f"{of.lost_words(lost)} behind the last decision; if a drift was told there, points count where the instrument "
        "said that it measured them."
    )


def _write_anew(folder: Path, entries: Sequence[Entry]) -> None:
    """One new file in the place of all, which are kept under other names, taken before any of them goes."""
    try:
        new, old = folder / f"000{SUFFIX}{_NEW}", journal_files(folder)
        new.unlink(missing_ok=True)
        file = RecordFile(new, new=True, version=of.VERSION)
        try:
            file.write(b"".join(record_bytes(number, of.entry_bytes(entry)) for number, entry in enumerate(entries)))
        finally:
            file.close()
        for path in old:
            keep_aside(path, DAMAGED)
        for path in reversed(old):
            if path.name != f"000{SUFFIX}":
                path.unlink()
        os.replace(new, folder / f"000{SUFFIX}")
        sync_folder(folder)
    except OSError as error:
        message = f"The mended journal in {folder} cannot be written: {error.strerror or error}."
        raise BadInput(message, field="session", value=folder) from error
