"""What a trained denoiser claims on specimens that training never saw, and the calibration that follows from it.

How claims are corrected is decided in `model.estimate.calibration`; here are the specimens and the points measured on
them: grids, random points and refined grids at every density, with PL and without.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import fields, replace

import numpy as np

from grainloop.model.diffusion.checkpoints.shipped import Weights
from grainloop.model.diffusion.network.state import StateSpace
from grainloop.model.diffusion.training.examples import boundary_maps
from grainloop.model.diffusion.training.patterns import draw_sparse_pattern
from grainloop.model.diffusion.training.validation import Case, solve, synthetic_case
from grainloop.model.estimate.calibration import Calibration, Claims, fit_correction
from grainloop.model.microstructure import draw_example
from grainloop.model.reconstruct.problem import bound_of, scatter_of

_SEED = 4_062_2026
CALIBRATED_ON, TESTED_ON = 0x63616C, 0x746573
"""Streams of specimens: those that a calibration is learnt from, and others to try it on."""


def trials(space: StateSpace, count: int, shape: tuple[int, int], stream: int) -> Iterator[Case]:
    """`count` specimens, always the same for a `stream`; where crystals show PL, each with and without it."""
    for number in range(count):
        rng = np.random.default_rng([_SEED, stream, number])
        example = draw_example(rng, shape, space.group.name)
        boundary = boundary_maps(example.truth, space)
        measured = draw_sparse_pattern(rng, shape, boundary[0] | boundary[1])
        case = synthetic_case(example, np.argwhere(measured).astype(np.int32), float(measured.mean()), space)
        if case.problem.light is not None:
            yield case
        yield replace(case, problem=replace(case.problem, light=None))


def claims_of(trained: Weights, cases: Iterable[Case]) -> dict[bool, Claims]:
    """What `trained` claims of the pixels of the main phase, by whether PL took part."""
    found: dict[bool, list[Claims]] = {}
    for case in cases:
        posterior, error = solve(trained, case)
        of = (posterior.p_wrong, posterior.expected_error_deg, bound_of(posterior), scatter_of(posterior))
        p_wrong, expected, bound, scatter = (values[case.inside] for values in of)
        found.setdefault(posterior.light_used, []).append(Claims(p_wrong, expected, bound, scatter, error))
    return {used: _joined(parts) for used, parts in found.items()}


def _joined(parts: list[Claims]) -> Claims:
    return Claims(*(np.concatenate([getattr(part, of.name) for part in parts]) for of in fields(Claims)))


def calibrate(trained: Weights, specimens: int = 160, shape: tuple[int, int] = (96, 96)) -> Calibration:
    """The calibration of trained weights by `specimens` of a `shape`, whatever calibration they came with."""
    raw = replace(trained, calibration=None)
    claims = claims_of(raw, trials(trained.space, specimens, shape, CALIBRATED_ON))
    without = fit_correction(claims[False])
    return Calibration(fit_correction(claims[True]) if True in claims else without, without)
