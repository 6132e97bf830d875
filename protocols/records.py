"""Records as bytes: a file header, then mark, number, length, CRC-32C and payload, record after record.

The checksum covers number, length and payload (Castagnoli polynomial, RFC 3720, appendix B.4). A file that was cut in
the middle of a record, or whose bits flipped, gives up all records before the damage, and those behind it where the
next mark with a right checksum is found. What a payload means is the business of who writes it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import google_crc32c
import numpy as np
from numpy.typing import NDArray

from grainloop.protocols.files.record_marks import whole_records

SIGNATURE: Final = b"\x89grainloop journal\r\n\x1a\n"
"""How a journal begins; like that of PNG it shows when a transfer took the file for text."""
FORMAT_VERSION: Final = 1
"""Of files whose payloads have no version of their own."""
MARK: Final = b"\xa5GLR"
MAX_PAYLOAD_BYTES: Final = 2**31
"""No record is longer; a length beyond it is damage."""
_HEADER: Final = struct.Struct("<HI")
_FRAME: Final = struct.Struct("<4sIII")
HEADER_BYTES: Final = len(SIGNATURE) + _HEADER.size
FRAME_BYTES: Final = _FRAME.size
_NUMBERS: Final = 2**32
_PATIENCE: Final = 4
"""So many times the size of a file is hashed for marks without a record before all are looked for at once."""
_LOOK_BYTES: Final = 256
"""What a look at a mark costs, in bytes hashed in the same time."""


class NoJournal(ValueError):
    """These bytes do not begin like a journal that can be read."""


@dataclass(frozen=True)
class Record:
    """One record.

    Attributes:
        number: 0, 1, 2, … over all files of a journal.
        payload: its bytes.
        end: offset of the byte behind it.
    """

    number: int
    payload: bytes
    end: int


@dataclass(frozen=True)
class Damage:
    """Bytes that hold no whole record.

    Attributes:
        start: offset of the first of them.
        end: offset behind the last of them.
        at_end: no record follows: what a writer leaves that died.
    """

    start: int
    end: int
    at_end: bool


def file_header(first: int, version: int = FORMAT_VERSION) -> bytes:
    """How a file begins whose first record has the number `first`, and whose payloads have that version."""
    return SIGNATURE + _HEADER.pack(version, first % _NUMBERS)


def read_header(data: bytes | memoryview, newest: int = FORMAT_VERSION) -> tuple[int, int]:
    """Format version and number of the first record; versions up to the `newest` can be read.

    Raises:
        NoJournal: too short, another kind of file, or of a newer format.
    """
    if bytes(data[: len(SIGNATURE)]) != SIGNATURE:
        raise NoJournal("it does not begin like a journal")
    if len(data) < HEADER_BYTES:
        raise NoJournal("it ends within its header")
    version, first = _HEADER.unpack_from(data, len(SIGNATURE))
    if not 1 <= version <= newest:
        raise NoJournal(f"it has format {version}, and up to {newest} can be read")
    return version, first


def record_bytes(number: int, payload: bytes) -> bytes:
    """A record as it stands in a file.

    Raises:
        ValueError: the payload is longer than a record may be.
    """
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise ValueError(f"a record of {len(payload)} bytes is longer than {MAX_PAYLOAD_BYTES}")
    number %= _NUMBERS
    return _FRAME.pack(MARK, number, len(payload), _checksum(number, payload)) + payload


def read_records(data: bytes | memoryview) -> Iterator[Record | Damage]:
    """Everything behind the header of a file, in order; work and memory grow with its size alone, whatever it holds."""
    data = bytes(data)
    found, at = _Finder(data), HEADER_BYTES
    while at < len(data):
        record = found.record_at(at)
        if record is None:
            resumed = found.next_record(at + 1)
            yield Damage(at, len(data) if resumed is None else resumed, resumed is None)
            if resumed is None:
                return
            at = resumed
        else:
            yield record
            at = record.end


class _Finder:
    """Finds whole records in a file, one by one while that is cheap, else all of them at once.

    A mark without a record behind it costs as many bytes of checksum as the length beside it says; many of them would
    cost the square of the size.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._left = _PATIENCE * len(data)
        self._all: NDArray[np.int64] | None = None

    def record_at(self, at: int) -> Record | None:
        """The record that begins at an offset, if there is a whole one."""
        if self._all is not None:
            place = int(np.searchsorted(self._all, at))
            return _record_at(self._data, at) if place < len(self._all) and self._all[place] == at else None
        record = _record_at(self._data, at)
        if record is None:
            self._spend(at)
        return record

    def next_record(self, start: int) -> int | None:
        """Offset of the next whole record at or behind `start`."""
        found = self._data.find(MARK, start)
        while found >= 0 and self._all is None:
            if self.record_at(found) is not None:
                return found
            found = self._data.find(MARK, found + 1)
        if self._all is None:
            return None
        behind = self._all[np.searchsorted(self._all, start) :]
        return int(behind[0]) if len(behind) else None

    def _spend(self, at: int) -> None:
        """What looking at an offset has cost."""
        length = 0
        if at + FRAME_BYTES <= len(self._data):
            mark, _, length, _ = _FRAME.unpack_from(self._data, at)
            whole = mark == MARK and length <= len(self._data) - at - FRAME_BYTES
            length = length if whole else 0
        self._left -= _LOOK_BYTES + length
        if self._left < 0:
            self._all = whole_records(self._data, MARK)


def _record_at(data: bytes | memoryview, at: int) -> Record | None:
    """The record that begins at an offset, if there is a whole one."""
    if at + FRAME_BYTES > len(data):
        return None
    mark, number, length, checksum = _FRAME.unpack_from(data, at)
    end = at + FRAME_BYTES + length
    if mark != MARK or length > MAX_PAYLOAD_BYTES or end > len(data):
        return None
    payload = bytes(data[at + FRAME_BYTES : end])
    return Record(number, payload, end) if _checksum(number, payload) == checksum else None


def _checksum(number: int, payload: bytes) -> int:
    head = google_crc32c.value(struct.pack("<II", number, len(payload)))
    return google_crc32c.extend(head, payload)
