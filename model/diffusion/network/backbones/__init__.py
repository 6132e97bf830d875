"""The networks between the stem and the heads of the denoiser; `backbone` beside this makes them by name."""

from __future__ import annotations
