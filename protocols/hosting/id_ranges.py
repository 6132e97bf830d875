"""Sets of point ids as stretches of consecutive numbers: what stays of batches that need not be kept.

Stretches are sorted, do not touch, and stand one after the other in a flat array: first, last plus one, first, …
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]


def no_ids() -> Ids:
    """The empty set."""
    return np.empty(0, np.int64)


def with_ids(ranges: Ids, ids: Ids) -> Ids:
    """(2M,) the stretches of a set and more ids (N,) together."""
    firsts, ends = np.concatenate([ranges[::2], ids]), np.concatenate([ranges[1::2], ids + 1])
    if not len(firsts):
        return no_ids()
    order = np.argsort(firsts)
    firsts, ends = firsts[order], np.maximum.accumulate(ends[order])
    apart = firsts[1:] > ends[:-1]
    stretches = firsts[np.append(True, apart)], ends[np.append(apart, True)]
    return np.stack(stretches, axis=1).reshape(-1)


def inside(ranges: Ids, ids: Ids) -> NDArray[np.bool_]:
    """(N,) which of the ids (N,) belong to a set."""
    return np.searchsorted(ranges, ids, side="right") % 2 == 1
