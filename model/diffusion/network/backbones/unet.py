"""The default backbone: a U-Net that works at half resolution and below, where layers cost little on a CPU."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812


class ChannelAffine(nn.Module):
    """Scale and shift of each channel: the affine normalisation of Glow (Kingma & Dhariwal 2018, "actnorm").

    It looks at no other pixel, unlike group normalisation, so that a map evaluated in tiles equals the whole one and a
    crop means the same as the map it is from.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) → the same."""
        return x * self.weight.reshape(1, -1, 1, 1) + self.bias.reshape(1, -1, 1, 1)


class ResidualBlock(nn.Module):
    """Pre-activation residual block; starts as the identity. Scaled only where channels are many."""

    def __init__(self, channels: int, *, scaled: bool) -> None:
        super().__init__()
        self.norm = ChannelAffine(channels) if scaled else nn.Identity()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(cast(Tensor, self.second.bias))

    def forward(self, x: Tensor) -> Tensor:
        """X plus what the block adds."""
        return x + self.second(F.silu(self.first(F.silu(self.norm(x)))))


def _blocks(channels: int, count: int, *, scaled: bool) -> nn.Sequential:
    return nn.Sequential(*[ResidualBlock(channels, scaled=scaled) for _ in range(count)])


class UNet(nn.Module):
    """U-Net over half, quarter, eighth and sixteenth resolution (Ronneberger et al. 2015, residual variant)."""

    multiple = 16

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        widths: tuple[int, ...] = (48, 96, 160, 192),
        down_blocks: tuple[int, ...] = (1, 2, 2, 2),
        up_blocks: tuple[int, ...] = (2, 2, 2),
    ) -> None:
        super().__init__()
        self.enter = nn.Conv2d(4 * in_channels, widths[0], 3, padding=1)
        levels = range(len(widths))
        self.down = nn.ModuleList(_blocks(widths[i], down_blocks[i], scaled=i > 0) for i in levels)
        self.shrink = nn.ModuleList(nn.Conv2d(widths[i], widths[i + 1], 2, stride=2) for i in levels[:-1])
        self.grow = nn.ModuleList(nn.Conv2d(widths[i + 1], 4 * widths[i], 1) for i in levels[:-1])
        self.up = nn.ModuleList(_blocks(widths[i], up_blocks[i], scaled=i > 0) for i in levels[:-1])
        self.leave = nn.Conv2d(widths[0], 4 * out_channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, h, w) → (B, out, h, w); h and w multiples of 16."""
        x = self.enter(F.pixel_unshuffle(x, 2))
        skips: list[Tensor] = []
        for blocks, shrink in zip(self.down, self.shrink, strict=False):
            x = blocks(x)
            skips.append(x)
            x = shrink(x)
        x = self.down[-1](x)
        for level in reversed(range(len(skips))):
            x = F.pixel_shuffle(self.grow[level](x), 2) + skips[level]
            x = self.up[level](x)
        return F.pixel_shuffle(self.leave(x), 2)
