"""The reference samplers as reconstructors, for comparison with `model.diffusion.inference.method`.

They share the trained denoiser and the evidence with it, but see neither candidates nor pixels at unequal levels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import torch
from torch import Tensor

from grainloop.model.crystal import laue_group
from grainloop.model.diffusion.checkpoints.shipped import Weights
from grainloop.model.diffusion.inference.reference.common import Denoise, Measured, unconditional
from grainloop.model.diffusion.inference.reference.readout import read_samples
from grainloop.model.diffusion.inference.sampler import BeforeStep, karras_levels
from grainloop.model.diffusion.network.conditions import gather_evidence, section_input
from grainloop.model.reconstruct.problem import (
    IsCancelled,
    Options,
    Posterior,
    Problem,
    Report,
    check,
    checkpoint,
    nothing_known,
)


class Sampler(Protocol):
    """A reference sampler with its parameters bound."""

    def __call__(
        self,
        denoise: Denoise,
        section: Measured,
        levels: Tensor,
        generator: torch.Generator,
        samples: int,
        *,
        callback: BeforeStep,
    ) -> Tensor:
        """Samples (samples, C, h, w)."""
        ...


@dataclass(frozen=True)
class ReferenceMethod:
    """Reconstruction by samples of one reference sampler.

    Attributes:
        name: what requests call the method.
        weights: Laue group → trained denoiser.
        sampler: the sampler.
        evaluations: of the network, where the options do not say.
        repeats: evaluations that the sampler spends on each step between noise levels.
    """

    name: str
    weights: Callable[[str], Weights]
    sampler: Sampler
    evaluations: int
    repeats: int = 1

    def __call__(self, problem: Problem, options: Options, report: Report, cancelled: IsCancelled) -> Posterior:
        """See `Reconstructor`.

        Raises:
            CheckpointError: no weights for this Laue group; nothing else takes over, as that would be what is measured.
        """
        check(problem)
        trained = self.weights(laue_group(problem.laue_group).name)
        checkpoint(report, cancelled, 0.0, "evidence")
        evidence = gather_evidence(problem, trained.space)
        if not len(evidence.seeds):
            return nothing_known(problem.shape)
        section = section_input(problem.shape, evidence, trained.space)
        samples = self.draw(trained, section, options, partial(_between, report, cancelled))
        checkpoint(report, cancelled, 0.95, "map")
        used = evidence.light is not None
        return read_samples(samples, trained.space, evidence.seeds, light_used=used, notes=evidence.notes)

    def draw(self, trained: Weights, section: Measured, options: Options, callback: BeforeStep) -> Tensor:
        """Samples (members, C, h, w) by about `options.steps` evaluations."""
        shape = (section.measured.shape[-2], section.measured.shape[-1])
        steps = max(1, (options.steps or self.evaluations) // self.repeats)
        return self.sampler(
            unconditional(trained.denoiser, trained.space, shape),
            section,
            karras_levels(steps),
            torch.Generator().manual_seed(options.seed),
            options.members,
            callback=callback,
        )


def _between(report: Report, cancelled: IsCancelled, number: int, count: int) -> None:
    checkpoint(report, cancelled, 0.05 + 0.9 * number / count, "sampling")
