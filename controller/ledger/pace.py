"""How long things take: batches by declared costs and as observed, decisions as measured.

Pure arithmetic. How large a batch must be for that is the business of `controller.decide.sizes`, what still fits into
the budget that of `controller.ledger.ledger`.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from grainloop.controller.geometry import path_length
from grainloop.controller.plans import Terms
from grainloop.protocols.shapes import Piece, exposure_ends_s

Pixels = NDArray[np.int32]

_REMEMBERED = 8
_HIGH = 0.8


class Pace:
    """The pace of instrument and model.

    Attributes:
        slowest: longest duration of a batch seen, as a multiple of the declared one, and 1 at least; limits rely on it.
        newest: the same of the newest batch; 1 before the first.
    """

    def __init__(self, terms: Terms) -> None:
        timing, self._dwell_s = terms.capabilities.timing, terms.dwell_s
        self._each_s = timing.settle_s + timing.point_overhead_s + self._dwell_s
        self._timing, self._pixels = timing, terms.capabilities.grid.size
        self.slowest = self.newest = 1.0
        self._decisions = deque[float](maxlen=_REMEMBERED)

    def declared_s(self, pixels: Pixels, start: Pixels | None, pieces: Sequence[Piece] | None = None) -> float:
        """Declared duration of a batch along `pixels` in this order, from where the beam stands, of these pieces."""
        if pieces is not None:
            beam_px = None if start is None else (int(start[0]), int(start[1]))
            return float(exposure_ends_s(pixels, pieces, beam_px, self._dwell_s, self._timing)[-1])
        travel = self._timing.travel_s_per_px * path_length(pixels, start=start)
        return self._timing.batch_overhead_s + self._each_s * len(pixels) + travel

    def batch_took(self, seconds: float, declared_s: float) -> None:
        """Learn from a finished batch."""
        self.newest = seconds / declared_s
        self.slowest = max(self.slowest, self.newest)

    def decision_took(self, seconds: float) -> None:
        """Learn from a decision of the model."""
        self._decisions.append(seconds)

    @property
    def decision_s(self) -> float:
        """What a decision takes at worst in four cases of five, by the newest ones; 0 before the first."""
        return float(np.quantile(self._decisions, _HIGH)) if self._decisions else 0.0

    def points_lasting(self, seconds: float) -> int:
        """The fewest points that keep the instrument busy for so long, at its newest pace and without travel."""
        net_s = seconds / max(self.newest, 1e-6) - self._timing.batch_overhead_s
        return max(1, math.ceil(net_s / self._each_s))

    def points_within(self, seconds: float, most: int) -> int:
        """About how many points spread over the section fit into a declared duration; 1 at least."""
        low, high = 1, most
        while low < high:
            middle = (low + high + 1) // 2
            travel = self._timing.travel_s_per_px * math.sqrt(self._pixels * middle)
            low, high = (middle, high) if self._each_s * middle + travel <= seconds else (low, middle - 1)
        return low
