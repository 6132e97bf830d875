"""The network of the free branch: what a pixel is where no candidate says it, from the noisy state around it.

The backbone is made for the gate and works at half resolution through few channels; to take noise out of every pixel
and channel, this one looks at all of them at full resolution. It corrects what the head of the backbone says and starts
as no correction. At σ_max the state says nothing and the correction is left to training without it.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from grainloop.model.diffusion.network.backbones.unet import ResidualBlock

WIDTHS = (32, 64, 96, 96)
"""Channels at full, half, quarter and eighth resolution."""
DOWN, UP = (0, 1, 1, 1), (1, 1, 1)
"""Residual blocks per resolution, finest first."""


class FreeBranch(nn.Module):
    """A small U-Net whose features are scaled by the noise level of the pixel."""

    def __init__(self, channels: int, ebsd_channels: int, levels: int, features: int) -> None:
        """A branch for states of `channels`, the first of which are EBSD, that looks at `features` of the backbone.

        `levels` is the number of noise maps.
        """
        super().__init__()
        self.ebsd_channels = ebsd_channels
        steps = range(len(WIDTHS) - 1)
        self.enter = nn.Conv2d(channels + ebsd_channels + levels + features, WIDTHS[0], 3, padding=1)
        self.gain = nn.ModuleList(nn.Conv2d(levels, width, 1) for width in WIDTHS)
        self.down = nn.ModuleList(_blocks(width, count) for width, count in zip(WIDTHS, DOWN, strict=True))
        self.shrink = nn.ModuleList(nn.Conv2d(WIDTHS[i], WIDTHS[i + 1], 2, stride=2) for i in steps)
        self.grow = nn.ModuleList(nn.Conv2d(WIDTHS[i + 1], 4 * WIDTHS[i], 1) for i in steps)
        self.up = nn.ModuleList(_blocks(WIDTHS[i], UP[i]) for i in steps)
        self.leave = nn.Conv2d(WIDTHS[0], ebsd_channels, 1)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(cast(Tensor, self.leave.bias))
        for gain in self.gain:
            nn.init.zeros_(cast(nn.Conv2d, gain).weight)
            nn.init.zeros_(cast(Tensor, cast(nn.Conv2d, gain).bias))

    def forward(self, expected: Tensor, sigma_data: Tensor, out: Tensor, levels: Tensor, features: Tensor) -> Tensor:
        """What is added to the free branch before it is scaled by c_out.

        Args:
            expected: (B, C, h, w) c_skip · x.
            sigma_data: (1, C, 1, 1).
            out: (B, C, h, w) c_out.
            levels: (B, N, h, w) c_noise maps.
            features: (B, F, h, w) of the backbone.

        Returns:
            (B, E, h, w).
        """
        split = self.ebsd_channels
        detail = detail_of(expected[:, :split], out[:, :split])
        seen = torch.cat([expected / sigma_data, detail, levels, features], 1)
        x = self.enter(seen.contiguous(memory_format=torch.channels_last))
        skips: list[Tensor] = []
        for level, blocks in enumerate(self.down):
            x = blocks(x * (1 + self.gain[level](levels)))
            if level < len(self.shrink):
                skips.append(x)
                x, levels = self.shrink[level](F.silu(x)), F.avg_pool2d(levels, 2)
        for level in reversed(range(len(skips))):
            x = self.up[level](F.pixel_shuffle(self.grow[level](x), 2) + skips[level])
        return self.leave(F.silu(x))


def detail_of(expected: Tensor, out: Tensor) -> Tensor:
    """(B, E, h, w) by how many noise levels a pixel departs from the mean of its 3 × 3 surroundings, compressed.

    At low noise the correction is most of the noise itself, which is a small part of the state: here it is of order 1.
    """
    return torch.tanh((expected - F.avg_pool2d(expected, 3, 1, 1, count_include_pad=False)) / out)


def _blocks(width: int, count: int) -> nn.Sequential:
    return nn.Sequential(*[ResidualBlock(width, scaled=False) for _ in range(count)])
