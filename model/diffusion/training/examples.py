"""Training examples: a synthetic specimen, pretended to be partly measured, at some noise level.

`make_batch` is a pure function of a random generator. Presence of the sources is drawn per example: EBSD points, PL,
both or neither, so that the network is the joint unconditional model and every conditional of it at once. Examples come
in three kinds: everything unknown at σ_max, where the gate must decide; the plain prior, where nothing is measured and
the whole state is at one noise level; and the mixture of both.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from grainloop.model.crystal import boundaries_between, disorientation_deg, embed
from grainloop.model.diffusion.network._candidate_kernels import candidate_chords
from grainloop.model.diffusion.network.conditions import Evidence, gather_evidence
from grainloop.model.diffusion.network.denoiser import Conditions
from grainloop.model.diffusion.network.gate import EDM_LOG_MEAN, EDM_LOG_STD
from grainloop.model.diffusion.network.state import (
    SIGMA_MAX,
    SIGMA_MIN,
    StateSpace,
    standardise_light,
    standardise_sigma,
)
from grainloop.model.diffusion.training.losses import Truth
from grainloop.model.diffusion.training.patterns import draw_pattern
from grainloop.model.light import predict_light
from grainloop.model.microstructure import Example, draw_example
from grainloop.model.reconstruct.problem import Problem, RegisteredLight, SparsePoints
from grainloop.model.reconstruct.within import orientation_at

Arrays = dict[str, NDArray[Any]]
PRIOR_LOG_STD = 1.6
"""Spread of the noise levels of the plain prior, which a sampler walks from pure noise down."""
PRIOR_NO_LIGHT = 0.75
"""Share of the plain prior without a PL image; the state then still has PL channels, at σ_max or the common level."""
BOUNDARY_DEG = 5.0
WRONG_DEG = 5.0
SURELY_RIGHT_DEG, MAYBE_RIGHT_DEG = 1.5, 15.0
"""Off by less than the first a candidate's grain is right, by more than the second it is wrong, however it bends."""


@dataclass(frozen=True)
class ExampleConfig:
    """Sizes and shares of the training examples.

    Attributes:
        shapes_px: map shapes, drawn per batch.
        pixels: pixels of a batch, which sets its number of examples.
        gate_share: share of examples with everything unknown at σ_max, where the gate alone must decide.
        prior_share: share of examples without any measured point, where the free branch alone must denoise.
        no_light_share: share of the others without PL.
        claimed_spread: standard deviation of the logarithm by which measured points misjudge their noise.
    """

    shapes_px: tuple[tuple[int, int], ...] = ((64, 64), (64, 64), (64, 64), (96, 96))
    pixels: int = 16 * 64 * 64
    gate_share: float = 0.6
    prior_share: float = 0.25
    no_light_share: float = 0.3
    claimed_spread: float = 0.3


