"""A small diffusion transformer (Peebles & Xie 2023) whose cost grows with the area of the map.

Tokens are patches of 4×4 pixels. Windows of 4×4 tokens attend to themselves and to a halo of two tokens around them
(Vaswani et al. 2021, HaloNet), so that what is known spreads over the map from block to block. Where a token lies
enters by offsets within a window alone: any map size will do. Noise levels are among the input maps, which makes adaLN
needless.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

PATCH = 4
"""Edge of a token in pixels."""
WINDOW = 4
"""Edge of a window in tokens."""
HALO = WINDOW // 2
"""Width of the halo in tokens; half a window, so that window and halo are cut from four neighbouring blocks."""
REACH = WINDOW + 2 * HALO
_NEVER = -1e4
"""Added to the score of a token beyond the edge of the map."""


class HaloAttention(nn.Module):
    """Attention of each window to itself and its halo; starts as zero."""

    offset: Tensor

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.into = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.nearness = nn.Parameter(torch.zeros(heads, (WINDOW + REACH - 1) ** 2))
        self.register_buffer("offset", _offsets(), persistent=False)
        _start_at_zero(self.out)

    def forward(self, x: Tensor, beyond: Tensor) -> Tensor:
        """(B, H, W, C) tokens → the same; `beyond` as `beyond_the_edge` says."""
        query, rest = self.into(x).tensor_split((x.shape[-1],), -1)
        key, value = with_halo(rest).chunk(2, -1)
        query, key, value = (self._by_head(each) for each in (windows(query).flatten(3, 4), key, value))
        near = self.nearness[:, self.offset]
        score = query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5 + near + beyond
        mixed = (score.softmax(-1).to(value.dtype) @ value).transpose(-2, -3)
        return self.out(_from_windows(mixed.flatten(-2), x.shape))

    def _by_head(self, each: Tensor) -> Tensor:
        """(B, rows, columns, tokens, C) → (B, rows, columns, heads, tokens, C / heads)."""
        return each.unflatten(-1, (self.heads, -1)).transpose(-2, -3)


class Block(nn.Module):
    """Attention, then a perceptron per token, each added to what it saw normalised; starts as the identity."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm_attention, self.norm_mlp = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = HaloAttention(width, heads)
        self.first, self.second = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        _start_at_zero(self.second)

    def forward(self, x: Tensor, beyond: Tensor) -> Tensor:
        """(B, H, W, C) tokens → the same."""
        x = x + self.attention(self.norm_attention(x), beyond)
        return x + self.second(F.silu(self.first(self.norm_mlp(x))))


class DiT(nn.Module):
    """Transformer over patches, about as many multiplications as the U-Net."""

    multiple = PATCH * WINDOW

    def __init__(self, in_channels: int, out_channels: int, width: int = 160, depth: int = 6, heads: int = 5) -> None:
        super().__init__()
        self.enter = nn.Linear(PATCH**2 * in_channels, width)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.leave = nn.Linear(width, PATCH**2 * out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, h, w) → (B, out, h, w); h and w multiples of 16."""
        tokens = self.enter(F.pixel_unshuffle(x, PATCH).permute(0, 2, 3, 1))
        beyond = beyond_the_edge(tokens)
        for block in self.blocks:
            tokens = block(tokens, beyond)
        return F.pixel_shuffle(self.leave(self.norm(tokens)).permute(0, 3, 1, 2), PATCH)


def windows(x: Tensor) -> Tensor:
    """(B, H, W, C) → (B, H / WINDOW, W / WINDOW, WINDOW, WINDOW, C), a view."""
    return x.unflatten(2, (-1, WINDOW)).unflatten(1, (-1, WINDOW)).transpose(2, 3)


def _from_windows(x: Tensor, shape: torch.Size) -> Tensor:
    """What `windows` cut, put together to `shape` (B, H, W, C)."""
    return x.unflatten(3, (WINDOW, WINDOW)).transpose(2, 3).reshape(shape)


def with_halo(x: Tensor) -> Tensor:
    """(B, H, W, C) → (B, H / WINDOW, W / WINDOW, REACH², C): every window and its halo, 0 beyond the edge."""
    return cast(Tensor, _WithHalo.apply(x))


class _WithHalo(torch.autograd.Function):
    """Cuts the padded map into blocks of a window; each is a quarter of four overlapping windows.

    Written out because the backward pass of slices and concatenations moves several times as much memory.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """Copies each window once."""
        ctx.shape = x.shape
        padded = F.pad(x, (0, 0, HALO, HALO, HALO, HALO))
        cut = padded.unfold(1, REACH, WINDOW).unfold(2, REACH, WINDOW)
        return cut.permute(0, 1, 2, 4, 5, 3).flatten(3, 4)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        """Adds up the four quarters that a block has become."""
        b, h, w, c = ctx.shape
        padded = grads[0].new_zeros(b, h + 2 * HALO, w + 2 * HALO, c)
        blocks = windows(padded)
        quarters = grads[0].unflatten(3, (2, WINDOW, 2, WINDOW)).unbind(5)
        rows, columns = h // WINDOW, w // WINDOW
        for right, half in enumerate(quarters):
            for down, quarter in enumerate(half.unbind(3)):
                blocks[:, down : down + rows, right : right + columns] += quarter
        return padded[:, HALO : HALO + h, HALO : HALO + w]


def beyond_the_edge(tokens: Tensor) -> Tensor:
    """(1, H / WINDOW, W / WINDOW, 1, 1, REACH²): 0 where the map is, `_NEVER` where the halo leaves it."""
    inside = with_halo(tokens.new_ones(1, *tokens.shape[1:3], 1))
    return ((1 - inside) * _NEVER).squeeze(-1).unsqueeze(3).unsqueeze(3)


def _offsets() -> Tensor:
    """(WINDOW², REACH²) number of the offset from each token of a window to each of its halo."""
    here, there = torch.arange(WINDOW) + HALO, torch.arange(REACH)
    along = there - here.unsqueeze(1) + WINDOW + HALO - 1
    pairs = along.reshape(WINDOW, 1, REACH, 1) * (WINDOW + REACH - 1) + along.reshape(1, WINDOW, 1, REACH)
    return pairs.reshape(WINDOW**2, REACH**2)


def _start_at_zero(layer: nn.Linear) -> None:
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(cast(Tensor, layer.bias))
