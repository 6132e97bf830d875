"""The joint denoiser as a reconstructor: one evaluation at σ_max read as a map of probabilities.

At σ_max nothing but the measured points, PL and geometry enters, so the gate's weights are the posterior of every pixel
over the grains measured nearby. Posterior samples for joint statements come from `sampler`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.crystal import laue_group
from model.diffusion.backbone import pad_to_multiple
from model.diffusion.checkpoint import CheckpointError
from model.diffusion.conditions import SectionInput, gather_evidence, section_input
from model.diffusion.denoiser import Conditions, Denoised, Denoiser
from model.diffusion.shipped import Weights
from model.reconstruct.problem import (
    IsCancelled,
    Options,
    Posterior,
    Problem,
    Reconstructor,
    Report,
    check,
    checkpoint,
    nothing_known,
)
from model.reconstruct.readout import read_out


@dataclass(frozen=True)
class JointGate:
    """Reconstruction by the gate of a trained denoiser.

    Attributes:
        weights: Laue group → trained denoiser; raises CheckpointError where there is none.
        otherwise: takes over for Laue groups without weights, and says so.
    """

    weights: Callable[[str], Weights]
    otherwise: Reconstructor
    name: str = "joint"

    def __call__(self, problem: Problem, options: Options, report: Report, cancelled: IsCancelled) -> Posterior:
        """See `Reconstructor`."""
        check(problem)
        try:
            trained = self.weights(laue_group(problem.laue_group).name)
        except CheckpointError as error:
            found = self.otherwise(problem, options, report, cancelled)
            return replace(found, degraded=(*found.degraded, f"{error} {self.otherwise.name} is used."))
        return reconstruct(trained, problem, report, cancelled)


def reconstruct(trained: Weights, problem: Problem, report: Report, cancelled: IsCancelled) -> Posterior:
    """The posterior of a problem by one evaluation of a trained denoiser."""
    checkpoint(report, cancelled, 0.0, "candidates")
    evidence = gather_evidence(problem, trained.space)
    if not len(evidence.seeds):
        return nothing_known(problem.shape)
    section = section_input(problem.shape, evidence, trained.space)
    checkpoint(report, cancelled, 0.3, "network")
    said = gate_evaluation(trained.denoiser, section)
    checkpoint(report, cancelled, 0.8, "map")
    seed, weight = candidate_weights(section, said)
    used = evidence.light is not None
    return read_out(problem, evidence.seeds, seed, weight, light_used=used, degraded=evidence.notes)


@torch.inference_mode()
def gate_evaluation(denoiser: Denoiser, section: SectionInput) -> Denoised:
    """One evaluation with everything unknown at σ_max.

    What is unknown is set to zero, the mean of its distribution, and not drawn from it: the candidates then are all
    equally far away, and nothing is random.
    """
    return padded(denoiser, section.at(section.measured, section.level))


def padded(denoiser: Denoiser, given: Conditions) -> Denoised:
    """Evaluate on a map of any size: padded by replication to what the backbone accepts, then cropped."""
    h, w = given.x.shape[-2:]
    multiple = denoiser.multiple
    if h % multiple == 0 and w % multiple == 0:
        return denoiser(given)
    said = denoiser(
        Conditions(
            _pad(given.x, multiple),
            _pad(given.sigma, multiple),
            given.points,
            given.points_light,
            _pad(given.index.to(torch.float64), multiple).long(),
            _pad(given.known.to(torch.float32), multiple) > 0,
            _pad(given.prior, multiple),
            _pad(given.features.flatten(1, 2), multiple).unflatten(1, given.features.shape[1:3]),
            _pad(given.context, multiple),
        )
    )
    return Denoised(
        said.ebsd[..., :h, :w],
        said.free[..., :h, :w],
        said.light[..., :h, :w],
        said.weights[..., :h, :w],
        said.free_weight[..., :h, :w],
        said.boundary[..., :h, :w],
        said.wrong[..., :h, :w],
    )


def _pad(x: Tensor, multiple: int) -> Tensor:
    return pad_to_multiple(x, multiple)


def candidate_weights(section: SectionInput, said: Denoised) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """(h, w, K) seeds and their probabilities, as the classical read-out takes them."""
    index, weight, known = (value[0].permute(1, 2, 0).numpy() for value in (section.index, said.weights, section.known))
    return np.where(known, index, -1).astype(np.int32), np.where(known, weight, 0).astype(np.float32)
