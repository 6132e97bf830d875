"""A journal that lost records in its middle: what `session.h5` still holds of them is put back where it was.

Points, ends of batches, PL, the beginning, events, corrections of a drift and questions can be put back; decisions and
answers cannot. The run can be gone on with where everything is decided again as recorded. The damaged files are kept.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from grainloop.controller.journal import SUFFIX, Entry, Found, Item, journal_files, locked, read_journal, replay
from grainloop.controller.journal import entries as of
from grainloop.controller.record.lost_corrections import put_stored, put_told
from grainloop.controller.session import Session, load_session, stored_points
from grainloop.protocols.errors import BadInput
from grainloop.protocols.messages import RunEvent, ScanDone
from grainloop.protocols.record_file import RecordFile, sync_folder
from grainloop.protocols.records import record_bytes
from grainloop.protocols.values import PointBlock

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
    """

    entries: tuple[Entry, ...]
    damage: tuple[str, ...]
    back: int = 0
    whole: bool = False
    why: str = ""
    doubt: str = ""


def mend(journal: Path, session: Path) -> Mended:
    """Put back what was lost from the middle of a journal, and write it anew where the run can then be gone on with.

    A tail that was torn by the death of the writer is no damage: who goes on cuts it.

    Args:
        journal: folder of the journal.
        session: the session file beside it, perhaps broken or missing.

    Raises:
        BadInput: there is no journal, another process writes it, its beginning is lost, or it cannot be written.
    """
    found = read_journal(journal)
    if not found.damage or found.torn:
        return Mended(found.entries, found.damage)
    items, stored = list(found.with_gaps), _stored(session)
    _fill(items, stored, session)
    entries = tuple(item for item in items if not isinstance(item, of.Missing))
    if not any(isinstance(entry, of.Began) for entry in entries):
        message = f"The beginning of the journal in {journal} is lost, in {session.name} too: {found.damage[0]}"
        raise BadInput(message, field="session", value=journal)
    back, why = len(entries) - len(found.entries), _why_not_whole(items)
    if why:
        return Mended(entries, found.damage, back, why=why)
    _write_anew(journal, entries)
    doubt = "" if stored is not None else _doubt(items, found)
    return Mended(entries, found.damage, back, whole=True, doubt=doubt and f"{session.name} is lost as well: {doubt}")


def _stored(session: Path) -> Session | None:
    try:
        return load_session(session)
    except BadInput:
        return None


def _fill(items: list[Item], stored: Session | None, session: Path) -> None:
    """Put what a session file holds, and what the entries beside them say, where records are missing."""
    if stored is not None:
        points, batch = stored_points(session)
        _put_beginning(items, stored)
        _put_light(items, stored)
        for number in np.unique(batch).tolist():
            _put_points(items, number, points.select(batch == number))
        for row in stored.batches:
            _put_end(items, row)
        put_stored(items, stored.corrections)
        _put_events(items, stored.events)
    _put_questions(items)
    put_told(items)


def _why_not_whole(items: Sequence[Item]) -> str:
    """Why the run cannot be gone on with; nothing where it can."""
    try:
        again = replay(items)
    except BadInput as error:
        return str(error)
    return " ".join(str(one) for one in (again.difference, again.unknown, *again.notes) if one)


def _doubt(items: Sequence[Item], found: Found) -> str:
    """What lost records behind the last decision may have told of; before it, another aim would have shown."""
    behind = _last(items, _is(of.Decided)) + 1
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


def _put(items: list[Item], entry: Entry, after: int) -> None:
    """Into the first gap behind a place, if there is one."""
    gap = next((n for n in range(after + 1, len(items)) if isinstance(items[n], of.Missing)), None)
    if gap is not None:
        items.insert(gap, entry)


def _last(items: Sequence[Item], wanted: Callable[[Item], bool]) -> int:
    """The place of the last item that is `wanted`, -1 where none is."""
    return max((n for n, item in enumerate(items) if wanted(item)), default=-1)


def _put_beginning(items: list[Item], stored: Session) -> None:
    named = next((item.request.run for item in items if isinstance(item, of.Decided)), None)
    if any(isinstance(item, of.Began) for item in items) or named is None:
        return
    items.insert(
        0,
        of.Began(
            run=named,
            created=stored.created,
            plan=stored.plan,
            capabilities=stored.capabilities,
            software=stored.software,
            sync=stored.journal_sync,
        ),
    )


def _put_light(items: list[Item], stored: Session) -> None:
    light, began = _last(items, _is(of.LightStored)), _last(items, _is(of.Began))
    if light < 0 and stored.light is not None and stored.light_s is not None:
        _put(items, of.LightStored(light=stored.light, seconds=stored.light_s), began)
        light = _last(items, _is(of.LightStored))
    if _last(items, _is(of.Started)) < 0:
        taken = items[light] if light >= 0 else None
        light_s = taken.seconds if isinstance(taken, of.LightStored) else 0.0
        _put(items, of.Started(light_s=light_s), max(light, began))


