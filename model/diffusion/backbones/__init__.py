"""The networks between the stem and the heads of the denoiser; `model.diffusion.backbone` makes them by name."""

from __future__ import annotations
