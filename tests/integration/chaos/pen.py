"""A pen that breaks: the process that writes a journal and its view dies by SIGKILL at a byte of what it writes.

Everything before that byte is written, nothing after it. This is put into a process that was forked for a test; the
product knows nothing of it.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

JOURNAL, VIEW = "journal", "session.h5"


class Pen:
    """Writes `left` bytes more."""

    def __init__(self, left: int) -> None:
        self._left = left

    def write(self, data: Any, put: Callable[[Any], Any]) -> None:
        """Put the data, or as much of it as can be written before the end."""
        whole = memoryview(data).cast("B")
        if len(whole) >= self._left:
            put(whole[: self._left])
            os.kill(os.getpid(), signal.SIGKILL)
        self._left -= len(whole)
        put(whole)


def break_pen(file: str, after_bytes: int) -> None:
    """From now on this process dies when it has written so many bytes to journals, or to session files."""
    {JOURNAL: _break_journal, VIEW: _break_view}[file](Pen(after_bytes))


def _break_journal(pen: Pen) -> None:
    from grainloop.protocols.record_file import RecordFile

    plain = RecordFile.write

    def write(self: RecordFile, data: bytes) -> None:
        pen.write(data, lambda part: plain(self, part))

    RecordFile.write = write  # pyright: ignore[reportAttributeAccessIssue]


def _break_view(pen: Pen) -> None:
    """HDF5 writes through a file of ours, which sees every byte, those of the file's own structure too."""
    from grainloop.controller.session import storage

    plain = storage._write_at

    def write_at(descriptor: int, data: memoryview, place: int) -> None:
        pen.write(data, lambda part: plain(descriptor, part, place))

    storage._write_at = write_at  # pyright: ignore[reportPrivateUsage]
