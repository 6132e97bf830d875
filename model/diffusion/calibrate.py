"""What a trained denoiser claims on specimens that training never saw, and the calibration that follows from it.

How claims are corrected is decided in `model.estimate.calibration`; here are the specimens and the points measured on
them: grids, random points and refined grids at every density, with PL and without.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from model.crystal import disorientation_deg
from model.diffusion.examples import boundary_maps
from model.diffusion.method import reconstruct
from model.diffusion.patterns import draw_sparse_pattern
from model.diffusion.shipped import Weights
from model.diffusion.state import StateSpace
from model.estimate.calibration import Calibration, Claims, fit_correction
from model.microstructure import Example, draw_example
from model.reconstruct.problem import (
    LARGEST_ERROR_DEG,
    Options,
    Problem,
    RegisteredLight,
    SparsePoints,
    never,
    no_report,
)

_SEED = 4_062_2026
UNBOUNDED = np.float32(LARGEST_ERROR_DEG)
"""Bound of a method that gives none."""
CALIBRATED_ON, TESTED_ON = 0x63616C, 0x746573
"""Streams of specimens: those that a calibration is learnt from, and others to try it on."""


@dataclass(frozen=True)
class Trial:
    """One problem with its answer: a synthetic specimen, some of whose pixels count as measured."""

    problem: Problem
    example: Example


def trials(space: StateSpace, count: int, shape: tuple[int, int], stream: int) -> Iterator[Trial]:
    """`count` specimens, always the same for a `stream`; where crystals show PL, each with and without it."""
    for number in range(count):
        rng = np.random.default_rng([_SEED, stream, number])
        example = draw_example(rng, shape, space.group.name)
        boundary = boundary_maps(example.truth, space)
        position = np.argwhere(draw_sparse_pattern(rng, shape, boundary[0] | boundary[1])).astype(np.int32)
        at = tuple(position.T)
        points = SparsePoints(position, example.observed[at], example.indexed[at])
        problem = Problem(shape, space.group.name, points)
        if space.light_channels:
            yield Trial(replace(problem, light=RegisteredLight(example.light, example.light_sigma)), example)
        yield Trial(problem, example)


def claims_of(trained: Weights, cases: Iterable[Trial]) -> dict[bool, Claims]:
    """What `trained` claims of the pixels of the main phase, by whether PL took part."""
    found: dict[bool, list[Claims]] = {}
    for case in cases:
        posterior = reconstruct(trained, case.problem, Options(), no_report, never)
        inside = case.example.valid
        error = disorientation_deg(posterior.orientation[inside], case.example.truth[inside], case.problem.laue_group)
        bound = posterior.bound90_deg if posterior.bound90_deg is not None else UNBOUNDED
        claimed = Claims(
            posterior.p_wrong[inside],
            posterior.expected_error_deg[inside],
            np.broadcast_to(bound, inside.shape)[inside],
            np.asarray(error),
        )
        found.setdefault(posterior.light_used, []).append(claimed)
    return {used: _joined(parts) for used, parts in found.items()}


def _joined(parts: list[Claims]) -> Claims:
    return Claims(
        np.concatenate([part.p_wrong for part in parts]),
        np.concatenate([part.expected_error_deg for part in parts]),
        np.concatenate([part.bound90_deg for part in parts]),
        np.concatenate([part.error_deg for part in parts]),
    )


def calibrate(
    trained: Weights,
    specimens: int = 160,
    shape: tuple[int, int] = (96, 96),
    watch: Callable[[Iterator[Trial]], Iterable[Trial]] = iter,
) -> Calibration:
    """The calibration of trained weights, whatever calibration they came with.

    Args:
        trained: the weights.
        specimens: to learn it from.
        shape: of each.
        watch: wraps the problems, for instance to show progress.
    """
    raw = replace(trained, calibration=None)
    claims = claims_of(raw, watch(trials(trained.space, specimens, shape, CALIBRATED_ON)))
    without = fit_correction(claims[False])
    return Calibration(fit_correction(claims[True]) if True in claims else without, without)
