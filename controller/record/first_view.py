"""`session.h5` while a run is recorded: the first view, which may be lost without ending the run.

What it holds is in the journal, so one that cannot be written is told, left, and made again when the run is over; where
there is no room even then, `grainloop repair` makes it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from grainloop.controller.journal import Entry, LatestMaps, read_journal
from grainloop.controller.session import CannotStore, SessionView, remake
from grainloop.protocols.errors import GrainloopError

Trouble = Callable[[str], object]
"""Told what went wrong, in a sentence; the run goes on."""


def nobody(_why: str) -> None:
    """Nobody is there to be told."""


class FirstView:
    """The session file of a recording.

    Args:
        path: of the file.
        journal: folder of the journal that it shows.
        file: open; nothing where there is none.

    Attributes:
        lost: why the file is not what the journal holds, in a sentence; empty where it is.
        when_lost: told that sentence.
    """

    def __init__(self, path: Path, journal: Path, file: SessionView | None) -> None:
        self._path, self._journal, self._file = path, journal, file
        self.lost = ""
        self.when_lost: Trouble = nobody

    def show(self, entry: Entry | LatestMaps, number: int | None, seconds: float) -> None:
        """Add an entry, or lose the file."""
        if (file := self._file) is None:
            return
        try:
            file.show(entry, number, seconds)
        except CannotStore as lost:
            self._file, self.lost = None, lost.message
            with suppress(CannotStore):
                file.close()
            self.when_lost(self.lost)

    def close(self) -> None:
        """Close the file; closing twice does nothing."""
        file, self._file = self._file, None
        if file is not None:
            try:
                file.close()
            except CannotStore as lost:
                self.lost = lost.message

    def make_again(self) -> None:
        """Make a file that was lost again, once nothing more is recorded."""
        if not self.lost:
            return
        with suppress(GrainloopError, OSError):  # no room yet
            remake(read_journal(self._journal).entries, self._path)
            self.lost = ""
