"""The joint denoiser as a reconstructor: one evaluation at σ_max read as a map of probabilities, samples from them.

At σ_max nothing but the measured points, PL and geometry enters, so the gate's weights are the posterior of every pixel
over the grains measured nearby. The map, its uncertainty and posterior samples are read off them (`model.estimate`);
with a number of steps the samples are drawn by the diffusion sampler instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from grainloop.model.crystal import laue_group
from grainloop.model.diffusion.checkpoints.checkpoint import CheckpointError
from grainloop.model.diffusion.checkpoints.shipped import Weights
from grainloop.model.diffusion.inference.one_thread import one_thread
from grainloop.model.diffusion.inference.sampler import sample_section
from grainloop.model.diffusion.network.conditions import Evidence, SectionInput, gather_evidence, section_input
from grainloop.model.diffusion.network.denoiser import Conditions, Denoised, Denoiser
from grainloop.model.diffusion.network.gate import Slots, mixture
from grainloop.model.diffusion.network.state import orientations_of, original_light
from grainloop.model.diffusion.network.tiles import BetweenTiles, evaluate
from grainloop.model.estimate.samples import Weighted, never_hit_orientations, samples_of
from grainloop.model.reconstruct.denoise import without_noise
from grainloop.model.reconstruct.problem import (
    WRONG_DEG,
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
from grainloop.model.reconstruct.readout import PairAngles, heaviest, read_out
from grainloop.model.reconstruct.seeds import Seeds
from grainloop.model.reconstruct.within import bent_map, find_partners

T = TypeVar("T")
Quaternions = NDArray[np.float32]
NETWORK, MAP, SAMPLES = 0.3, 0.6, 0.75
"""Fractions of the work done before the network, the map and the samples."""
DOUBTED = 0.03
"""A measured orientation that the gate gives less, and that no point around shares, is a mistake in the denoised map.

Of 1 % of mis-indexed points that finds about half, and of right ones hardly any is lost.
"""


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
        return reconstruct(trained, problem, options, report, cancelled)


@one_thread()
def reconstruct(
    trained: Weights, problem: Problem, options: Options, report: Report, cancelled: IsCancelled
) -> Posterior:
    """The posterior of a problem by one evaluation of a trained denoiser, with samples if asked for; in one thread."""
    checkpoint(report, cancelled, 0.0, "candidates")
    evidence = gather_evidence(problem, trained.space)
    if not len(evidence.seeds):
        return nothing_known(problem.shape)
    section = section_input(problem.shape, evidence, trained.space)

    def before(tile: int, tiles: int) -> None:
        checkpoint(report, cancelled, NETWORK + (MAP - NETWORK) * tile / tiles, "network")

    said = gate_evaluation(trained.denoiser, section, before)
    checkpoint(report, cancelled, MAP, "map")
    seed, weight = heaviest(*candidate_weights(section, said.weights))
    angles = PairAngles(evidence.seeds, problem.laue_group)
    chosen = angles.agreed(seed, weight)
    found = map_of(problem, evidence, seed, weight, chosen)
    if options.denoised:
        believed = ~mistakes(evidence.seeds, angles, seed, weight)
        denoised = denoised_map(evidence.seeds, problem.laue_group, chosen, believed)
        found = replace(found, light=denoised_light(section, said), denoised=denoised)
    found = found if trained.calibration is None else trained.calibration(found)
    if not options.members or options.out_of_time():
        return found
    checkpoint(report, cancelled, SAMPLES, "samples")
    if options.steps is None:
        drawn = gate_samples(evidence, seed, weight, options)
    else:
        drawn = diffusion_samples(trained, section, evidence, said, options, report, cancelled)
    return replace(found, samples=drawn if len(drawn) else None)


@torch.inference_mode()
def gate_evaluation(denoiser: Denoiser, section: SectionInput, before: BetweenTiles | None = None) -> Denoised:
    """One evaluation with everything unknown at σ_max.

    What is unknown is set to zero, the mean of its distribution, and not drawn from it: the candidates then are all
    equally far away, and nothing is random. The free branch is not corrected: there is no noise to take out.
    """
    return evaluate(denoiser, section.at(section.measured, section.level), before=before, corrected=False)


def candidate_weights(section: SectionInput, weights: Tensor) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """(h, w, K) seeds and their probabilities, as the read-out takes them, for weights (1, K, h, w) of the gate."""
    index, weight, known = (value[0].permute(1, 2, 0).numpy() for value in (section.index, weights, section.known))
    return np.where(known, index, -1).astype(np.int32), np.where(known, weight, 0).astype(np.float32)


def map_of(
    problem: Problem,
    evidence: Evidence,
    seed: NDArray[np.int32],
    weight: NDArray[np.float32],
    chosen: NDArray[np.int32] | None = None,
) -> Posterior:
    """The posterior of candidates (h, w, K) weighed by the gate; `chosen` as in `read_out`, which else looks for it."""
    return read_out(
        problem,
        evidence.seeds,
        seed,
        weight,
        choice=chosen,
        partners=evidence.partners,
        light_used=evidence.light is not None,
        prior_used=evidence.prior_used,
        degraded=evidence.notes,
    )


def gate_samples(
    evidence: Evidence, seed: NDArray[np.int32], weight: NDArray[np.float32], options: Options
) -> Quaternions:
    """(n, h, w, 4) samples of the whole map from the gate's probabilities; measured pixels keep their orientation."""
    seeds = evidence.seeds
    kept, shares = heaviest(seed, weight)
    group = np.where(kept >= 0, seeds.group[kept], -1).astype(np.int32)
    given = Weighted(shares, group, np.clip(1 - shares.sum(axis=-1), 0, 1).astype(np.float32))
    slots = list(_in_time(samples_of(given, options.members, options.seed), options))
    chosen = [np.take_along_axis(kept, np.maximum(one, 0)[..., None], axis=-1)[..., 0] for one in slots]
    new = never_hit_orientations(evidence.seeds.orientation, given.free.shape, seeds.length_px, options.seed)
    drawn = [
        np.where((s >= 0)[..., None], seeds.orientation[c], n) for s, c, n in zip(slots, chosen, new, strict=False)
    ]
    return _with_measured(np.stack(drawn), evidence)


