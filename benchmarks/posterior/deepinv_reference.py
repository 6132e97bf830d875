"""Golden numbers of deepinv's DPS and DiffPIR on a toy problem, for the test `test_deepinv` of the reference samplers.

deepinv is no dependency of grainloop. To make the file anew, in an environment of its own:

    python3 -m venv deepinv-venv
    deepinv-venv/bin/pip install torch==2.14.1 torchvision==0.29.1 deepinv==0.5.0
    deepinv-venv/bin/python benchmarks/posterior/deepinv_reference.py

Nothing of grainloop is imported. The prior is white: x0 ~ N(centre, spread²) pixel by pixel, with its exact denoiser;
the measurement is a mask with Gaussian noise. The random numbers that deepinv draws are recorded, and the test feeds
the same ones to our samplers.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import deepinv  # pyright: ignore[reportMissingImports]
import torch
from deepinv.models import Denoiser  # pyright: ignore[reportMissingImports]
from deepinv.optim.data_fidelity import L2  # pyright: ignore[reportMissingImports]
from deepinv.physics import GaussianNoise, Inpainting  # pyright: ignore[reportMissingImports]
from deepinv.sampling import (  # pyright: ignore[reportMissingImports]
    DDPMSolver,
    DiffPIR,
    DPSDataFidelity,
    PosteriorDiffusion,
    VarianceExplodingDiffusion,
)
from torch import Tensor

RESULT = Path(__file__).parents[2] / "tests" / "model" / "diffusion" / "inference" / "reference" / "deepinv_golden.json"
SHAPE = (2, 2, 3, 4)
NOISE = 0.05


class White(Denoiser):
    """E[x0 | x, σ] for x0 ~ N(centre, spread²)."""

    def __init__(self, centre: float, spread: float) -> None:
        super().__init__()
        self.centre, self.spread = centre, spread

    def forward(self, x: Tensor, sigma: Tensor, **_: Any) -> Tensor:
        """The denoiser as deepinv calls it; σ one number or one for each sample."""
        gain = self.spread**2 / (self.spread**2 + torch.as_tensor(sigma).reshape(-1, 1, 1, 1) ** 2)
        return self.centre + gain * (x - self.centre)


def inpainting(mask: Tensor) -> Any:
    return Inpainting(img_size=SHAPE[1:], mask=mask, noise_model=GaussianNoise(NOISE))


def dps(mask: Tensor, y: Tensor) -> dict[str, Any]:
    """Variance-exploding, DDPM steps, the gradient of the residual's norm; no clipping, no change of range."""
    weight, spread, steps = 0.4, 1.0, 8
    sde = VarianceExplodingDiffusion(sigma_min=0.04, sigma_max=80)
    times = torch.linspace(1, 0, steps + 1, dtype=torch.float64)
    solver = DDPMSolver(timesteps=times, rng=torch.Generator().manual_seed(1))
    model = PosteriorDiffusion(
        data_fidelity=DPSDataFidelity(weight=weight, clip=None, guidance="norm"),
        denoiser=White(0.0, spread),
        sde=sde,
        solver=solver,
        minus_one_one=False,
    )
    sample = model(y, inpainting(mask), x_init=SHAPE, seed=2, denoise_output=False)
    generator = torch.Generator().manual_seed(2)
    draws = [torch.randn(SHAPE, generator=generator, dtype=torch.float64)]
    draws += [torch.empty(SHAPE, dtype=torch.float64).normal_(generator=generator) for _ in range(steps)]
    levels = [float(sde.sigma_t(t)) for t in times]
    return {"weight": weight, "spread": spread, "levels": levels, "draws": listed(draws), "sample": sample.tolist()}


def diffpir(mask: Tensor, y: Tensor) -> dict[str, Any]:
    """As it is, in its range 0 … 1 about ½; the spread is so small that its clipping does nothing."""
    weight, churn, spread, steps = 7.0, 0.3, 0.05, 8
    model = DiffPIR(White(0.5, spread), L2(), sigma=NOISE, max_iter=steps, zeta=churn, lambda_=weight)
    sample = model(y, inpainting(mask), seed=3, x_init=torch.full(SHAPE, 0.5))
    torch.manual_seed(3)
    draws = [torch.randn(SHAPE) for _ in range(steps)]
    levels = [float(model.sigmas[i]) / 2 for i in model.seq]
    last = model.sqrt_alphas_cumprod[model.find_nearest(model.reduced_alpha_cumprod, 2 * levels[-1])]
    return {
        "weight": weight,
        "churn": churn,
        "spread": spread,
        "centre": 0.5,
        "levels": levels,
        "last_sqrt_alpha": float(last),
        "draws": listed(draws),
        "sample": sample.tolist(),
    }


def listed(draws: list[Tensor]) -> list[Any]:
    """As float32, which is enough and short."""
    return [draw.float().tolist() for draw in draws]


def main() -> dict[str, Any]:
    """Run both, write the golden file, and return what it holds."""
    generator = torch.Generator().manual_seed(0)
    mask = (torch.rand(SHAPE[1:], generator=generator) < 0.4).float()[None]
    y = mask * (0.5 + 0.05 * torch.randn((1, *SHAPE[1:]), generator=generator))
    y = y.expand(SHAPE).clone()
    result = {
        "deepinv": deepinv.__version__,
        "torch": torch.__version__,
        "made_by": "benchmarks/posterior/deepinv_reference.py",
        "noise": NOISE,
        "mask": mask.tolist(),
        "measured": y.tolist(),
        "dps": dps(mask, y),
        "diffpir": diffpir(mask, y),
    }
    RESULT.write_text(json.dumps(result) + "\n", encoding="utf-8")
    return result


if __name__ == "__main__":
    made = main()
    print(made["deepinv"], {name: made[name]["sample"][0][0][0] for name in ("dps", "diffpir")})