def make_batch(rng: np.random.Generator, space: StateSpace, config: ExampleConfig) -> Arrays:
    """A batch of examples as stacked arrays named like the fields of `Conditions`, plus the truth."""
    shape = config.shapes_px[int(rng.integers(len(config.shapes_px)))]
    count = max(1, config.pixels // (shape[0] * shape[1]))
    return stack_examples([make_example(rng, space, config, shape) for _ in range(count)])


def make_example(rng: np.random.Generator, space: StateSpace, config: ExampleConfig, shape: tuple[int, int]) -> Arrays:
    """One example of (h, w) = `shape`."""
    drawn = draw_example(rng, shape, space.group.name)
    truth = embed(drawn.truth, space.group).astype(np.float32)
    boundary = boundary_maps(drawn.truth, space)
    kind = rng.random()
    prior = kind < config.prior_share
    level = SIGMA_MAX if kind >= 1 - config.gate_share else _log_normal(rng, PRIOR_LOG_STD if prior else EDM_LOG_STD)
    measured = np.zeros(shape, np.bool_) if prior else draw_pattern(rng, shape, boundary[0] | boundary[1])
    measured &= drawn.indexed
    claimed = space.sigma_for_deg(drawn.noise_deg * float(np.exp(rng.normal(0, config.claimed_spread))))
    absent = rng.random() < (PRIOR_NO_LIGHT if prior else config.no_light_share)
    light, light_sigma, true_light, seen = _noised_light(rng, drawn, space, level, absent)
    evidence = gather_evidence(_problem(drawn, measured, space, seen), space)
    ebsd, ebsd_sigma = _noised_ebsd(rng, truth, evidence, level, claimed)
    found = evidence.found
    return {
        "x": np.concatenate([ebsd, light]),
        "sigma": np.concatenate([ebsd_sigma, light_sigma]),
        "points": evidence.embedding,
        "points_light": evidence.predicted_light,
        "index": found.index,
        "known": found.known,
        "prior": found.prior,
        "features": found.features,
        "context": found.context,
        "true_ebsd": np.moveaxis(truth, -1, 0),
        "true_light": true_light,
        "valid": drawn.valid[None],
        "boundary": boundary.astype(np.float32),
        "right": right_candidates(evidence, drawn.truth, truth, space),
    }


def _problem(drawn: Example, measured: NDArray[np.bool_], space: StateSpace, light: RegisteredLight | None) -> Problem:
    position = np.argwhere(measured).astype(np.int32)
    points = SparsePoints(position, drawn.observed[measured], np.ones(len(position), np.bool_))
    return Problem(drawn.valid.shape, space.group.name, points, light)


def boundary_maps(orientation: NDArray[np.float32], space: StateSpace) -> NDArray[np.bool_]:
    """(2, h, w): a grain boundary to the right of, below each pixel; false beyond the edge."""
    maps = np.zeros((2, *orientation.shape[:2]), np.bool_)
    maps[0, :, :-1], maps[1, :-1] = boundaries_between(orientation, space.group, BOUNDARY_DEG)
    return maps


def right_candidates(
    evidence: Evidence, orientation: NDArray[np.float32], truth: NDArray[np.float32], space: StateSpace
) -> NDArray[np.bool_]:
    """(K, h, w): candidates in whose grain the pixel would be off by at most 5°, bent as the points around say.

    Args:
        evidence: of the example.
        orientation: (h, w, 4) true one.
        truth: (h, w, E) its embedding.
        space: the state space.
    """
    found, chord = evidence.found, space.chord_per_deg
    apart = candidate_chords(found.index, found.known, evidence.embedding, truth)
    right = apart < SURELY_RIGHT_DEG * chord
    unsure = ~right & (apart < MAYBE_RIGHT_DEG * chord)
    slot, row, column = np.nonzero(unsure)
    place = np.stack([row, column], axis=-1)
    bent = orientation_at(evidence.seeds, evidence.partners, found.index[slot, row, column], place)
    right[unsure] = disorientation_deg(bent, orientation[row, column], space.group) <= WRONG_DEG
    return right


def _log_normal(rng: np.random.Generator, log_std: float) -> float:
    return float(np.clip(np.exp(rng.normal(EDM_LOG_MEAN, log_std)), SIGMA_MIN, SIGMA_MAX))


def _noised_ebsd(
    rng: np.random.Generator, truth: NDArray[np.float32], evidence: Evidence, level: float, claimed: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """EBSD state (E, h, w) and its noise map: unknown pixels at `level`, measured ones as measured."""
    h, w, channels = truth.shape
    state = truth + np.float32(level) * rng.standard_normal(truth.shape, dtype=np.float32)
    sigma = np.full((h, w), level, np.float32)
    if level > claimed and len(evidence.seeds):
        measured = tuple(evidence.seeds.position.T)
        state[measured] = evidence.embedding
        sigma[measured] = claimed
    return np.moveaxis(state, -1, 0).astype(np.float32), np.broadcast_to(sigma, (channels, h, w)).copy()


def _noised_light(
    rng: np.random.Generator, drawn: Example, space: StateSpace, level: float, absent: bool
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32], RegisteredLight | None]:
    """PL state (L, h, w), its noise map, the true standardised PL, and PL as registered if there is any."""
    shape = drawn.valid.shape
    if not space.light_channels:
        empty = np.zeros((0, *shape), np.float32)
        return empty, empty, empty, None
    truth = standardise_light(np.moveaxis(predict_light(drawn.truth), -1, 0).astype(np.float32))
    noise = rng.standard_normal(truth.shape, dtype=np.float32)
    if absent:
        sigma_absent = SIGMA_MAX if rng.random() < 0.6 else level
        return (truth + sigma_absent * noise).astype(np.float32), np.full_like(truth, sigma_absent), truth, None
    seen = standardise_light(drawn.light.astype(np.float32))
    sigma = np.broadcast_to(standardise_sigma(drawn.light_sigma.astype(np.float32)), truth.shape)
    waiting = sigma < level
    state = np.where(waiting, seen, truth + np.float32(level) * noise)
    registered = RegisteredLight(drawn.light, drawn.light_sigma)
    return state.astype(np.float32), np.where(waiting, sigma, np.float32(level)).astype(np.float32), truth, registered


def stack_examples(examples: list[Arrays]) -> Arrays:
    """Stack along a new first axis; point lists are padded with zeros to the longest."""
    longest = max(len(example["points"]) for example in examples)
    for example in examples:
        for name in ("points", "points_light"):
            table = example[name]
            example[name] = np.pad(table, ((0, longest - len(table)), (0, 0)))
    return {name: np.stack([example[name] for example in examples]) for name in examples[0]}


def unpack(batch: dict[str, Tensor]) -> tuple[Conditions, Truth]:
    """The tensors of a batch as what goes in and what should come out."""
    given = {of.name: batch[of.name] for of in fields(Conditions)}
    given["index"] = given["index"].long()
    truth = Truth(batch["true_ebsd"], batch["true_light"], batch["valid"], batch["boundary"], batch["right"])
    return Conditions(**given), truth
