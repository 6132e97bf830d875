"""Compiled loops of `within`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from grainloop.model.jit import kernel

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]


@kernel
def interpolate(
    place: Ints, chosen: Ints, position: Ints, orientation: Floats, partner: Ints, turned: Floats, width: Floats
) -> Floats:
    """(M, 4) unit quaternions at `place` (M, 2): means over the seed `chosen` (M,) and its partners.

    Weights are exp(−d²/2b²) of the distance d to each, relative to the nearest of them, with b the `width` of the seed.
    """
    out = np.empty((len(place), 4), np.float32)
    weight = np.empty(partner.shape[1] + 1, np.float64)
    for i in range(len(place)):
        s = chosen[i]
        scale = 0.5 / (width[s] * width[s])
        nearest = 1e30
        for k in range(len(weight)):
            weight[k] = 1e30
            p = s if k == 0 else partner[s, k - 1]
            if p >= 0:
                dr, dc = place[i, 0] - position[p, 0], place[i, 1] - position[p, 1]
                weight[k] = (dr * dr + dc * dc) * scale
                nearest = min(nearest, weight[k])
        total = np.zeros(4, np.float64)
        for k in range(len(weight)):
            if weight[k] < 1e29:
                share = np.exp(nearest - weight[k])
                for e in range(4):
                    total[e] += share * (orientation[s, e] if k == 0 else turned[s, k - 1, e])
        length = np.sqrt((total * total).sum())
        for e in range(4):
            out[i, e] = total[e] / length
    return out
