"""Importance weights of a few samples: tempered so that some survive, and resampling by them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

EFFECTIVE = 0.5
"""Share of the samples that stays effective."""
_BISECTIONS = 40

Floats = NDArray[np.float64]


def tempered(score: Floats) -> Floats:
    """(n,) softmax of power · score with the largest power ≤ 1 that keeps `EFFECTIVE` · n samples effective.

    Adaptive tempering (Jasra et al. 2011): scores of thousands of pixels differ by hundreds, and one sample would win
    whatever the errors that its pixels share.
    """
    if effective(softmax(score)) >= EFFECTIVE * len(score):
        return softmax(score)
    low, high = 0.0, 1.0
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if effective(softmax(middle * score)) >= EFFECTIVE * len(score) else (low, middle)
    return softmax(low * score)


def effective(weight: Floats) -> float:
    """Effective number of samples, 1/Σw²."""
    return float(1 / np.square(weight).sum())


def resampled(weight: Floats, rng: np.random.Generator) -> NDArray[np.intp]:
    """(n,) indices: sample i comes n·w_i times, rounded up or down (systematic resampling, Kitagawa 1996)."""
    count = len(weight)
    at = (rng.random() + np.arange(count)) / count
    return np.minimum(np.searchsorted(np.cumsum(weight), at, side="right"), count - 1)
