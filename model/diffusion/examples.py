"""Training examples: a synthetic specimen, pretended to be partly measured, at some noise level.

`make_batch` is a pure function of a random generator. Presence of the sources is drawn per example: EBSD points, PL,
both or neither, so that the network is the joint unconditional model and every conditional of it at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.crystal import embed, neighbour_disorientation_deg
from model.diffusion._candidate_kernels import right_candidates
from model.diffusion.candidates import gather_candidates
from model.diffusion.gate import EDM_LOG_MEAN, EDM_LOG_STD
from model.diffusion.patterns import draw_pattern
from model.diffusion.state import SIGMA_MAX, SIGMA_MIN, StateSpace, standardise_light, standardise_sigma
from model.light import predict_light
from model.microstructure import draw_example

Arrays = dict[str, NDArray[Any]]
BOUNDARY_DEG = 5.0
WRONG_DEG = 5.0


@dataclass(frozen=True)
class ExampleConfig:
    """Sizes and shares of the training examples.

    Attributes:
        shapes_px: map shapes, drawn per batch.
        pixels: pixels of a batch, which sets its number of examples.
        gate_share: share of examples with everything unknown at σ_max, where the gate alone must decide.
        no_light_share: share of examples without PL.
        claimed_noise_deg: range of the noise that measured points claim.
    """

    shapes_px: tuple[tuple[int, int], ...] = ((64, 64), (64, 64), (64, 64), (96, 96))
    pixels: int = 16 * 64 * 64
    gate_share: float = 0.55
    no_light_share: float = 0.2
    claimed_noise_deg: tuple[float, float] = (0.3, 1.5)


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
    measured = draw_pattern(rng, shape, boundary[0] | boundary[1]) & drawn.indexed
    points_px = np.argwhere(measured).astype(np.int32)
    points = embed(drawn.observed[measured], space.group).astype(np.float32)
    level = SIGMA_MAX if rng.random() < config.gate_share else _log_normal(rng)
    claimed = space.sigma_for_deg(float(rng.uniform(*config.claimed_noise_deg)))
    found = gather_candidates(points_px, points, shape, space.chord_per_deg)
    ebsd, ebsd_sigma = _noised_ebsd(rng, truth, points, measured, level, claimed)
    light, light_sigma, true_light = _noised_light(rng, drawn, space, level, config)
    table = points if len(points) else np.zeros((1, truth.shape[-1]), np.float32)
    return {
        "x": np.concatenate([ebsd, light]),
        "sigma": np.concatenate([ebsd_sigma, light_sigma]),
        "points": table,
        "points_light": predicted_light(drawn.observed[measured], space),
        "index": found.index,
        "unique": found.unique,
        "features": found.features,
        "context": found.context,
        "true_ebsd": np.moveaxis(truth, -1, 0),
        "true_light": true_light,
        "valid": drawn.valid[None],
        "boundary": boundary.astype(np.float32),
        "right": right_candidates(found.index, found.unique, table, truth, WRONG_DEG * space.chord_per_deg),
    }


def predicted_light(orientation: NDArray[np.float32], space: StateSpace) -> NDArray[np.float32]:
    """Standardised PL (n, L) predicted from orientations (n, 4); one zero row where there are none."""
    if not space.light_channels:
        return np.zeros((max(1, len(orientation)), 0), np.float32)
    if len(orientation) == 0:
        return np.zeros((1, space.light_channels), np.float32)
    return standardise_light(np.moveaxis(predict_light(orientation), -1, 0).astype(np.float32)).T.copy()


def boundary_maps(orientation: NDArray[np.float32], space: StateSpace) -> NDArray[np.bool_]:
    """(2, h, w): a grain boundary to the right of, below each pixel; false beyond the edge."""
    right, down = neighbour_disorientation_deg(orientation, space.group)
    maps = np.zeros((2, *orientation.shape[:2]), np.bool_)
    maps[0, :, :-1] = right > BOUNDARY_DEG
    maps[1, :-1] = down > BOUNDARY_DEG
    return maps


def _log_normal(rng: np.random.Generator) -> float:
    return float(np.clip(np.exp(rng.normal(EDM_LOG_MEAN, EDM_LOG_STD)), SIGMA_MIN, SIGMA_MAX))


def _noised_ebsd(
    rng: np.random.Generator,
    truth: NDArray[np.float32],
    points: NDArray[np.float32],
    measured: NDArray[np.bool_],
    level: float,
    claimed: float,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """EBSD state (E, h, w) and its noise map: unknown pixels at `level`, measured ones as measured."""
    h, w, channels = truth.shape
    state = truth + np.float32(level) * rng.standard_normal(truth.shape, dtype=np.float32)
    sigma = np.full((h, w), level, np.float32)
    if level > claimed:
        state[measured] = points
        sigma[measured] = claimed
    return np.moveaxis(state, -1, 0).astype(np.float32), np.broadcast_to(sigma, (channels, h, w)).copy()


def _noised_light(
    rng: np.random.Generator, drawn: Any, space: StateSpace, level: float, config: ExampleConfig
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """PL state (L, h, w), its noise map, and the true standardised PL."""
    shape = drawn.valid.shape
    if not space.light_channels:
        empty = np.zeros((0, *shape), np.float32)
        return empty, empty, empty
    truth = standardise_light(np.moveaxis(predict_light(drawn.truth), -1, 0).astype(np.float32))
    noise = rng.standard_normal(truth.shape, dtype=np.float32)
    if rng.random() < config.no_light_share:
        absent = SIGMA_MAX if rng.random() < 0.6 else level
        return (truth + absent * noise).astype(np.float32), np.full_like(truth, absent), truth
    seen = standardise_light(drawn.light.astype(np.float32))
    sigma = np.broadcast_to(standardise_sigma(drawn.light_sigma.astype(np.float32)), truth.shape)
    waiting = sigma < level
    state = np.where(waiting, seen, truth + np.float32(level) * noise)
    return state.astype(np.float32), np.where(waiting, sigma, np.float32(level)).astype(np.float32), truth


def stack_examples(examples: list[Arrays]) -> Arrays:
    """Stack along a new first axis; point lists are padded with zeros to the longest."""
    longest = max(len(example["points"]) for example in examples)
    for example in examples:
        for name in ("points", "points_light"):
            table = example[name]
            example[name] = np.pad(table, ((0, longest - len(table)), (0, 0)))
    return {name: np.stack([example[name] for example in examples]) for name in examples[0]}
