"""The Bayes gate: which of the measured orientations nearby does a pixel belong to?

Given sparse points the posterior of a pixel is nearly discrete, so the denoised estimate is a mixture over candidate
orientations y_k plus a free branch. The likelihood term is analytic; the network supplies the context. These are plain
functions of tensors; nothing is learnt here. Candidates are rows of a table of points (`Slots`) and are looked up slot
by slot: laid out per pixel they would be K times the state and cost more to move than the network to evaluate.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F  # noqa: N812


@dataclass(frozen=True)
class Slots:
    """Which points are the candidates of each pixel.

    Attributes:
        rows: (B, K, h, w) int64 rows of tables that hold the points of all B maps one after another.
        known: (B, K, h, w) bool; false where a slot holds no candidate.
    """

    rows: Tensor
    known: Tensor

    @staticmethod
    def of(index: Tensor, known: Tensor, points: int) -> Slots:
        """Slots for indices (B, K, h, w) into `points` points of each map."""
        first = torch.arange(len(index), device=index.device).reshape(-1, 1, 1, 1) * points
        return Slots(index + first, known)

    def per_slot(self, each: Tensor, table: Tensor, weight: Tensor | None = None) -> Tensor:
        """(B, K, h, w) sums over channels of (each − table row)², for `each` (B, C, h, w), `table` (B, N, C).

        `weight` (B, C, h, w) weighs the channels. Without gradient; on a processor by a compiled loop.
        """
        with torch.no_grad():
            if each.device.type == "cpu":
                return _compiled_sums(each, table, self.rows, weight)
            return self.sums_by_tensors(each, table, weight)

    def sums_by_tensors(self, each: Tensor, table: Tensor, weight: Tensor | None) -> Tensor:
        """As `per_slot`, by tensor operations on any device."""
        batch, count, h, w = self.rows.shape
        flat, entries = _pixels(each), table.flatten(0, 1)
        scale = None if weight is None else _pixels(weight)
        out = each.new_empty(count, batch, h, w)
        for k in range(count):
            square = (flat - entries.index_select(0, self.rows[:, k].reshape(-1))).square_()
            out[k] = (square if scale is None else square.mul_(scale)).sum(-1).reshape(batch, h, w)
        return out.transpose(0, 1)


def _compiled_sums(each: Tensor, table: Tensor, rows: Tensor, weight: Tensor | None) -> Tensor:
    from grainloop.model.diffusion.network._slot_kernels import sums_of_squares

    out = each.new_empty(rows.shape)
    planes = (_planes(each), table.detach().flatten(0, 1).contiguous().numpy(), _planes(rows))
    scale = planes[0][:0] if weight is None else _planes(weight)
    sums_of_squares(*planes, scale, weight is not None, out.flatten(2).numpy())
    return out


def _planes(x: Tensor) -> NDArray[Any]:
    """(B, C, h, w) → (B, C, h·w)."""
    return x.detach().flatten(2).contiguous().numpy()


def _pixels(x: Tensor) -> Tensor:
    """(B, C, h, w) → (B·h·w, C)."""
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])


def squared_distance(x: Tensor, points: Tensor, slots: Slots) -> Tensor:
    """|x − y_k|² (B, K, h, w) of states x (B, E, h, w) and the candidates among points (B, N, E); no gradient."""
    return slots.per_slot(x, points)


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


def mixture(weights: Tensor, points: Tensor, slots: Slots, free_weight: Tensor, free: Tensor) -> Tensor:
    """Σ_k w_k y_k + w_free · free as (B, E, h, w); the candidates are among points (B, N, E)."""
    batch, _, h, w = weights.shape
    rows, shares = _pixels(slots.rows), _pixels(weights)
    discrete = F.embedding_bag(rows, points.flatten(0, 1), per_sample_weights=shares, mode="sum")
    return discrete.reshape(batch, h, w, -1).permute(0, 3, 1, 2) + free_weight * free


def light_mismatch(light: Tensor, sigma: Tensor, predicted: Tensor, slots: Slots, floor: float = 0.15) -> Tensor:
    """χ²_k of PL seen against PL predicted from each candidate; no gradient.

    Args:
        light: (B, L, h, w) standardised PL state at its own noise level.
        sigma: (B, L, h, w) that level; 80 where there is no PL, which makes the mismatch vanish.
        predicted: (B, N, L) standardised prediction from each point.
        slots: the candidates among these points.
        floor: standardised deviation of the polynomial prediction from real optics.

    Returns:
        (B, K, h, w) mean over the channels, compressed as log(1 + χ²).
    """
    # A level of 80 says that there is no PL at all: the state there is noise and must not count.
    with torch.no_grad():
        weight = (sigma < 40) / (sigma.square() + floor**2) / light.shape[1]
    return slots.per_slot(light, predicted, weight).log1p_()


EDM_LOG_MEAN, EDM_LOG_STD = log(1.0), 1.2
"""Log-normal noise levels in training, centred where neighbouring grains become confusable."""
