"""One file of records, open for appending: what `write` returned from is on disk, and what failed left no half behind.

What a failed write means for those who counted on it, and reading the file again, are their business: after a failed
fsync nobody knows what is on disk (Rebello et al. 2020, "Can applications recover from fsync failures?").
"""

from __future__ import annotations

import errno
import os
import shutil
from itertools import count
from pathlib import Path
from typing import Final

from grainloop.protocols.files import open_file, open_regular
from grainloop.protocols.records import FORMAT_VERSION, file_header

FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""What a file system says that has no room for more: on the disk, of this user, in this file."""


class NoRoom(OSError):
    """There was no room for a record, and nothing of it is in the file: it may be tried again."""


class RecordFile:
    """A file of records.

    Args:
        path: of the file.
        new: begin it, with a record of the number `first`; else go on behind the last byte.
        first: number of the first record of a new file.
        sync: whether what is written must be on disk.
        version: of the payloads of a new file.

    Raises:
        OSError: it cannot be opened, or begun.
    """

    def __init__(
        self, path: Path, *, new: bool, first: int = 0, sync: bool = True, version: int = FORMAT_VERSION
    ) -> None:
        self.path, self._sync = path, sync
        flags = os.O_RDWR | (os.O_CREAT | os.O_EXCL if new else 0)
        self._descriptor = open_regular(path, flags, 0o644)
        self.end = os.lseek(self._descriptor, 0, os.SEEK_END)
        if new:
            try:
                self.write(file_header(first, version))
                sync_folder(path.parent)
            except OSError:
                self.close()
                raise

    def write(self, data: bytes) -> None:
        """Append whole records.

        Raises:
            NoRoom: there is no room for them, and they can be written later.
            OSError: they cannot be stored.
        """
        self._append(data)
        if self._sync:
            try:
                sync_data(self._descriptor)
            except OSError:
                _truncated(self._descriptor, self.end)
                raise
        self.end += len(data)

    def _append(self, data: bytes) -> None:
        left = memoryview(data)
        try:
            while left:
                left = left[os.write(self._descriptor, left) :]
        except OSError as error:
            # Best effort: without it the reader finds a torn tail, which it cuts, or records that nobody counted on.
            if _truncated(self._descriptor, self.end) and error.errno in FULL:
                raise NoRoom(error.errno, error.strerror) from error
            raise

    def close(self) -> None:
        """Close the file; closing twice does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def cut(path: Path, end: int) -> None:
    """Leave the first `end` bytes of a file.

    Raises:
        OSError: it cannot be changed.
    """
    with open_file(path, "r+b") as file:
        file.truncate(end)
        os.fsync(file.fileno())


def keep_aside(path: Path, suffix: str) -> Path:
    """A second name for a file, one that no file has yet: `NAME.suffix`, then with 1, 2, …; returns it.

    The name is taken in the same moment in which it is found free, so that two who keep files never take the same one.

    Raises:
        OSError: it cannot be kept.
    """
    for number in count():
        name = path.with_name(f"{path.name}{suffix}{number or ''}")
        try:
            _second_name(path, name)
        except FileExistsError:
            continue
        sync_folder(path.parent)
        return name
    raise AssertionError("numbers never end")


def _second_name(path: Path, name: Path) -> None:
    """Link, or copy where the file system has no links."""
    try:
        os.link(path, name, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        with open_file(path, "rb") as old, open_file(name, "xb") as new:
            try:
                shutil.copyfileobj(old, new)
                new.flush()
                os.fsync(new.fileno())
            except OSError:
                name.unlink(missing_ok=True)
                raise


def sync_folder(folder: Path) -> None:
    """A new file survives the death of the machine only if its folder is on disk too; Windows cannot and need not."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


_NO_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK})
sync_data = os.fdatasync if hasattr(os, "fdatasync") else os.fsync


def _truncated(descriptor: int, end: int) -> bool:
    try:
        os.ftruncate(descriptor, end)
        os.lseek(descriptor, end, os.SEEK_SET)
    except OSError:
        return False
    return True
