"""Mean-field smoothing of candidate weights: neighbouring pixels tend to belong to the same grain.

Algorithm: coordinate-wise mean field of a Potts model over the eight neighbours of a pixel, in checkerboard order
(Koller & Friedman, Probabilistic Graphical Models, 2009, ch. 11.5). What the weights start from is decided elsewhere.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


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
    from grainloop.model.reconstruct import _weight_kernels as kernels

    prior, label = np.ascontiguousarray(log_prior), np.ascontiguousarray(label)
    belief = probabilities(prior)
    kernels.sweeps(belief, prior, label, coupling, 2 * sweeps)
    return belief


def probabilities(log_prior: NDArray[np.float32]) -> NDArray[np.float32]:
    """(h, w, K) normalised along the last axis: the softmax of unnormalised log-probabilities."""
    from grainloop.model.reconstruct import _weight_kernels as kernels

    out = np.empty(log_prior.shape, np.float32)
    kernels.softmax(np.ascontiguousarray(log_prior), out)
    return out
