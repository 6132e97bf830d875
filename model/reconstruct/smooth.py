"""Mean-field smoothing of candidate weights: neighbouring pixels tend to belong to the same grain.

Algorithm: coordinate-wise mean field of a Potts model over the eight neighbours of a pixel, in checkerboard order
(Koller & Friedman, Probabilistic Graphical Models, 2009, ch. 11.5). What the weights start from is decided elsewhere.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

_OFFSETS = np.array([(-1, 0), (1, 0), (0, -1), (0, 1), (-1, -1), (-1, 1), (1, -1), (1, 1)])
_REACH = (1 / np.hypot(_OFFSETS[:, 0], _OFFSETS[:, 1])).astype(np.float32)


def mean_field(
    log_prior: NDArray[np.float32], label: NDArray[np.int32], coupling: float, sweeps: int
) -> NDArray[np.float32]:
    """(h, w, K + 1) marginal probabilities of K labelled candidates and, last, of the unlabelled rest.

    Args:
        log_prior: (h, w, K + 1) unnormalised log-probabilities; −inf is impossible.
        label: (h, w, K) candidates that count as equal between pixels; −1 is none and comes last.
        coupling: log-odds that an edge neighbour of the same label adds; a corner neighbour adds 1/√2 of it.
        sweeps: passes over the image.
    """
    belief = np.exp(log_prior - log_prior.max(axis=-1, keepdims=True))
    belief /= belief.sum(axis=-1, keepdims=True)
    strength = np.float32(coupling) * _REACH
    for sweep in range(2 * sweeps):
        _half_sweep(belief, log_prior, label, strength, sweep % 2)
    return belief


@njit(cache=True, nogil=True)
def _half_sweep(
    belief: NDArray[np.float32],
    log_prior: NDArray[np.float32],
    label: NDArray[np.int32],
    strength: NDArray[np.float32],
    parity: int,
) -> None:
    h, w, count = log_prior.shape
    energy = np.empty(count, np.float32)
    for r in range(h):
        for c in range((r + parity) % 2, w, 2):
            energy[:] = log_prior[r, c]
            for n in range(8):
                rr, cc = r + _OFFSETS[n, 0], c + _OFFSETS[n, 1]
                if 0 <= rr < h and 0 <= cc < w:
                    _add_vote(energy, label[r, c], label[rr, cc], belief[rr, cc], strength[n])
            _normalise(energy, belief[r, c])


@njit(cache=True, nogil=True)
def _add_vote(
    energy: NDArray[np.float32],
    mine: NDArray[np.int32],
    theirs: NDArray[np.int32],
    belief: NDArray[np.float32],
    strength: np.float32,
) -> None:
    """Add the neighbour's belief in each of my labels; the rest of both counts as one label."""
    count = len(mine)
    energy[count] += strength * belief[count]
    for k in range(count):
        if mine[k] < 0:
            return
        for j in range(count):
            if theirs[j] == mine[k]:
                energy[k] += strength * belief[j]
                break


@njit(cache=True, nogil=True)
def _normalise(energy: NDArray[np.float32], out: NDArray[np.float32]) -> None:
    """Write softmax(energy) to `out`."""
    top, total = energy.max(), np.float32(0)
    for k in range(len(energy)):
        out[k] = np.exp(energy[k] - top)
        total += out[k]
    for k in range(len(energy)):
        out[k] /= total
