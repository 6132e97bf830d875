"""What polarized light says without any EBSD point: c-axes by plain inversion, or whole maps by the joint model.

PL is registered and calibrated by points that are then taken away, as if the calibration came from a neighbouring
section. The model service does not offer this: without points it knows nothing of gain, offset and place of PL.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from grainloop.model.diffusion.checkpoints.shipped import Weights
from grainloop.model.diffusion.inference.method import diffusion_samples, gate_evaluation
from grainloop.model.diffusion.network.conditions import gather_evidence, section_input
from grainloop.model.light.predict import predict_from_axis
from grainloop.model.reconstruct import Options, Problem, RegisteredLight, never, no_report

AXES = 1_500
"""Directions on the hemisphere that the inversion tries: about 4° apart."""
_ROWS = 8_192
SAMPLES, STEPS = 2, 4


def without_points(problem: Problem, keep: int = 0) -> Problem:
    """The same PL with no points, or with the `keep` indexed ones nearest to the middle of the map."""
    points = problem.points
    away = np.linalg.norm(points.position_px - np.array(problem.shape) / 2, axis=1)
    chosen = np.argsort(np.where(points.indexed, away, np.inf), kind="stable")[:keep]
    return replace(problem, points=points.select(chosen))


def posterior_samples(trained: Weights, problem: Problem, seed: int) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """(n, h, w, 4) samples of the joint posterior by the diffusion sampler, in the map frame; what was left out."""
    evidence = gather_evidence(problem, trained.space)
    section = section_input(problem.shape, evidence, trained.space)
    said = gate_evaluation(trained.denoiser, section)
    options = Options(SAMPLES, STEPS, seed)
    return diffusion_samples(trained, section, evidence, said, options, no_report, never), evidence.notes


def hemisphere(count: int = AXES) -> NDArray[np.float64]:
    """(count, 3) directions with z > 0, evenly spread (Fibonacci lattice)."""
    number = np.arange(count) + 0.5
    z, turn = 1 - number / count, np.pi * (3 - np.sqrt(5)) * number
    level = np.sqrt(1 - z**2)
    return np.stack([level * np.cos(turn), level * np.sin(turn), z], axis=-1)


def likeliest_axes(light: RegisteredLight) -> NDArray[np.float64]:
    """(h, w, 3) the c-axis whose predicted PL is nearest to that seen, in units of its noise; pixel by pixel.

    PL is the same for an axis turned by 180° about the normal: which of the two is meant is not known, and either may
    come out.
    """
    axes = hemisphere()
    predicted = predict_from_axis(axes)
    weight = np.where(np.isfinite(light.features) & np.isfinite(light.sigma), light.sigma.astype(np.float64), np.inf)
    weight = np.moveaxis(weight, 0, -1).reshape(-1, len(light.features)) ** -2
    seen = np.moveaxis(np.nan_to_num(light.features), 0, -1).reshape(weight.shape)
    chosen = [
        np.argmin(w @ (predicted**2).T - 2 * (w * f) @ predicted.T, axis=1)
        for w, f in zip(_cut(weight), _cut(seen), strict=True)
    ]
    return axes[np.concatenate(chosen)].reshape(*light.features.shape[1:], 3)


def _cut(values: NDArray[np.floating]) -> list[NDArray[np.floating]]:
    return np.split(values, range(_ROWS, len(values), _ROWS))


def turned_half(axes: NDArray[np.floating]) -> NDArray[np.floating]:
    """Axes (..., 3) turned by 180° about the normal: what PL cannot tell from them."""
    return axes * np.array([-1, -1, 1])


def angle_deg(one: NDArray[np.floating], other: NDArray[np.floating]) -> NDArray[np.floating]:
    """(...) angle between axes (..., 3) without direction, 0 … 90°."""
    across = np.linalg.norm(np.cross(one, other), axis=-1)
    return np.degrees(np.arctan2(across, np.abs(np.sum(one * other, axis=-1))))
