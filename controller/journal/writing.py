"""Writing a journal: each record is on disk when `append` returns, unless told otherwise, or it may not be counted on.

One file per section, numbered; records are numbered through. A write that fails leaves no half record behind. One that
failed for want of room may be tried again; any other ends the journal (`protocols.record_file` says why). Reading is
the business of `controller.journal.reading`.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

from filelock import FileLock, Timeout

from grainloop.controller.journal.entries import VERSION, Entry, entry_bytes, read_entry
from grainloop.controller.journal.reading import Tail, journal_files, read_tail
from grainloop.protocols.errors import BadInput, BadMessage, ErrorCode, GrainloopError
from grainloop.protocols.files import open_file, read_regular
from grainloop.protocols.messages import Sync
from grainloop.protocols.record_file import NoRoom, RecordFile, cut
from grainloop.protocols.records import HEADER_BYTES, record_bytes

SUFFIX = ".journal"
LOCK = "lock"
TORN = ".torn"


class JournalLost(GrainloopError):
    """The journal cannot be written, so nothing more may be measured."""

    code = ErrorCode.DEVICE_FAILED


class JournalFull(JournalLost):
    """There is no room for an entry now; the journal is whole, and the entry can be stored later."""


class Journal:
    """An open journal; one process writes it at a time.

    Attributes:
        folder: where its files are.
        next_number: of the record that comes next.
    """

    def __init__(self, folder: Path, sync: Sync = Sync.ALWAYS) -> None:
        """Begin a journal in an empty folder, or go on with the one that is there.

        What a writer left behind that died in the middle of a record is moved to a file beside it; behind a file of an
        older version a new one begins. `sync` says when records must be on disk: before `append` returns, or whenever
        the operating system likes.

        Raises:
            BadInput: the folder cannot be written, another process writes the journal, or it is damaged elsewhere.
        """
        self.folder, self._sync, self._lost = folder, sync, ""
        self._lock = locked(folder)
        self._file: RecordFile | None = None
        try:
            files = _begun(journal_files(folder))
            tail = _mend_tail(files[-1]) if files else None
            self.next_number = 0 if tail is None else tail.next_number
            self._open(files[-1] if files else folder / f"000{SUFFIX}", new=tail is None)
            if tail is not None and tail.version < VERSION:
                self.rotate()
        except OSError as error:
            self.close()
            message = f"The journal in {folder} cannot be written: {error.strerror or error}."
            raise BadInput(message, field="session", value=folder) from error
        except GrainloopError:
            self.close()
            raise

    def append(self, entry: Entry) -> int:
        """Store an entry; returns the number of its record.

        It is read back before it is written, so that a journal holds nothing that no reader accepts.

        Raises:
            BadMessage: it holds what no reader would accept; nothing is stored, and others still can be.
            JournalFull: there is no room for it; it may be tried again.
            JournalLost: it cannot be stored, now or since an earlier failure.
        """
        number, record = self.next_number, record_bytes(self.next_number, _readable(entry))
        try:
            self._write(record)
        except NoRoom as error:
            if error.errno != errno.EFBIG or not self._holds_records:
                raise self._failed(error.strerror or str(error), JournalFull) from error
            self.rotate()  # no room in this file alone: the next one begins
            return self.append(entry)
        self.next_number += 1
        return number

    def _write(self, record: bytes) -> None:
        if self._lost or self._file is None:
            raise self._failed(self._lost or "it is closed")
        try:
            self._file.write(record)
        except NoRoom:
            raise
        except OSError as error:
            self._lost = error.strerror or str(error)
            raise self._failed(self._lost) from error

    @property
    def _holds_records(self) -> bool:
        return self._file is not None and self._file.end > HEADER_BYTES

    def rotate(self) -> None:
        """Go on in a new file, for the next section.

        Raises:
            JournalLost: it cannot be created.
        """
        path = self.folder / f"{int(self._path.stem) + 1:03d}{SUFFIX}"
        if self._file is not None:
            self._file.close()
        try:
            self._open(path, new=True)
        except OSError as error:
            self._file, self._lost = None, error.strerror or str(error)
            raise self._failed(self._lost) from error

    def close(self) -> None:
        """Close the file and let others write; closing twice does nothing."""
        if self._file is not None:
            self._file.close()
            self._file = None
        self._lock.release()

    def _failed(self, why: str, kind: type[JournalLost] = JournalLost) -> JournalLost:
        return kind(f"The journal {self._path} cannot be written: {why}.", field="session", value=self._path)

    def _open(self, path: Path, *, new: bool) -> None:
        self._path = path
        self._file = RecordFile(path, new=new, first=self.next_number, sync=self._sync is Sync.ALWAYS, version=VERSION)


def _readable(entry: Entry) -> bytes:
    """The bytes of an entry, read back once.

    Raises:
        BadMessage: no reader would accept them.
    """
    payload = entry_bytes(entry)
    try:
        read_entry(payload)
    except GrainloopError as error:
        message = f"A record `{entry.kind}` that nobody could read again is not written to the journal: {error}"
        raise BadMessage(message, field=error.field, value=error.value) from error
    return payload


def locked(folder: Path) -> FileLock:
    """The lock of the journal in a folder, taken; to be released.

    Raises:
        BadInput: another process writes the journal, or the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / LOCK, thread_local=False)  # taken in one thread, let go of in another
        lock.acquire(timeout=0)
    except Timeout as error:
        raise BadInput(f"Another process writes the journal in {folder}.", field="session", value=folder) from error
    except OSError as error:
        message = f"The journal in {folder} cannot be written: {error.strerror or error}."
        raise BadInput(message, field="session", value=folder) from error
    return lock


def _begun(files: list[Path]) -> list[Path]:
    """The files without a newest one whose writer died within its header: nothing was stored in that."""
    if files and files[-1].is_file() and files[-1].stat().st_size < HEADER_BYTES:
        files[-1].unlink()
        return files[:-1]
    return files


def _mend_tail(path: Path) -> Tail:
    """Move a torn tail to a file beside the journal; returns how the file ended."""
    tail = read_tail(path)
    if tail.end < tail.size:
        data = read_regular(path)[tail.end :]
        with open_file(path.with_suffix(SUFFIX + TORN), "ab") as beside:
            beside.write(data)
            beside.flush()
            os.fsync(beside.fileno())
        cut(path, tail.end)
    return tail
