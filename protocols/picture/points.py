"""The points of a run in the order in which they came, placed on the specimen by the corrections known so far."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from grainloop.protocols.messages.snapshots import PointsPage
from grainloop.protocols.messages.updates import DriftCorrected, PointsCame

_COLUMNS: Final[dict[str, tuple[type, tuple[int, ...]]]] = {
    "batch": (np.int64, ()),
    "point_id": (np.int64, ()),
    "position_px": (np.int32, (2,)),
    "status": (np.uint8, ()),
    "phase_id": (np.uint8, ()),
    "orientation": (np.float32, (4,)),
}
_ROOM: Final = 1024


def shift_px(corrections: Sequence[DriftCorrected], point_id: NDArray[np.int64]) -> NDArray[np.int32]:
    """(N, 2) how far corrections move each point, in rows and columns."""
    moved = np.zeros((len(point_id), 2), np.int32)
    for one in corrections:
        moved[point_id >= one.from_point] += np.array([one.rows_px, one.columns_px], np.int32)
    return moved


class Points:
    """Columns of equal length N that grow; arrays that were given out are views, changed by corrections alone."""

    def __init__(self) -> None:
        self._rows = 0
        self._columns = {name: np.empty((_ROOM, *tail), dtype) for name, (dtype, tail) in _COLUMNS.items()}

    def __len__(self) -> int:
        return self._rows

    def column(self, name: str) -> NDArray[Any]:
        """(N, …) batch, point_id, position_px, status, phase_id or orientation."""
        return self._columns[name][: self._rows]

    def add(self, came: PointsCame | PointsPage, most: int | None = None) -> None:
        """More points behind those that are there, the first `most` of them."""
        rows, count = self._rows, len(came.point_id) if most is None else most
        self._make_room(rows + count)
        for name, column in self._columns.items():
            values = getattr(came, name)  # one batch for all of them, or a column
            column[rows : rows + count] = values if isinstance(values, int) else values[:count]
        self._rows += count

    def move(self, correction: DriftCorrected) -> None:
        """Move those that lie elsewhere, as is known now."""
        self.column("position_px")[...] += shift_px([correction], self.column("point_id"))

    def page(self, run: str, first: int, count: int, corrections: Sequence[DriftCorrected], applied: int) -> PointsPage:
        """A stretch as it was when the first `applied` of the corrections were known."""
        stretch = slice(first, min(first + count, self._rows))
        columns: dict[str, Any] = {name: self.column(name)[stretch].copy() for name in _COLUMNS}
        columns["position_px"] -= shift_px(corrections[applied:], columns["point_id"])
        return PointsPage(run=run, first=first, corrections=applied, **columns)

    def _make_room(self, rows: int) -> None:
        room = len(self._columns["point_id"])
        if rows <= room:
            return
        for name, column in self._columns.items():
            wider = np.empty((max(rows, 2 * room), *column.shape[1:]), column.dtype)
            wider[: self._rows] = column[: self._rows]
            self._columns[name] = wider
