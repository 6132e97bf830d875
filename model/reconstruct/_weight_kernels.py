"""Compiled loops of `gate` and `smooth`: PL misfits, and mean-field sweeps over candidate weights."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from grainloop.model.jit import inlined, kernel

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]

_BLOCK = 128
"""Pixels whose PL is compared with one reference after the other: the innermost loop, which must vectorise."""
_OFFSETS = np.array([(-1, 0), (1, 0), (0, -1), (0, 1), (-1, -1), (-1, 1), (1, -1), (1, 1)])
_REACH = (1 / np.hypot(_OFFSETS[:, 0], _OFFSETS[:, 1])).astype(np.float32)
_LOG2_E, _LN2_HIGH, _LN2_LOW = np.float32(1.44269504), np.float32(0.693359375), np.float32(-2.12194440e-4)
_E2, _E3, _E4 = np.float32(0.5), np.float32(1.6666665459e-1), np.float32(4.1665795894e-2)
_E5, _E6, _E7 = np.float32(8.3334519073e-3), np.float32(1.3981999507e-3), np.float32(1.9875691500e-4)
_ONE, _LEAST = np.float32(1.0), np.float32(-87.0)


@inlined
def _exp(x: Any) -> Any:
    """Exp of float32 x ≤ 0 within 1e-7, 0 below −87; it vectorises. Moshier's Cephes, expf."""
    inside = max(x, _LEAST)
    n = np.floor(inside * _LOG2_E + _E2)
    t = inside - n * _LN2_HIGH - n * _LN2_LOW
    series = ((((_E7 * t + _E6) * t + _E5) * t + _E4) * t + _E3) * t + _E2
    power = np.int32((np.int32(n) + 127) << 23).view(np.float32)
    return (series * t * t + t + _ONE) * power if x > _LEAST else np.float32(0.0)


@kernel
def candidate_misfit(features: Floats, weight: Floats, expected: Floats, seed: Ints, cap: float, out: Floats) -> None:
    """−min(cap, Σ weight (feature − expected)²) of (C, n) features for each candidate, into the first K of (n, K + 1).

    `expected` is (N, C), `seed` (n, K); entries of missing candidates (−1) are left alone.
    """
    limit = np.float32(cap)
    for x in range(seed.shape[0]):
        for k in range(seed.shape[1]):
            if seed[x, k] < 0:
                continue
            total = np.float32(0)
            for c in range(features.shape[0]):
                d = features[c, x] - expected[seed[x, k], c]
                total += weight[c, x] * d * d
            out[x, k] = -min(limit, total)


@kernel
def reference_likelihood(features: Floats, weight: Floats, reference: Floats, cap: float, out: Floats) -> None:
    """Mean over references (R, C) of exp −min(cap, Σ weight (feature − reference)²) of (C, n) features, into (n,)."""
    total, square = np.empty(_BLOCK, np.float32), np.empty(_BLOCK, np.float32)
    limit, share = np.float32(cap), np.float32(1 / len(reference))
    for start in range(0, len(out), _BLOCK):
        wide = min(_BLOCK, len(out) - start)
        total[:] = 0
        for r in range(len(reference)):
            square[:] = 0
            for c in range(features.shape[0]):
                _add_squares(features[c, start:], weight[c, start:], reference[r, c], square, wide)
            for x in range(wide):
                total[x] += _exp(-min(limit, square[x]))
        for x in range(wide):
            out[start + x] = total[x] * share


@inlined
def _add_squares(feature: Any, weight: Any, expected: Any, square: Any, wide: Any) -> None:
    for x in range(wide):
        d = feature[x] - expected
        square[x] += weight[x] * d * d


@inlined
def _softmax(energy: Any, out: Any) -> None:
    """Write softmax(energy) to `out`."""
    count = len(out)
    top, total = energy[0], np.float32(0)
    for k in range(1, count):
        top = max(top, energy[k])
    for k in range(count):
        out[k] = _exp(energy[k] - top)
    for k in range(count):
        total += out[k]
    for k in range(count):
        out[k] /= total


@kernel
def softmax(log_prior: Floats, out: Floats) -> None:
    """Along the last axis of (h, w, K)."""
    for r in range(log_prior.shape[0]):
        for c in range(log_prior.shape[1]):
            _softmax(log_prior[r, c], out[r, c])


@inlined
def _add_votes(energy: Any, slot: Any, theirs: Any, belief: Any, strength: Any) -> None:
    """Add the neighbour's belief in each of my labels; the rest of both counts as one label."""
    count = len(theirs)
    energy[count] += strength * belief[count]
    for j in range(count):
        if theirs[j] < 0:
            break
        energy[slot[theirs[j]]] += strength * belief[j]


@kernel
def sweeps(belief: Floats, log_prior: Floats, label: Ints, coupling: float, count: int) -> None:
    """Update `belief` (h, w, K + 1) in `count` half sweeps, each over one colour of the checkerboard in raster order.

    Corner neighbours have the same colour, so the order of the pixels matters.
    """
    h, w, slots = label.shape
    nowhere = slots + 1
    labels = 1
    for r in range(h):
        for c in range(w):
            for k in range(slots):
                labels = max(labels, label[r, c, k] + 1)
    slot = np.full(labels, nowhere, np.int32)  # where a label is among the candidates of the pixel
    energy = np.empty(slots + 2, np.float32)
    strength = np.float32(coupling) * _REACH
    for sweep in range(count):
        for r in range(h):
            for c in range((r + sweep) % 2, w, 2):
                for k in range(nowhere):  # quick to compile, which assigning to a slice is not
                    energy[k] = log_prior[r, c, k]
                for k in range(slots):
                    if label[r, c, k] >= 0:
                        slot[label[r, c, k]] = k
                for n in range(8):
                    y, x = r + _OFFSETS[n, 0], c + _OFFSETS[n, 1]
                    if 0 <= y < h and 0 <= x < w:
                        _add_votes(energy, slot, label[y, x], belief[y, x], strength[n])
                for k in range(slots):
                    if label[r, c, k] >= 0:
                        slot[label[r, c, k]] = nowhere
                _softmax(energy, belief[r, c])