def _in_time(drawn: Iterable[T], options: Options) -> Iterator[T]:
    """One sample after the other until time runs out; the first is always drawn."""
    for one in drawn:
        yield one
        if options.out_of_time():
            return


def _with_measured(drawn: Quaternions, evidence: Evidence) -> Quaternions:
    drawn[(slice(None), *evidence.seeds.position.T)] = evidence.seeds.orientation
    return drawn.astype(np.float32)


def diffusion_samples(
    trained: Weights,
    section: SectionInput,
    evidence: Evidence,
    first: Denoised,
    options: Options,
    report: Report,
    cancelled: IsCancelled,
) -> Quaternions:
    """(n, h, w, 4) samples by the diffusion sampler, decoded; `first` is what the denoiser says at σ_max."""

    def denoise(given: Conditions) -> Denoised:
        return evaluate(trained.denoiser, given)

    def before(number: int, evaluations: int) -> None:
        checkpoint(report, cancelled, SAMPLES + (1 - SAMPLES) * number / evaluations, "samples")

    walks = sample_section(denoise, section, first, options.members, options.steps or 1, options.seed, before)
    drawn = torch.cat(list(_in_time(walks, options))).numpy()
    return _with_measured(orientations_of(drawn, trained.space), evidence)


def denoised_light(section: SectionInput, said: Denoised) -> NDArray[np.float32] | None:
    """(5, h, w) PL features without noise and blemishes; None where crystals show no PL contrast.

    E[PL | everything] as the gate's mixture: what is predicted from each candidate, weighed by its probability, and
    where none of them is believed the denoised PL channels of the network, which alone are no better than a Gaussian
    filter (docs/results/denoising_light.md).
    """
    if not said.light.shape[1]:
        return None
    slots = Slots.of(section.index, section.known, section.points.shape[1])
    mixed = mixture(said.weights, section.points_light, slots, said.free_weight, said.light)
    return original_light(mixed[0].numpy())


def mistakes(
    seeds: Seeds, angles: PairAngles, seed: NDArray[np.int32], weight: NDArray[np.float32]
) -> NDArray[np.bool_]:
    """(N,) measured orientations that are no part of the section, by the candidates (h, w, K) of their pixels."""
    at = tuple(seeds.position.T)
    own = np.full(seed.shape[:2], -1, np.int32)
    own[at] = np.arange(len(seeds))
    belief = np.where(angles.between(own, seed) <= WRONG_DEG, weight, 0).sum(axis=-1)[at]
    return (belief < DOUBTED) & (np.bincount(seeds.group)[seeds.group] == 1)


def denoised_map(seeds: Seeds, laue_group: str, chosen: NDArray[np.int32], believed: NDArray[np.bool_]) -> Quaternions:
    """(h, w, 4) the orientation of the likeliest grain at the pixel, with the noise of its points taken out.

    Unlike in the map, measured pixels may be doubted here: one that is not `believed` (N,) takes the orientation of the
    grain around it, as a pixel that was not measured does. The gate says which grain that is; the noise is taken out
    by `without_noise`, because what the free branch of the network makes of measured points is no better than they
    are (docs/results/denoising.md). `chosen` (h, w) is the seed on which most weight agrees.
    """
    cleaned = replace(seeds, orientation=without_noise(seeds, laue_group))
    found = bent_map(cleaned, find_partners(cleaned, laue_group), np.maximum(chosen, 0))
    at = seeds.position[believed].T
    found[tuple(at)] = cleaned.orientation[believed]
    return found
