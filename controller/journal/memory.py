"""What a recording needs of a journal, and one that goes nowhere: for runs that nobody will go on with or replay."""

from __future__ import annotations

from typing import Protocol

from grainloop.controller.journal.entries import Entry


class KeepsEntries(Protocol):
    """A journal, as `controller.journal.writing.Journal` is one."""

    def append(self, entry: Entry) -> int:
        """Store an entry; returns the number of its record."""
        ...

    def close(self) -> None:
        """Nothing more will be stored."""
        ...


class MemoryJournal:
    """Counts entries, and keeps them in memory where that is asked for.

    Attributes:
        entries: that were kept.
    """

    def __init__(self, *, keeps: bool = False) -> None:
        self.entries: list[Entry] = []
        self._keeps, self._count = keeps, 0

    def append(self, entry: Entry) -> int:
        """Take an entry; returns its number."""
        if self._keeps:
            self.entries.append(entry)
        self._count += 1
        return self._count - 1

    def close(self) -> None:
        """Nothing is open."""
