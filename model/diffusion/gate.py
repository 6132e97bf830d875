"""The Bayes gate: which of the measured orientations nearby does a pixel belong to?

Given sparse points the posterior of a pixel is nearly discrete, so the denoised estimate is a mixture over candidate
orientations y_k plus a free branch. The likelihood term is analytic; the network supplies the context. These are plain
functions of tensors laid out as (B, K, h, w) and (B, K, h, w, E); nothing is learnt here.
"""

from __future__ import annotations

from math import log

import torch
from torch import Tensor


def squared_distance(x: Tensor, y: Tensor) -> Tensor:
    """|x − y_k|² (B, K, h, w) of states x (B, E, h, w) and candidates y (B, K, h, w, E)."""
    return (x.permute(0, 2, 3, 1).unsqueeze(1) - y).square().sum(-1)


def log_likelihood(distance2: Tensor, sigma: Tensor, tolerance: Tensor) -> Tensor:
    """Gaussian log-likelihood of the state given a candidate, up to a constant.

    `tolerance` is the spread of true orientations about a measured one (its noise and the gradients inside a grain);
    it keeps a candidate alive at noise levels below that spread.
    """
    return -0.5 * distance2 / (sigma.square() + tolerance.square())


def free_log_likelihood(distance2: Tensor, sigma: Tensor, tolerance: Tensor, spread: float) -> Tensor:
    """The same for the free branch, which fits three angles: its Occam factor is (3/2)·log(1 + s²/σ²)."""
    variance = sigma.square() + tolerance.square()
    return -0.5 * distance2 / variance - 1.5 * torch.log1p(spread**2 / variance)


def gate_weights(logits: Tensor, free_logit: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
    """Softmax over the candidates and the free branch.

    Args:
        logits: (B, K, h, w).
        free_logit: (B, 1, h, w).
        known: (B, K, h, w) bool; slots that hold no candidate get no weight.

    Returns:
        Weights of the candidates (B, K, h, w) and of the free branch (B, 1, h, w); they sum to 1.
    """
    weights = torch.softmax(torch.cat([logits.masked_fill(~known, float("-inf")), free_logit], 1), 1)
    return weights[:, :-1], weights[:, -1:]


def mixture(weights: Tensor, y: Tensor, free_weight: Tensor, free: Tensor) -> Tensor:
    """Σ_k w_k y_k + w_free · free as (B, E, h, w)."""
    discrete = (weights.unsqueeze(-1) * y).sum(1).permute(0, 3, 1, 2)
    return discrete + free_weight * free


def light_mismatch(light: Tensor, sigma: Tensor, predicted: Tensor, floor: float = 0.15) -> Tensor:
    """χ²_k of PL seen against PL predicted from each candidate.

    Args:
        light: (B, L, h, w) standardised PL state at its own noise level.
        sigma: (B, L, h, w) that level; 80 where there is no PL, which makes the mismatch vanish.
        predicted: (B, K, h, w, L) standardised prediction from each candidate.
        floor: standardised deviation of the polynomial prediction from real optics.

    Returns:
        (B, K, h, w) mean over the channels, compressed as log(1 + χ²).
    """
    deviation = light.permute(0, 2, 3, 1).unsqueeze(1) - predicted
    variance = (sigma.square() + floor**2).permute(0, 2, 3, 1).unsqueeze(1)
    # A level of 80 says that there is no PL at all: the state there is noise and must not count.
    known = (sigma < 40).to(light.dtype).permute(0, 2, 3, 1).unsqueeze(1)
    return torch.log1p((deviation.square() / variance * known).mean(-1))


EDM_LOG_MEAN, EDM_LOG_STD = log(1.0), 1.2
"""Log-normal noise levels in training, centred where neighbouring grains become confusable."""
