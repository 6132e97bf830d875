"""A journal that lost records in its middle: what `session.h5` still holds of them is put back where it was.

Points, ends of batches, PL, the beginning and questions can be put back; decisions and answers cannot. The run can be
gone on with where everything is decided again as recorded. The damaged files are kept.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from controller.journal import entries as of
from controller.journal.reading import Found, journal_files, read_journal
from controller.journal.writing import SUFFIX, locked
from controller.replay import replay
from controller.session_reader import Session, load_session, stored_points
from protocols.errors import BadInput
from protocols.messages import ScanDone
from protocols.record_file import RecordFile, sync_folder
from protocols.records import record_bytes
from protocols.values import PointBlock

DAMAGED: Final = ".damaged"
_NEW: Final = ".mended"
_GAP: Final = None
"""Stands where records are missing."""


@dataclass(frozen=True)
class Mended:
    """What became of a journal.

    Attributes:
        entries: that it held, and those that were put back.
        damage: one sentence per damage.
        back: how many entries were put back.
        whole: it was written anew, and the run can be gone on with; else it was left as it is.
        why: it was not written anew, in a sentence; empty where nothing had to be mended.
    """

    entries: tuple[Any, ...]
    damage: tuple[str, ...]
    back: int = 0
    whole: bool = False
    why: str = ""


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
    entries = filled(found, session)
    if not any(isinstance(entry, of.Began) for entry in entries):
        message = f"The beginning of the journal in {journal} is lost, in {session.name} too: {found.damage[0]}"
        raise BadInput(message, field="session", value=journal)
    back, why = len(entries) - len(found.entries), _why_not_whole(entries)
    if not why:
        _write_anew(journal, entries)
    return Mended(entries, found.damage, back, not why, why)


def filled(found: Found, session: Path) -> tuple[Any, ...]:
    """The entries of a damaged journal with what a session file holds of the missing ones."""
    items = list(_with_gaps(found))
    with suppress(BadInput):
        stored, (points, batch) = load_session(session), stored_points(session)
        _put_beginning(items, stored)
        _put_light(items, stored)
        for number in np.unique(batch).tolist():
            _put_points(items, number, points.select(batch == number))
        for row in stored.batches:
            _put_end(items, row)
    _put_questions(items)
    return tuple(item for item in items if item is not _GAP)


def _with_gaps(found: Found) -> Iterator[Any]:
    expected = 0
    for number, entry in zip(found.numbers, found.entries, strict=True):
        if number != expected:
            yield _GAP
        yield entry
        expected = number + 1


def _why_not_whole(entries: Sequence[Any]) -> str:
    """Why the run cannot be gone on with; nothing where it can."""
    try:
        again = replay(entries)
    except BadInput as error:
        return str(error)
    return " ".join([*([] if again.difference is None else [str(again.difference)]), *again.notes])


def _put(items: list[Any], entry: Any, after: int) -> None:
    """Into the first gap behind a place, if there is one."""
    gap = next((n for n in range(after + 1, len(items)) if items[n] is _GAP), None)
    if gap is not None:
        items.insert(gap, entry)


def _last(items: list[Any], wanted: Callable[[Any], bool]) -> int:
    """The place of the last item that is `wanted`, -1 where none is."""
    return max((n for n, item in enumerate(items) if item is not _GAP and wanted(item)), default=-1)


def _put_beginning(items: list[Any], stored: Session) -> None:
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


def _put_light(items: list[Any], stored: Session) -> None:
    light, began = _last(items, _is(of.LightStored)), _last(items, _is(of.Began))
    if light < 0 and stored.light is not None and stored.light_s is not None:
        _put(items, of.LightStored(light=stored.light, seconds=stored.light_s), began)
        light = _last(items, _is(of.LightStored))
    if _last(items, _is(of.Started)) < 0:
        _put(items, of.Started(light_s=items[light].seconds if light >= 0 else 0.0), max(light, began))


def _is(kind: type) -> Callable[[Any], bool]:
    return lambda item: isinstance(item, kind)


def _put_points(items: list[Any], batch: int, stored: PointBlock) -> None:
    """The points of a batch that the journal lacks, each stretch behind what came before it."""
    held = [item for item in items if isinstance(item, of.PointsStored) and item.batch == batch]
    known = np.isin(stored.point_id, np.concatenate([np.empty(0, np.int64), *(one.points.point_id for one in held)]))
    edges = np.flatnonzero(np.diff(np.concatenate([[True], known, [True]]).astype(np.int8)))
    for first, last in edges.reshape(-1, 2).tolist():
        before = int(stored.point_id[first - 1]) if first else None
        place = _last(items, _is_before(batch, before))
        _put(items, of.PointsStored(batch=batch, points=stored.select(slice(first, last))), place)


def _is_before(batch: int, point: int | None) -> Callable[[Any], bool]:
    """Whether an item holds a point of a batch, or, without a point, the decision on it."""

    def decides(item: Any) -> bool:
        return isinstance(item, of.Decided) and item.request.batch == batch

    def holds(item: Any) -> bool:
        return isinstance(item, of.PointsStored) and item.batch == batch and point in item.points.point_id

    return decides if point is None else holds


def _put_end(items: list[Any], row: dict[str, Any]) -> None:
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


def _tells_of(item: Any, batch: int) -> bool:
    decided = isinstance(item, of.Decided) and item.request.batch == batch
    return decided or (isinstance(item, of.PointsStored) and item.batch == batch)


def _put_questions(items: list[Any]) -> None:
    """Questions that were answered and are not told of, into the last gap before the answer."""
    asked = {item.question for item in items if isinstance(item, of.Asked)}
    for entry in [item for item in items if isinstance(item, of.Answered) and item.question not in asked]:
        place = next(n for n, item in enumerate(items) if item is entry)
        gap = max((n for n in range(place) if items[n] is _GAP), default=None)
        if gap is not None:
            ids = [len(item.points) for item in items[:gap] if isinstance(item, of.PointsStored)]
            items.insert(gap, of.Asked(question=entry.question, points=sum(ids)))


def _write_anew(folder: Path, entries: Sequence[Any]) -> None:
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
