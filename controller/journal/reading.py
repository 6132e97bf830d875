"""Reading a journal: every whole record of all its files, and one sentence for each damage.

Nothing is changed here; the torn tail is cut by the next writer (`controller.journal.writing`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from grainloop.controller.journal.doubts import Doubts
from grainloop.controller.journal.entries import VERSION, Entry, Item, Missing, PointsStored, read_entry
from grainloop.protocols.errors import BadInput, GrainloopError
from grainloop.protocols.files import read_regular
from grainloop.protocols.records import HEADER_BYTES, Damage, NoJournal, Record, read_header, read_records

ADVICE: Final = "`grainloop repair` mends it where that can be done."


@dataclass(frozen=True)
class Found:
    """What a journal holds.

    Attributes:
        entries: of whole records, in order.
        numbers: of these records.
        damage: one sentence per damage.
        torn: the last file ends in the middle of a record, as after the death of the writer; no other damage.
    """

    entries: tuple[Entry, ...]
    damage: tuple[str, ...]
    torn: bool
    numbers: tuple[int, ...] = ()

    @property
    def with_gaps(self) -> tuple[Item, ...]:
        """The entries with `Missing` where records are lost between them."""
        return tuple(_with_gaps(self.numbers, self.entries))


def _with_gaps(numbers: Sequence[int], entries: Sequence[Entry]) -> Iterator[Item]:
    expected = 0
    for number, entry in zip(numbers, entries, strict=True):
        if number != expected:
            yield Missing(expected, number - 1)
        yield entry
        expected = number + 1


@dataclass(frozen=True)
class Tail:
    """How a file of a journal ends.

    Attributes:
        end: offset behind its last whole record.
        size: of the file.
        next_number: of the record to come.
        version: of its entries.
    """

    end: int
    size: int
    next_number: int
    version: int


def journal_files(folder: Path) -> list[Path]:
    """The files of a journal, in the order of their numbers."""
    files = (path for path in folder.glob("*.journal") if path.stem.isascii() and path.stem.isdigit())
    return sorted(files, key=lambda path: (int(path.stem), path.name))


def read_journal(folder: Path) -> Found:
    """Everything in a journal that can be read.

    Raises:
        BadInput: there is none, or a file of it cannot be read or is no journal.
    """
    files = _files_in(folder)
    entries, numbers, damage, torn, expected = list[Entry](), list[int](), list[str](), False, 0
    doubts = Doubts()
    for path in files:
        for found in _records_of(path, expected):
            if isinstance(found, Damage):
                torn = found.at_end and path == files[-1]
                damage.append(_told(path, found))
                continue
            if found.number != expected:
                damage.append(f"{path}: {_missing(expected, found.number)} missing before byte {found.end}.")
            expected = found.number + 1
            try:
                entries.append(doubts.believed(read_entry(found.payload)))
                numbers.append(found.number)
            except GrainloopError as error:
                damage.append(f"{path}: record {found.number} cannot be understood: {error}")
    torn = torn and len(damage) == 1
    if (twice := _stored(entries) - count_points(entries)) > 0:  # no writer stores a point in two places
        damage, torn = [*damage, f"{folder} holds {twice} points more than once; each counts once."], False
    return Found(tuple(entries), tuple(damage), torn, tuple(numbers))


def _stored(entries: Sequence[Entry]) -> int:
    return sum(len(entry.points) for entry in entries if isinstance(entry, PointsStored))


def count_points(entries: Sequence[Entry]) -> int:
    """How many points entries hold, each once."""
    numbers = [entry.points.point_id for entry in entries if isinstance(entry, PointsStored)]
    return len(np.unique(np.concatenate(numbers))) if numbers else 0


def first_entry(folder: Path) -> Entry | None:
    """The first entry of a journal, or nothing where that is damaged; the rest is not looked at.

    Raises:
        BadInput: there is no journal, or its first file cannot be read or is none.
    """
    found = next(_records_of(_files_in(folder)[0], 0), None)
    return read_entry(found.payload) if isinstance(found, Record) else None


def _files_in(folder: Path) -> list[Path]:
    if files := journal_files(folder):
        return files
    raise BadInput(f"There is no journal in {folder}.", field="session", value=folder)


def read_tail(path: Path) -> Tail:
    """How the newest file of a journal ends.

    Raises:
        BadInput: it is no journal, or damaged elsewhere than at its end.
        OSError: it cannot be read.
    """
    data = read_regular(path)
    version, number = _checked_header(path, data)
    end = HEADER_BYTES
    for found in read_records(data):
        if isinstance(found, Record):
            end, number = found.end, found.number + 1
        elif not found.at_end:
            raise BadInput(f"{_told(path, found)} {ADVICE}", field="session", value=path)
    return Tail(end, len(data), number, version)


def _records_of(path: Path, expected: int) -> Iterator[Record | Damage]:
    try:
        data = read_regular(path)
    except OSError as error:
        message = f"The journal {path} cannot be read: {error.strerror or error}."
        raise BadInput(message, field="session", value=path) from error
    if len(data) < HEADER_BYTES and expected:
        yield Damage(0, len(data), at_end=True)
        return
    _checked_header(path, data)
    yield from read_records(data)


def _checked_header(path: Path, data: bytes) -> tuple[int, int]:
    """Version and number of the first record."""
    try:
        return read_header(data, VERSION)
    except NoJournal as error:
        raise BadInput(f"{path} is no journal that can be read: {error}.", field="session", value=path) from error


def _told(path: Path, damage: Damage) -> str:
    if damage.at_end:
        return f"{path} ends in the middle of a record: bytes {damage.start} to {damage.end} are left out."
    return f"{path} is damaged from byte {damage.start} to {damage.end}; what follows could be read."


def _missing(expected: int, found: int) -> str:
    if found < expected:
        return f"record {found} follows record {expected - 1}; records are"
    return f"record {expected} is" if found == expected + 1 else f"records {expected} to {found - 1} are"
