"""The points of a recorded run as an instrument: it answers what was measured, and, where the whole map is known, more.

What is asked for is decided by an ordinary run (`controller.recorded.redecide`); nothing here chooses a point.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grainloop.protocols.capabilities import Capabilities
from grainloop.protocols.errors import DeviceFailed
from grainloop.protocols.messages import (
    Describe,
    Description,
    Forgotten,
    LightRequest,
    LightTaken,
    Park,
    Parked,
    PointsMeasured,
    ScanDone,
    ScanRequest,
    Stored,
)
from grainloop.protocols.shapes import decode_pieces, exposure_ends_s
from grainloop.protocols.values import LightImages, PointBlock

Beyond = Callable[[ScanRequest], PointBlock]
"""Measures on a map what the recorded run did not; times do not count."""
_MOST = np.iinfo(np.uint8).max
_LONGEST_NAME = 100


class RecordedPoints:
    """What was measured, to be given out again: the first measurement of a pixel first.

    Args:
        points: of the recorded run, in order.
        beyond: measures what is not among them; without it there is no more.

    Attributes:
        recorded, beyond: how many points were answered by the recording, and how many by the map.
    """

    def __init__(self, points: PointBlock, beyond: Beyond | None = None) -> None:
        self._points, self._measure = points, beyond
        self._rows = defaultdict[tuple[int, int], list[int]](list)
        for row, (r, c) in enumerate(points.position_px.tolist()):
            self._rows[r, c].append(row)
        self._given = Counter[tuple[int, int]]()
        self.recorded = self.beyond = 0

    def times(self, shape_px: tuple[int, int]) -> NDArray[np.uint8] | None:
        """(h, w) how often each pixel can be answered; nothing where that has no limit."""
        if self._measure is not None:
            return None
        times = np.zeros(shape_px, np.int64)
        np.add.at(times, tuple(self._points.position_px.T), 1)
        return np.minimum(times, _MOST).astype(np.uint8)

    def take(self, request: ScanRequest, time_s: NDArray[np.float64]) -> PointBlock:
        """The points of a request as they were measured, at other times.

        Raises:
            DeviceFailed: one of them was not measured, and there is no map.
        """
        rows = np.array([self._next(r, c) for r, c in request.position_px.tolist()], np.int64)
        known = rows >= 0
        found = self._points.select(rows[known])
        if not known.all():
            found = _joined(known, found, self._on_the_map(request, ~known))
        self.recorded, self.beyond = self.recorded + int(known.sum()), self.beyond + int((~known).sum())
        update = {"point_id": request.point_id, "position_px": request.position_px, "time_s": time_s}
        return found.model_copy(update=update)

    def _next(self, row: int, column: int) -> int:
        """The next measurement of a pixel, -1 where there is none."""
        given, rows = self._given[row, column], self._rows.get((row, column), [])
        if given >= len(rows):
            return -1
        self._given[row, column] += 1
        return rows[given]

    def _on_the_map(self, request: ScanRequest, which: NDArray[np.bool_]) -> PointBlock:
        if self._measure is None:
            row, column = (int(n) for n in request.position_px[which][0])
            raise DeviceFailed(f"Row {row}, column {column} was not measured in the recorded run.", field="position_px")
        update = {
            "point_id": request.point_id[which],
            "position_px": request.position_px[which],
            "pieces": None,
            "not_before_s": 0.0,
        }
        return self._measure(request.model_copy(update=update))


class RecordedInstrument:
    """An instrument that answers at once from a recording; its clock runs by the declared costs.

    Args:
        declared: of the instrument that was recorded.
        points: that it answers with.
        light: PL images as recorded, and the seconds they took; nothing where none were taken.
    """

    def __init__(
        self, declared: Capabilities, points: RecordedPoints, light: tuple[LightImages, float] | None = None
    ) -> None:
        name = f"recording of {declared.name}"[:_LONGEST_NAME]
        self.capabilities = declared.model_copy(update={"name": name, "simulated": True})
        self.points, self._light = points, light
        self._clock_s = 0.0
        self._beam: tuple[int, int] | None = None

    async def request(
        self,
        message: Any,
        *,
        deadline_s: float,  # noqa: ARG002
        on_progress: Callable[[Any], None] | None = None,
    ) -> Any:
        """See `controller.run.links.Asks`."""
        match message:
            case Describe():
                return Description(capabilities=self.capabilities)
            case LightRequest():
                return self._take_light(message)
            case ScanRequest():
                return self._scan(message, on_progress)
            case Stored():
                return Forgotten(batches=0)
            case Park():
                return Parked()
            case _:
                raise DeviceFailed(f"A recording does not answer {type(message).__name__}.")

    def _take_light(self, request: LightRequest) -> LightTaken:
        if self._light is None:
            raise DeviceFailed("The recorded run has no PL images.", field="light")
        light, seconds = self._light
        self._clock_s += seconds
        return LightTaken(section=request.section, light=light, seconds=seconds)

    def _scan(self, request: ScanRequest, on_progress: Callable[[Any], None] | None) -> ScanDone:
        began_s = max(self._clock_s, request.not_before_s)
        pieces = decode_pieces(request.pieces, len(request.point_id))
        timing = self.capabilities.timing
        ends_s = exposure_ends_s(request.position_px, pieces, self._beam, request.dwell_s, timing)
        block = self.points.take(request, began_s + ends_s)
        idle_s, self._clock_s = began_s - self._clock_s, float(block.time_s[-1])
        row, column = request.position_px[-1]
        self._beam = int(row), int(column)
        if on_progress is not None:
            on_progress(PointsMeasured(batch=request.batch, points=block))
        return ScanDone(
            batch=request.batch,
            points=len(block),
            started_s=began_s,
            finished_s=self._clock_s,
            idle_s=idle_s,
        )


def _joined(first: NDArray[np.bool_], one: PointBlock, other: PointBlock) -> PointBlock:
    """Columns of `one` where `first` (N,), of `other` elsewhere."""
    columns = dict[str, Any]()
    for name in PointBlock.model_fields:
        mine, theirs = getattr(one, name), getattr(other, name)
        column = np.empty((len(first), *mine.shape[1:]), mine.dtype)
        column[first], column[~first] = mine, theirs
        columns[name] = column
    return PointBlock(**columns)
