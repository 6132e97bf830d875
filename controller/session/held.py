"""Points of a session file, read without the rest of it: what is damaged elsewhere costs none of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grainloop.controller.session.reader import opened_session, read_points
from grainloop.protocols.values import PointBlock


@dataclass(frozen=True)
class HeldPoints:
    """Acknowledged points as the instrument told them, in the order of arrival; in a damaged file one may stand twice.

    Attributes:
        points: N of them.
        batch: (N,) of each.
        asked_px: row and column at which a point was asked for, by its number; not of all where that is damaged.
    """

    points: PointBlock
    batch: NDArray[np.int32]
    asked_px: dict[int, tuple[int, int]]

    def select(self, kept: NDArray[np.bool_]) -> HeldPoints:
        """Some of them."""
        return HeldPoints(self.points.select(kept), self.batch[kept], self.asked_px)

    def once(self) -> HeldPoints:
        """Each number where it stands first."""
        first = np.zeros(len(self.batch), np.bool_)
        first[np.unique(self.points.point_id, return_index=True)[1]] = True
        return self.select(first)

    def numbers(self) -> list[tuple[int, int]]:
        """Batch and number of each."""
        return list(zip(self.batch.tolist(), self.points.point_id.tolist(), strict=True))


def held_points(path: Path) -> HeldPoints:
    """The points of a session file.

    Raises:
        BadInput: as `load_session`, but for damage that is not in the points.
    """
    with opened_session(path) as file:
        return HeldPoints(*read_points(file["measured"]), _asked_px(file))


def _asked_px(file: Any) -> dict[int, tuple[int, int]]:
    try:
        group = file["requested"]
        numbers, places = group["point_id"][:].tolist(), group["position_px"][:].tolist()
        return {number: (int(row), int(column)) for number, (row, column) in zip(numbers, places, strict=False)}
    except (AttributeError, KeyError, OSError, RuntimeError, TypeError, ValueError):  # as h5py and numpy have it
        return {}
