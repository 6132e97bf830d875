"""The backbone: an image-to-image network from context maps to feature maps, at any map size.

Which ones there are is said here by name; a training keeps the name with its weights, so that loading them builds the
same network. What the features mean is the denoiser's business.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Protocol

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from grainloop.model.diffusion.network.backbones.dit import DiT
from grainloop.model.diffusion.network.backbones.unet import UNet

DEFAULT = "unet"
"""The backbone of weights that do not name theirs."""


class UnknownBackbone(ValueError):
    """A backbone that there is not."""


class Backbone(Protocol):
    """An nn.Module that maps (B, in, h, w) to (B, out, h, w)."""

    @property
    def multiple(self) -> int:
        """Map edges must be multiples of this; it divides 16."""
        ...

    def __call__(self, x: Tensor) -> Tensor:
        """Features of `x`."""
        ...


BACKBONES: Mapping[str, Callable[[int, int], Backbone]] = MappingProxyType({DEFAULT: UNet, "dit": DiT})
"""Name → factory of in and out channels."""


def make_backbone(name: str, in_channels: int, out_channels: int) -> Backbone:
    """A new backbone.

    Raises:
        UnknownBackbone: there is none of that name.
    """
    if name not in BACKBONES:
        raise UnknownBackbone(f"there is no backbone {name!r} (known: {', '.join(BACKBONES)})")
    return BACKBONES[name](in_channels, out_channels)


def pad_to_multiple(x: Tensor, multiple: int) -> Tensor:
    """`x` (..., h, w) padded by replication at the right and bottom so that the backbone accepts it."""
    h, w = x.shape[-2:]
    return F.pad(x, (0, -w % multiple, 0, -h % multiple), mode="replicate")


def parameter_count(module: nn.Module) -> int:
    """Number of trainable parameters."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)
