"""The joint denoiser D(x; σ): backbone, Bayes gate and heads in one module.

Input is a `Conditions` value (state at its noise map, candidates and their features), output a `Denoised` value. How
states are made, noised and sampled is left to `examples`, `losses` and `sampler`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from grainloop.model.diffusion.network import candidates as cand
from grainloop.model.diffusion.network.backbone import DEFAULT, make_backbone
from grainloop.model.diffusion.network.free_branch import FreeBranch
from grainloop.model.diffusion.network.gate import (
    Slots,
    free_log_likelihood,
    gate_weights,
    light_mismatch,
    log_likelihood,
    mixture,
    squared_distance,
)
from grainloop.model.diffusion.network.precondition import get_scalings, noise_input

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
        features: (B, K, FEATURES, h, w) static candidate features, 0 where there is no candidate.
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

    @property
    def state(self) -> Tensor:
        """(B, C, h, w) E[x0 | x, σ] of all channels, in the order of `Conditions.x`."""
        return torch.cat([self.ebsd, self.light], 1)


class Denoiser(nn.Module):
    """D(x; σ) for one state space, with one of the `BACKBONES`."""

    sigma_data: Tensor

    def __init__(self, sigma_data: Tensor, light_channels: int, backbone: str = DEFAULT) -> None:
        super().__init__()
        self.light_channels = light_channels
        self.ebsd_channels = len(sigma_data) - light_channels
        self.register_buffer("sigma_data", sigma_data.reshape(1, -1, 1, 1))
        channels, slots = len(sigma_data), cand.COUNT
        per_slot = cand.FEATURES + (1 if light_channels else 0)
        inputs = channels + 1 + light_channels + slots * per_slot + 1 + cand.CONTEXT
        self.stem = nn.Conv2d(inputs, FULL_WIDTH, 1)
        self.backbone = make_backbone(backbone, FULL_WIDTH, FULL_WIDTH)
        self.fuse = nn.Conv2d(2 * FULL_WIDTH, FULL_WIDTH, 3, padding=1)
        self.outputs = (slots, SLOPES, 1, self.ebsd_channels, light_channels, 2, 1)
        self.head = nn.Conv2d(FULL_WIDTH, sum(self.outputs), 1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(cast(Tensor, self.head.bias))
        self.log_tolerance = nn.Parameter(torch.tensor(-1.5))
        self.free_branch = FreeBranch(channels, self.ebsd_channels, 1 + light_channels, FULL_WIDTH)

    @property
    def multiple(self) -> int:
        """Map edges must be multiples of this."""
        return self.backbone.multiple

    def forward(self, given: Conditions, *, corrected: bool = True) -> Denoised:
        """One evaluation; where everything is unknown the free branch need not be `corrected`, see `free_branch`."""
        slots = Slots.of(given.index, given.known, given.points.shape[1])
        features = list(given.features.unbind(2))
        if self.light_channels:
            light, light_sigma = given.x[:, self.ebsd_channels :], given.sigma[:, self.ebsd_channels :]
            features.append(light_mismatch(light, light_sigma, given.points_light, slots) * given.known)
        skip, out = get_scalings(given.sigma, self.sigma_data)
        expected = skip * given.x
        levels = torch.cat([noise_input(given.sigma[:, :1]), noise_input(given.sigma[:, self.ebsd_channels :])], 1)
        context = self._context(given, features, expected, levels)
        heads = _to_table(self.head, context).float()
        free = None
        if corrected:
            free = self.free_branch(expected, self.sigma_data, out, levels, context).float()
        return self._read(given, slots, features, expected, out, heads, free)

    def _context(self, given: Conditions, features: list[Tensor], expected: Tensor, levels: Tensor) -> Tensor:
        """(B, FULL_WIDTH, h, w) what the heads and the free branch look at."""
        after = [given.prior[:, -1:] / 4, given.context]
        maps = _below_one_another([expected / self.sigma_data, levels], features, after)
        stem = F.silu(_from_table(self.stem, _table(self.stem.in_channels, maps, given.x)))
        deep = self.backbone(stem)
        return F.silu(self.fuse(torch.cat([stem, deep], 1)))

    def _read(
        self,
        given: Conditions,
        slots: Slots,
        features: list[Tensor],
        expected: Tensor,
        out: Tensor,
        heads: Tensor,
        correction: Tensor | None,
    ) -> Denoised:
        parts = (part.transpose(0, 1) for part in heads.split(self.outputs))
        slot, slope, free_bias, f_ebsd, f_light, boundary, wrong = parts
        f_ebsd = f_ebsd if correction is None else f_ebsd + correction
        split = self.ebsd_channels
        sigma, x_ebsd = given.sigma[:, :1], given.x[:, :split]
        free = torch.addcmul(expected[:, :split], out[:, :split], f_ebsd)
        light = torch.addcmul(expected[:, split:], out[:, split:], f_light)
        tolerance = self.log_tolerance.exp()
        distance2 = squared_distance(x_ebsd, given.points, slots)
        context = _weighed_sum(slot, slope, features)
        logits = given.prior[:, :-1] + context + log_likelihood(distance2, sigma, tolerance)
        off = (x_ebsd - free.detach()).square().sum(1, keepdim=True)
        free_logit = given.prior[:, -1:] + free_bias + free_log_likelihood(off, sigma, tolerance, 1.0)
        weights, free_weight = gate_weights(logits, free_logit, given.known)
        ebsd = mixture(weights, given.points, slots, free_weight, free)
        return Denoised(ebsd, free, light, weights, free_weight, boundary, wrong)


def _table(rows: int, maps: Iterable[tuple[slice, Tensor]], like: Tensor) -> Tensor:
    """(rows, B, h, w) of maps (B, C, h, w) in the rows named, in the precision of the products that follow.

    Channels come first and each map is cast as it is copied, because moving 114 full-resolution maps about costs as
    much as the layers that look at them.
    """
    device = like.device.type
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else like.dtype
    table = torch.empty(rows, len(like), *like.shape[2:], dtype=dtype, device=like.device)
    for where, of in maps:
        table[where].copy_(of.transpose(0, 1))
    return table


def _below_one_another(
    before: list[Tensor], features: list[Tensor], after: list[Tensor]
) -> Iterator[tuple[slice, Tensor]]:
    """Each map (B, C, h, w) and its rows; of the features, which are maps of slots, slot after slot."""
    at, count = 0, len(features)
    for of in before:
        yield slice(at, at + of.shape[1]), of
        at += of.shape[1]
    end = at + count * features[0].shape[1]
    for number, of in enumerate(features):
        yield slice(at + number, end, count), of
    for of in after:
        yield slice(end, end + of.shape[1]), of
        end += of.shape[1]


def _from_table(layer: nn.Conv2d, table: Tensor) -> Tensor:
    """A 1×1 convolution of (C, B, h, w) as one matrix product; (B, C', h, w), channels last."""
    mixed = F.linear(table.flatten(1).t(), layer.weight.flatten(1), layer.bias)
    return mixed.unflatten(0, table.shape[1:]).permute(0, 3, 1, 2)


def _to_table(layer: nn.Conv2d, x: Tensor) -> Tensor:
    """A 1×1 convolution of (B, C, h, w), channels last, as one matrix product; (C', B, h, w)."""
    pixels = x.permute(0, 2, 3, 1)
    bias = cast(Tensor, layer.bias).unsqueeze(1)
    return torch.addmm(bias, layer.weight.flatten(1), pixels.flatten(0, 2).t()).unflatten(1, pixels.shape[:3])


def _weighed_sum(start: Tensor, weights: Tensor, features: list[Tensor]) -> Tensor:
    """`start` + Σ_f weight_f · feature_f as (B, K, h, w), for weights (B, F, h, w) and features (B, K, h, w) each."""
    total = start.clone()
    for weight, feature in zip(weights.unbind(1), features, strict=False):
        total.addcmul_(weight.unsqueeze(1), feature)
    return total