def _is(kind: type[Item]) -> Callable[[Item], bool]:
    return lambda item: isinstance(item, kind)


def _put_points(items: list[Item], batch: int, stored: PointBlock) -> None:
    """The points of a batch that the journal lacks, each stretch behind what came before it."""
    held = [item for item in items if isinstance(item, of.PointsStored) and item.batch == batch]
    known = np.isin(stored.point_id, np.concatenate([np.empty(0, np.int64), *(one.points.point_id for one in held)]))
    edges = np.flatnonzero(np.diff(np.concatenate([[True], known, [True]]).astype(np.int8)))
    for first, last in edges.reshape(-1, 2).tolist():
        before = int(stored.point_id[first - 1]) if first else None
        place = _last(items, _is_before(batch, before))
        _put(items, of.PointsStored(batch=batch, points=stored.select(slice(first, last))), place)


def _is_before(batch: int, point: int | None) -> Callable[[Item], bool]:
    """Whether an item holds a point of a batch, or, without a point, the decision on it."""

    def decides(item: Item) -> bool:
        return isinstance(item, of.Decided) and item.request.batch == batch

    def holds(item: Item) -> bool:
        return isinstance(item, of.PointsStored) and item.batch == batch and point in item.points.point_id

    return decides if point is None else holds


def _put_end(items: list[Item], row: dict[str, Any]) -> None:
    batch = int(row["batch"])
    if _last(items, lambda item: isinstance(item, of.BatchClosed) and item.batch == batch) >= 0:
        return
    times = {name: row[name] for name in ("started_s", "finished_s", "idle_s") if name in row}
    done = ScanDone(batch=batch, points=row["points"], **times) if row["ok"] else None
    closed = of.BatchClosed(
        batch=batch,
        asked=row["asked"],
        points=row["points"],
        done=done,
        error=row["error"],
        withdrawn=row.get("withdrawn", False),
    )
    _put(items, closed, _last(items, lambda item: _tells_of(item, batch)))


def _tells_of(item: Item, batch: int) -> bool:
    decided = isinstance(item, of.Decided) and item.request.batch == batch
    return decided or (isinstance(item, of.PointsStored) and item.batch == batch)


def _put_events(items: list[Item], stored: Sequence[RunEvent]) -> None:
    """Events that the journal lacks, each behind the one before."""
    held = {item.event.sequence for item in items if isinstance(item, of.EventTold)}
    for event in [one for one in stored if one.sequence not in held]:
        _put(items, of.EventTold(event=event), _last(items, _is_event_before(event.sequence)))


def _is_event_before(sequence: int) -> Callable[[Item], bool]:
    return lambda item: isinstance(item, of.EventTold) and item.event.sequence < sequence


def _put_questions(items: list[Item]) -> None:
    """Questions that were answered and are not told of, into the last gap before the answer."""
    asked = {item.question for item in items if isinstance(item, of.QuestionAsked)}
    for entry in [item for item in items if isinstance(item, of.QuestionAnswered) and item.question not in asked]:
        place = next(n for n, item in enumerate(items) if item is entry)
        gap = max((n for n in range(place) if isinstance(items[n], of.Missing)), default=None)
        if gap is not None:
            ids = [len(item.points) for item in items[:gap] if isinstance(item, of.PointsStored)]
            items.insert(gap, of.QuestionAsked(question=entry.question, points=sum(ids)))


def _write_anew(folder: Path, entries: Sequence[Entry]) -> None:
    """One new file in the place of all, which are kept under other names."""
    lock = locked(folder)
    try:
        new = folder / f"000{SUFFIX}{_NEW}"
        new.unlink(missing_ok=True)
        file = RecordFile(new, new=True, version=of.VERSION)
        file.write(b"".join(record_bytes(number, of.entry_bytes(entry)) for number, entry in enumerate(entries)))
        file.close()
        for path in journal_files(folder):
            os.replace(path, _free(path))
        os.replace(new, folder / f"000{SUFFIX}")
        sync_folder(folder)
    except OSError as error:
        message = f"The mended journal in {folder} cannot be written: {error.strerror or error}."
        raise BadInput(message, field="session", value=folder) from error
    finally:
        lock.release()


def _free(path: Path) -> Path:
    """A name for a damaged file that none has yet."""
    names = (path.with_name(f"{path.name}{DAMAGED}{n or ''}") for n in range(1000))
    return next(name for name in names if not name.exists())
