"""The spool of an instrument service: one file per run, on disk before a point is exposed and before one is told.

A file is a header and records (`protocols.records`), like a journal. The next process reads it when it is asked for the
run again. A torn end is cut: its writer died before anybody was told of it. Damage elsewhere ends the run for this
instrument, since nobody knows what was exposed. What the entries mean is the business of `protocols.hosting.batches`.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock, Timeout

from grainloop.protocols.errors import BadInput, BadMessage, ErrorCode, GrainloopError
from grainloop.protocols.files import open_file, read_regular
from grainloop.protocols.hosting.spool_entries import Entry, Opened, as_entry
from grainloop.protocols.payloads import to_payload, tree_of
from grainloop.protocols.record_file import RecordFile, cut, sync_folder
from grainloop.protocols.records import (
    HEADER_BYTES,
    Damage,
    NoJournal,
    Record,
    file_header,
    read_header,
    read_records,
    record_bytes,
)

SUFFIX = ".spool"
_NAME_LETTERS = 40


class SpoolLost(GrainloopError):
    """The spool cannot be written, so nothing more may be exposed."""

    code = ErrorCode.DEVICE_FAILED


class RunSpool:
    """The open file of one run; may be written from several threads.

    Attributes:
        path: of the file.
    """

    def __init__(self, path: Path, run: str, instrument: str) -> None:
        """Open the file of a run, or begin one.

        Raises:
            BadInput: it is another instrument's, damaged, or cannot be written.
        """
        self.path, self._opened, self._lost = path, Opened(run=run, instrument=instrument), ""
        self._lock = threading.Lock()
        try:
            self._entries, self._number = self._read() if path.exists() else ([], 0)
            self._file = RecordFile(path, new=not path.exists())
            if self._number == 0:
                self._write([self._opened])
        except OSError as error:
            raise BadInput(
                f"The spool {path} cannot be written: {error.strerror or error}.", field="spool", value=path
            ) from error

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return self._file.end

    def take_entries(self) -> list[Entry]:
        """What it held when it was opened, but for the first entry; then it is let go of."""
        entries, self._entries = self._entries, []
        return entries

    def append(self, *entries: Entry) -> None:
        """Store entries together; they are on disk when this returns.

        Raises:
            SpoolLost: they cannot be stored, now or since an earlier failure.
        """
        with self._lock:
            if self._lost:
                raise self._failed()
            try:
                self._write(entries)
            except OSError as error:
                self._lost = error.strerror or str(error)
                raise self._failed() from error

    def replace(self, entries: Sequence[Entry]) -> None:
        """Put these entries in the place of all that are there; at every moment the old or the new file is whole.

        Raises:
            SpoolLost: they cannot be stored; the old file is still there.
        """
        with self._lock:
            if self._lost:
                raise self._failed()
            try:
                self._replace([self._opened, *entries])
            except OSError as error:
                self._lost = error.strerror or str(error)
                raise self._failed() from error

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._lost = self._lost or "it was closed"
            self._file.close()

    def _replace(self, entries: Sequence[Entry]) -> None:
        draft = self.path.with_suffix(".draft")
        draft.unlink(missing_ok=True)
        records = (record_bytes(number, to_payload(entry)) for number, entry in enumerate(entries))
        with open_file(draft, "xb") as file:
            file.write(b"".join([file_header(0), *records]))
            file.flush()
            os.fsync(file.fileno())
        self._file.close()
        os.replace(draft, self.path)
        sync_folder(self.path.parent)
        self._file, self._number = RecordFile(self.path, new=False), len(entries)

    def _write(self, entries: Sequence[Entry]) -> None:
        numbered = enumerate(entries, self._number)
        self._file.write(b"".join(record_bytes(number, to_payload(entry)) for number, entry in numbered))
        self._number += len(entries)

    def _failed(self) -> SpoolLost:
        message = (
            f"The spool {self.path} cannot be written: {self._lost}. Nothing more is exposed, since it could not be "
            "recorded; mend this and start the service again."
        )
        return SpoolLost(message, field="spool", value=self.path)

    def _read(self) -> tuple[list[Entry], int]:
        """All whole entries but the first, and the number of the next record; cuts the torn end."""
        data = read_regular(self.path)
        if len(data) < HEADER_BYTES:  # its writer died when it began the file
            self.path.unlink()
            return [], 0
        self._require_header(data)
        entries, end = list[Entry](), HEADER_BYTES
        for found in read_records(data):
            if isinstance(found, Damage):
                self._cut(found, end)
                break
            entries.append(self._entry(found, len(entries)))
            end = found.end
        if entries and entries[0] != self._opened:
            raise self._damaged(f"is not of this run and instrument: {entries[0]!r}")
        return entries[1:], len(entries)

    def _require_header(self, data: bytes) -> None:
        try:
            read_header(data)
        except NoJournal as error:
            raise self._damaged(f"cannot be read: {error}") from error

    def _cut(self, damage: Damage, end: int) -> None:
        if not damage.at_end:
            raise self._damaged(f"is damaged from byte {damage.start} to {damage.end}")
        cut(self.path, end)

    def _entry(self, record: Record, expected: int) -> Entry:
        if record.number != expected:
            raise self._damaged(f"lacks record {expected}")
        try:
            return as_entry(tree_of(record.payload))
        except BadMessage as error:
            raise self._damaged(f"holds a record that cannot be understood: {error}") from error

    def _damaged(self, what: str) -> BadInput:
        message = f"The spool {self.path} {what}; so nobody knows what was exposed, and nothing more is in this run."
        return BadInput(message, field="spool", value=self.path)


class SpoolFolder:
    """Where the spools of one instrument are; one process uses it at a time.

    Args:
        folder: made where it is missing.
        instrument: its name.

    Raises:
        BadInput: it cannot be written, or another process uses it.
    """

    def __init__(self, folder: Path, instrument: str) -> None:
        self.folder, self._instrument = folder, instrument
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(folder / "lock")
            self._lock.acquire(timeout=0)
        except Timeout as error:
            message = f"Another instrument service uses the spool {folder}."
            raise BadInput(message, field="spool", value=folder) from error
        except OSError as error:
            message = f"The spool {folder} cannot be written: {error.strerror or error}."
            raise BadInput(message, field="spool", value=folder) from error

    def open(self, run: str) -> RunSpool:
        """The file of a run.

        Raises:
            BadInput: see `RunSpool`.
        """
        return RunSpool(self.folder / f"{_file_name(run)}{SUFFIX}", run, self._instrument)

    def close(self) -> None:
        """Let others use the folder."""
        self._lock.release()


def default_folder(instrument: str) -> Path:
    """Where the spool of an instrument is unless something else is said."""
    return Path.home() / ".grainloop" / "spool" / _file_name(instrument)


def _file_name(name: str) -> str:
    """A name of a file for any name: what people can read of it, and what tells it from all others."""
    legible = "".join(letter if letter.isalnum() and letter.isascii() else "-" for letter in name[:_NAME_LETTERS])
    return f"{legible}-{hashlib.sha256(name.encode()).hexdigest()[:12]}"
