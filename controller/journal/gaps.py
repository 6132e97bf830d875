"""Gaps in a journal: where records are lost; what follows from that is the business of who reads it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Missing:
    """Stands among entries where records are lost; never stored itself.

    Attributes:
        first, last: numbers of these records; a `last` before `first` where nobody knows how many.
    """

    first: int
    last: int

    @property
    def count(self) -> int:
        """How many are known to be lost."""
        return max(0, self.last - self.first + 1)

    @property
    def words(self) -> str:
        """Which they are."""
        if not self.count:
            return f"records from {self.first} on"
        return f"record {self.first}" if self.count == 1 else f"records {self.first} to {self.last}"
