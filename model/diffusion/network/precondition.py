"""Preconditioning of the free branch, per pixel and per channel (Karras et al. 2022, EDM, table 1).

One departure: the network sees the Wiener estimate of the state, c_skip · x / σ_data, instead of the state at unit
variance, so that a pixel at σ_max, which knows nothing, enters as zero and a single evaluation there is deterministic.
"""

from __future__ import annotations

from torch import Tensor


def get_scalings(sigma: Tensor, sigma_data: Tensor) -> tuple[Tensor, Tensor]:
    """c_skip and c_out of EDM for noise levels `sigma` (B, C, h, w)."""
    variance = sigma.square() + sigma_data.square()
    return sigma_data.square() / variance, sigma * sigma_data / variance.sqrt()


def noise_input(sigma: Tensor) -> Tensor:
    """c_noise = log(σ)/4 of EDM, as a map."""
    return sigma.log() / 4
