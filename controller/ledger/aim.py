"""Pixels of the specimen and pixels of the instrument: which is which once the beam has drifted and that was noticed.

An instrument believes its own positions. Everything the controller decides and every map is in the frame of the
specimen, that of the first pass; every request and every answer is in that of the instrument. Only the ledger and who
reads a session back translate, with what stands here. Whether there is a drift is the business of
`controller.decide.drift`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.int32]


@dataclass(frozen=True)
class Correction:
    """A drift that is taken into account; ids of points ascend with time.

    Attributes:
        rows_px, columns_px: the beam hits the specimen so much farther down and right than before.
        from_point: points from this one on were measured so.
        aimed_from: points from this one on were asked for with that in mind.
    """

    rows_px: int
    columns_px: int
    from_point: int
    aimed_from: int

    @property
    def words(self) -> str:
        """What it says, for people."""
        way = way_words(self.rows_px, self.columns_px)
        return f"points from {self.from_point} on {way}, aimed by that from point {self.aimed_from} on"


def way_words(rows_px: float, columns_px: float, form: str = "d") -> str:
    """A way over the grid, for people; `form` of its numbers."""
    down, right = ("down" if rows_px > 0 else "up"), ("right" if columns_px > 0 else "left")
    return f"{abs(rows_px):{form}} px {down} and {abs(columns_px):{form}} px {right}"


def measured_offsets(corrections: Sequence[Correction], point_id: NDArray[np.int64]) -> Pixels:
    """(N, 2) pixels from where the instrument says it measured points (N,) to where on the specimen that was."""
    return _sums(corrections, [point_id >= one.from_point for one in corrections], len(point_id))


def aimed_offsets(corrections: Sequence[Correction], point_id: NDArray[np.int64]) -> Pixels:
    """(N, 2) pixels from where points (N,) were asked for to where on the specimen they were meant to be."""
    return _sums(corrections, [point_id >= one.aimed_from for one in corrections], len(point_id))


def _sums(corrections: Sequence[Correction], holds: list[NDArray[np.bool_]], count: int) -> Pixels:
    offsets = np.zeros((count, 2), np.int32)
    for one, rows in zip(corrections, holds, strict=True):
        offsets[rows] += np.array([one.rows_px, one.columns_px], np.int32)
    return offsets


class Aim:
    """What is known of the drift now.

    Attributes:
        corrections: of the run, oldest first.
    """

    def __init__(self) -> None:
        self.corrections: list[Correction] = []

    @property
    def offset_px(self) -> Pixels:
        """(2,) pixels from where the instrument says the beam is to where on the specimen it is."""
        sums = [(one.rows_px, one.columns_px) for one in self.corrections]
        return np.array(sums, np.int32).reshape(-1, 2).sum(axis=0, dtype=np.int32)

    def instrument_px(self, specimen_px: Pixels) -> Pixels:
        """(N, 2) where to send the beam so that it hits pixels (N, 2) of the specimen."""
        return specimen_px - self.offset_px

    def specimen_px(self, point_id: NDArray[np.int64], instrument_px: Pixels) -> Pixels:
        """(N, 2) pixels of the specimen, perhaps outside the grid, that points (N,) said to be at (N, 2) lie on."""
        return instrument_px + measured_offsets(self.corrections, point_id)

    def reachable(self, shape_px: tuple[int, ...]) -> NDArray[np.bool_]:
        """(h, w) bool, pixels of the specimen that the instrument can be sent to."""
        reach = np.zeros(shape_px, np.bool_)
        rows, columns = (
            slice(max(0, shift), max(0, size + min(0, shift)))
            for shift, size in zip(self.offset_px.tolist(), shape_px, strict=True)
        )
        reach[rows, columns] = True
        return reach
