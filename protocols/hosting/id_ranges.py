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
    new = np.unique(ids)
    starts = np.flatnonzero(np.diff(new, prepend=new[:1] - 2) != 1)
    firsts, ends = new[starts], new[np.append(starts[1:], len(new)) - 1] + 1
    firsts, ends = np.concatenate([ranges[::2], firsts]), np.concatenate([ranges[1::2], ends])
    order = np.argsort(firsts, kind="stable")
    firsts, ends = firsts[order], np.maximum.accumulate(ends[order])
    apart = firsts[1:] > ends[:-1]
    first, end = np.append(True, apart)[: len(firsts)], np.append(apart, True)[-len(firsts) :]
    return np.stack([firsts[first], ends[end]], axis=1).reshape(-1)


def inside(ranges: Ids, ids: Ids) -> NDArray[np.bool_]:
    """(N,) which of the ids (N,) belong to a set."""
    return np.searchsorted(ranges, ids, side="right") % 2 == 1
