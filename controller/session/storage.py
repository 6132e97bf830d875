"""The bytes of `session.h5` on a disk that may be full: HDF5 is never told of an error, whoever flushes is.

libhdf5 does not survive a write that fails: what could not be written is tried again while objects are freed, and ends
the process. So its reads and writes go through `Storage`, which keeps what the disk does not take in memory until the
file is closed. What HDF5 has in mind then stays whole; the file on disk is not, and is made again from the journal.
"""

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress
from pathlib import Path

from grainloop.protocols.files import open_regular


class Storage:
    """A file as h5py wants one of Python: `seek`, `readinto`, `write`, `truncate`, `flush`.

    Args:
        path: of the file.
        new: create it; else it is there.

    Attributes:
        trouble: why something could not be written, once that is so.

    Raises:
        OSError: it cannot be created or opened, or another program has it open.
    """

    def __init__(self, path: Path, *, new: bool) -> None:
        self.trouble: OSError | None = None
        self._kept = list[tuple[int, bytes]]()
        self._descriptor = open_regular(path, os.O_RDWR | (os.O_CREAT | os.O_EXCL if new else 0), 0o644)
        try:
            _lock(self._descriptor, path)
        except OSError:
            os.close(self._descriptor)
            raise
        self._size = os.fstat(self._descriptor).st_size
        self._place = 0

    # --- what h5py asks for -------------------------------------------------------------------------------------------
    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a byte."""
        self._place = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._size}[whence]
        return self._place

    def tell(self) -> int:
        """The byte that comes next."""
        return self._place

    def read(self, size: int = -1) -> bytes:
        """So many bytes; h5py knows by this method that it has a file."""
        data = bytearray(max(0, self._size - self._place) if size < 0 else size)
        return bytes(data[: self.readinto(data)])

    def readinto(self, into: bytearray | memoryview) -> int:
        """Fill a buffer; behind the end there are zeros, as in a file that was made longer."""
        view, place = memoryview(into).cast("B"), self._place
        try:
            data = _read_at(self._descriptor, len(view), place)
        except OSError as error:
            self.trouble, data = self.trouble or error, b""
        view[: len(data)] = data
        view[len(data) :] = bytes(len(view) - len(data))
        for at, kept in self._kept:
            first, last = max(at, place), min(at + len(kept), place + len(view))
            if first < last:
                view[first - place : last - place] = kept[first - at : last - at]
        self._place += len(view)
        return len(view)

    def write(self, data: bytes | memoryview) -> int:
        """Write where the file stands; never fails."""
        view = memoryview(data).cast("B")
        if self.trouble is None:
            try:
                _write_at(self._descriptor, view, self._place)
            except OSError as error:
                self.trouble = error
        if self.trouble is not None:
            self._kept.append((self._place, bytes(view)))
        self._place += len(view)
        self._size = max(self._size, self._place)
        return len(view)

    def truncate(self, size: int | None = None) -> int:
        """Make the file so long; never fails."""
        self._size = self._place if size is None else size
        if self.trouble is None:
            try:
                os.ftruncate(self._descriptor, self._size)
            except OSError as error:
                self.trouble = error
        return self._size

    def flush(self) -> None:
        """Everything is at the operating system already."""

    # --- who uses the file --------------------------------------------------------------------------------------------
    def check(self) -> None:
        """Tell what HDF5 was not told.

        Raises:
            OSError: something could not be written.
        """
        if self.trouble is not None:
            raise OSError(self.trouble.errno, self.trouble.strerror)

    def close(self) -> None:
        """Close the file; closing twice does nothing."""
        if self._descriptor >= 0:
            with suppress(OSError):  # what a network share says now it would have said of a write
                os.close(self._descriptor)
            self._descriptor = -1
        self._kept.clear()


if sys.platform == "win32":

    def _lock(descriptor: int, path: Path) -> None:
        """Windows itself keeps others from a file that is written."""

    def _read_at(descriptor: int, size: int, place: int) -> bytes:
        os.lseek(descriptor, place, os.SEEK_SET)
        return os.read(descriptor, size)

    def _write_once(descriptor: int, data: memoryview, place: int) -> int:
        os.lseek(descriptor, place, os.SEEK_SET)
        return os.write(descriptor, data)

else:
    import fcntl

    def _lock(descriptor: int, path: Path) -> None:
        """As HDF5 locks what it writes; file systems without locks are written without."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                raise OSError(error.errno, "another program has it open", str(path)) from None

    def _read_at(descriptor: int, size: int, place: int) -> bytes:
        return os.pread(descriptor, size, place)

    def _write_once(descriptor: int, data: memoryview, place: int) -> int:
        return os.pwrite(descriptor, data, place)


def _write_at(descriptor: int, data: memoryview, place: int) -> None:
    while len(data):
        count = _write_once(descriptor, data, place)
        data, place = data[count:], place + count
