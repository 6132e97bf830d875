"""Training losses of the denoiser, one function each.

Every loss is a mean over the valid pixels of a batch. The gate is trained directly as a classifier (which candidates
are within 5° of the truth?), because that is what its weights are read as.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from grainloop.model.diffusion.network.denoiser import Conditions, Denoised
from grainloop.model.diffusion.network.gate import Slots

BOUND = 9.0
"""Largest weighted squared error of a pixel and channel: three standard deviations."""
WRONG_DEG = 5.0
"""A pixel further than this from the truth is wrong."""


@dataclass(frozen=True)
class Truth:
    """What the denoiser should say.

    Attributes:
        ebsd: (B, E, h, w) true embedding.
        light: (B, L, h, w) standardised true PL features.
        valid: (B, 1, h, w) bool; false in pores and other phases.
        boundary: (B, 2, h, w) float, 1 where a grain boundary lies to the right, below.
        right: (B, K, h, w) bool; the candidates within 5° of the truth.
    """

    ebsd: Tensor
    light: Tensor
    valid: Tensor
    boundary: Tensor
    right: Tensor


@dataclass(frozen=True)
class LossWeights:
    """How the losses are added up."""

    gate: float = 1.0
    mixture: float = 0.15
    free: float = 0.3
    light: float = 0.1
    boundary: float = 0.3
    wrong: float = 0.1


def masked_mean(values: Tensor, valid: Tensor) -> Tensor:
    """Mean of `values` (B, C, h, w) over the valid pixels (B, 1, h, w)."""
    weight = valid.to(values.dtype)
    return (values * weight).sum() / (weight.sum() * values.shape[1]).clamp_min(1)


def gate_loss(said: Denoised, truth: Truth) -> Tensor:
    """Cross-entropy of the gate: −log of the weight on right candidates, or on the free branch where there is none."""
    on_right = (said.weights * truth.right).sum(1, keepdim=True)
    on_target = torch.where(truth.right.any(1, keepdim=True), on_right, said.free_weight)
    return masked_mean(-(on_target.clamp_min(1e-6)).log(), truth.valid)


def edm_weight(sigma: Tensor, sigma_data: Tensor, floor: float = 0.05) -> Tensor:
    """λ(σ) of EDM with σ bounded below, since measured pixels are not perturbed by their nominal noise alone.

    The floor is about 0.4° in the embedding: noise above it is learnt to be taken out of measured points.
    """
    return sigma.clamp_min(floor).square().reciprocal() + sigma_data.square().reciprocal()


def denoising_loss(estimate: Tensor, target: Tensor, weight: Tensor | None, valid: Tensor) -> Tensor:
    """Weighted squared error, bounded per pixel and channel so that a mis-indexed point cannot dominate."""
    return cast(Tensor, _BoundedError.apply(estimate, target, weight, valid))


class _BoundedError(torch.autograd.Function):
    """Mean over valid pixels of min(weight · (estimate − target)², 9).

    Written out example by example: the state has so many channels that a pass over it costs as much as a convolution,
    while one example stays in the cache.
    """

    @staticmethod
    def forward(ctx: Any, estimate: Tensor, target: Tensor, weight: Tensor | None, valid: Tensor) -> Tensor:
        """The slope is worked out along with the value."""
        slope, total = torch.empty_like(estimate), estimate.new_zeros(())
        for b in range(len(estimate)):
            error = estimate[b] - target[b]
            pull = error if weight is None else error * weight[b]
            square = error.mul_(pull) if weight is not None else error.square()
            counts = (square <= BOUND) & valid[b]
            total += square.clamp_max_(BOUND).mul_(valid[b]).sum()
            torch.mul(pull, counts, out=slope[b])
        scale = 1 / (valid.sum() * estimate.shape[1]).clamp_min(1)
        ctx.save_for_backward(slope.mul_(2 * scale))
        return total * scale

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None]:
        """The estimate alone learns."""
        return ctx.saved_tensors[0] * grads[0], None, None, None


def free_loss(said: Denoised, given: Conditions, truth: Truth, sigma_data: Tensor) -> Tensor:
    """Denoising loss of the free branch."""
    weight = edm_weight(given.sigma[:, :1], sigma_data[:, : said.free.shape[1]])
    return denoising_loss(said.free, truth.ebsd, weight, truth.valid)


def light_loss(said: Denoised, given: Conditions, truth: Truth, sigma_data: Tensor) -> Tensor:
    """Denoising loss of the PL channels."""
    split = said.free.shape[1]
    weight = edm_weight(given.sigma[:, split:], sigma_data[:, split:])
    return denoising_loss(said.light, truth.light, weight, truth.valid)


def boundary_loss(said: Denoised, truth: Truth) -> Tensor:
    """Binary cross-entropy of the boundary logits."""
    each = F.binary_cross_entropy_with_logits(said.boundary, truth.boundary, reduction="none")
    return masked_mean(each, truth.valid)


def heaviest(weights: Tensor, candidates: Tensor, within_chord: float) -> Tensor:
    """(P,) index of the candidate whose 5° neighbourhood is heaviest: weights (P, K), embeddings (P, K, E)."""
    squared = candidates.square().sum(-1)
    gram = torch.bmm(candidates, candidates.transpose(1, 2))
    near = squared.unsqueeze(1) + squared.unsqueeze(2) - 2 * gram < within_chord**2
    return (near * weights.unsqueeze(1)).sum(-1).argmax(1)


def wrong_loss(said: Denoised, given: Conditions, truth: Truth, within_chord: float, stride: int = 3) -> Tensor:
    """Binary cross-entropy of the `wrong` logit against what the heaviest cluster really is, on every third pixel."""
    offset = int(torch.randint(stride, (1,)))

    def some(x: Tensor) -> Tensor:
        return x[..., offset::stride, offset::stride].permute(0, 2, 3, 1).flatten(0, 2)

    slots = Slots.of(given.index, given.known, given.points.shape[1])
    y = given.points.flatten(0, 1)[some(slots.rows)]
    chosen = y[torch.arange(len(y), device=y.device), heaviest(some(said.weights.detach()), y, within_chord)]
    wrong = ((chosen - some(truth.ebsd)).square().sum(-1) > within_chord**2).to(y.dtype)
    logit, valid = some(said.wrong)[:, 0], some(truth.valid)[:, 0]
    return F.binary_cross_entropy_with_logits(logit[valid], wrong[valid]) if bool(valid.any()) else logit.sum() * 0


def total_loss(
    said: Denoised, given: Conditions, truth: Truth, sigma_data: Tensor, chord_per_deg: float, weights: LossWeights
) -> tuple[Tensor, dict[str, float]]:
    """The weighted sum, and each part for the log; parts of weight 0 are left out."""
    within = WRONG_DEG * chord_per_deg
    parts = {
        "gate": lambda: gate_loss(said, truth),
        "mixture": lambda: denoising_loss(said.ebsd, truth.ebsd, None, truth.valid),
        "free": lambda: free_loss(said, given, truth, sigma_data),
        "boundary": lambda: boundary_loss(said, truth),
        "wrong": lambda: wrong_loss(said, given, truth, within),
        "light": lambda: light_loss(said, given, truth, sigma_data),
    }
    unused = {name for name in parts if not getattr(weights, name)} | ({"light"} if not said.light.shape[1] else set())
    found = {name: part() for name, part in parts.items() if name not in unused}
    total = torch.stack([getattr(weights, name) * value for name, value in found.items()]).sum()
    return total, {name: float(value.detach()) for name, value in found.items()} | {"loss": float(total.detach())}
