"""All points of a run in one growing set of columns."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from grainloop.protocols.values import PointBlock

_FIRST_CAPACITY = 1024
_MOST_ROOM = 10_000_000


class PointStore:
    """All points of the run in one growing set of columns; reading them copies nothing.

    Args:
        room: how many points are expected at most. Room takes no memory until there are points in it, but columns that
            grow are copied, and leave holes behind.
    """

    def __init__(self, room: int = 0) -> None:
        empty, room = PointBlock.empty(), min(room, _MOST_ROOM)
        columns = {name: np.array(getattr(empty, name)) for name in PointBlock.model_fields}
        self._columns: dict[str, NDArray[Any]] = {
            name: np.empty((room, *column.shape[1:]), column.dtype) for name, column in columns.items()
        }
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def append(self, block: PointBlock) -> None:
        """Add the points of `block` at the end."""
        end = self._count + len(block)
        for name, column in self._columns.items():
            if end > len(column):
                grown = np.empty((max(_FIRST_CAPACITY, 2 * end), *column.shape[1:]), column.dtype)
                grown[: self._count] = column[: self._count]
                self._columns[name] = grown
            self._columns[name][self._count : end] = getattr(block, name)
        self._count = end

    def take_out(self, rows: NDArray[np.bool_]) -> PointBlock:
        """Take out the points of `rows` (N,); blocks that were read before keep them."""
        block = self.block()
        rest = block.select(~rows)
        self._columns = {name: np.array(getattr(rest, name)) for name in self._columns}
        self._count = len(rest)
        return block.select(rows)

    def block(self) -> PointBlock:
        """Everything so far, read-only."""
        return PointBlock(**{name: _frozen(column[: self._count]) for name, column in self._columns.items()})


def _frozen(view: NDArray[Any]) -> NDArray[Any]:
    view.flags.writeable = False
    return view
