"""One opinion from several: the geometric mean of probabilities by experts who saw the same evidence.

A logarithmic opinion pool (Genest & Zidek 1986). The arithmetic mean gives the same maps and more cautious claims.
"""

from __future__ import annotations

import torch
from torch import Tensor

LEAST = 1e-6
"""Probabilities count as no smaller, so that one member cannot rule a candidate out for all."""


def geometric_mean(members: list[Tensor]) -> Tensor:
    """Normalised geometric mean of probabilities (1, K + 1, h, w); what nobody thinks possible stays impossible."""
    logs = torch.stack([member.clamp_min(LEAST).log() for member in members]).mean(0)
    possible = torch.stack(members).amax(0) > 0
    return logs.masked_fill(~possible, float("-inf")).softmax(1)
