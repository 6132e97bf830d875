"""The joint denoiser D(x; σ): backbone, Bayes gate and heads in one module.

Input is a `Conditions` value (state at its noise map, candidates and their features), output a `Denoised` value. How
states are made, noised and sampled is left to `examples`, `losses` and `sampler`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from model.diffusion import candidates as cand
from model.diffusion.backbone import UNet
from model.diffusion.gate import (
    Slots,
    free_log_likelihood,
    gate_weights,
    light_mismatch,
    log_likelihood,
    mixture,
    squared_distance,
)
from model.diffusion.precondition import get_scalings, noise_input, wiener_input

FULL_WIDTH = 32
"""Channels at full resolution."""
SLOPES = cand.FEATURES + 1
"""Per-candidate features that the context weighs: the static ones and the PL mismatch."""


@dataclass(frozen=True)
class Conditions:
    """What the denoiser looks at.

    Attributes:
        x: (B, C, h, w) state: EBSD channels, then PL channels.
        sigma: (B, C, h, w) noise level of each pixel and channel (EBSD channels share one value per pixel).
        points: (B, N, E) embeddings of the measured points.
        points_light: (B, N, L) standardised PL predicted from them.
        index: (B, K, h, w) int64 candidate indices into the points.
        known: (B, K, h, w) bool.
        prior: (B, K + 1, h, w) log-probability of each candidate and of none, before the network.
        features: (B, K, FEATURES, h, w) static candidate features.
        context: (B, cand.CONTEXT, h, w).
    """

    x: Tensor
    sigma: Tensor
    points: Tensor
    points_light: Tensor
    index: Tensor
    known: Tensor
    prior: Tensor
    features: Tensor
    context: Tensor


@dataclass(frozen=True)
class Denoised:
    """What the denoiser says.

    Attributes:
        ebsd: (B, E, h, w) E[x0 | x, σ] of the EBSD channels, as the gate's mixture.
        free: (B, E, h, w) the free branch alone.
        light: (B, L, h, w) E[x0 | x, σ] of the PL channels.
        weights: (B, K, h, w) probability of each candidate.
        free_weight: (B, 1, h, w) probability of none of them.
        boundary: (B, 2, h, w) logits: a grain boundary to the right, below.
        wrong: (B, 1, h, w) logit: the heaviest cluster of candidates is not the truth.
    """

    ebsd: Tensor
    free: Tensor
    light: Tensor
    weights: Tensor
    free_weight: Tensor
    boundary: Tensor
    wrong: Tensor


class Denoiser(nn.Module):
    """D(x; σ) for one state space."""

    sigma_data: Tensor

    def __init__(self, sigma_data: Tensor, light_channels: int) -> None:
        super().__init__()
        self.light_channels = light_channels
        self.ebsd_channels = len(sigma_data) - light_channels
        self.register_buffer("sigma_data", sigma_data.reshape(1, -1, 1, 1))
        channels, slots = len(sigma_data), cand.COUNT
        per_slot = cand.FEATURES + (1 if light_channels else 0)
        inputs = channels + 1 + light_channels + slots * per_slot + 1 + cand.CONTEXT
        self.stem = nn.Conv2d(inputs, FULL_WIDTH, 1)
        self.backbone = UNet(FULL_WIDTH, FULL_WIDTH)
        self.fuse = nn.Conv2d(2 * FULL_WIDTH, FULL_WIDTH, 3, padding=1)
        self.outputs = (slots, SLOPES, 1, self.ebsd_channels, light_channels, 2, 1)
        self.head = nn.Conv2d(FULL_WIDTH, sum(self.outputs), 1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(cast(Tensor, self.head.bias))
        self.log_tolerance = nn.Parameter(torch.tensor(-1.5))

    @property
    def multiple(self) -> int:
        """Map edges must be multiples of this."""
        return self.backbone.multiple

    def forward(self, given: Conditions) -> Denoised:
        """One evaluation."""
        slots = Slots.of(given.index, given.known, given.points.shape[1])
        light_sigma = given.sigma[:, self.ebsd_channels :]
        light = given.x[:, self.ebsd_channels :]
        features = given.features
        if self.light_channels:
            mismatch = light_mismatch(light, light_sigma, given.points_light, slots)
            features = torch.cat([features, mismatch.unsqueeze(2)], 2)
        heads = self._context(given, features)
        return self._read(given, slots, features, heads)

    def _context(self, given: Conditions, features: Tensor) -> Tensor:
        known = given.known.unsqueeze(2).to(features.dtype)
        maps = [
            wiener_input(given.x, given.sigma, self.sigma_data),
            noise_input(given.sigma[:, :1]),
            noise_input(given.sigma[:, self.ebsd_channels :]),
            (features * known).flatten(1, 2),
            given.prior[:, -1:] / 4,
            given.context,
        ]
        stem = F.silu(self.stem(torch.cat(maps, 1).contiguous(memory_format=torch.channels_last)))
        deep = self.backbone(stem)
        return self.head(F.silu(self.fuse(torch.cat([stem, deep], 1)))).float()

    def _read(self, given: Conditions, slots: Slots, features: Tensor, heads: Tensor) -> Denoised:
        slot, slope, free_bias, f_ebsd, f_light, boundary, wrong = heads.split(self.outputs, 1)
        split = self.ebsd_channels
        sigma = given.sigma[:, :1]
        x_ebsd, x_light = given.x[:, :split], given.x[:, split:]
        skip, out = get_scalings(given.sigma, self.sigma_data)
        free = skip[:, :split] * x_ebsd + out[:, :split] * f_ebsd
        light = skip[:, split:] * x_light + out[:, split:] * f_light
        tolerance = self.log_tolerance.exp()
        distance2 = squared_distance(x_ebsd, given.points, slots)
        context = slot + (slope[:, : features.shape[2]].unsqueeze(1) * features).sum(2)
        logits = given.prior[:, :-1] + context + log_likelihood(distance2, sigma, tolerance)
        off = (x_ebsd - free.detach()).square().sum(1, keepdim=True)
        free_logit = given.prior[:, -1:] + free_bias + free_log_likelihood(off, sigma, tolerance, 1.0)
        weights, free_weight = gate_weights(logits, free_logit, given.known)
        ebsd = mixture(weights, given.points, slots, free_weight, free)
        return Denoised(ebsd, free, light, weights, free_weight, boundary, wrong)
