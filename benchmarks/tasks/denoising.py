"""Denoising of EBSD: how far measured orientations are from the truth before and after the noise is taken out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from benchmarks.tasks.orientation_filters import half_quadratic, kuwahara, mean_of_grain, on_grid
from benchmarks.tasks.task import Column, Level, Measured, Task, Trial
from grainloop.evaluate.cases import OURS, Case
from grainloop.evaluate.methods import method_named
from grainloop.evaluate.sections.cropping import centre_window, crop_map
from grainloop.evaluate.sections.scenes import Scene, Setting, make_scene
from grainloop.instrument_sim.config import DetectorConfig
from grainloop.model.crystal import decode, disorientation_deg
from grainloop.model.crystal.frames import to_map_frame
from grainloop.model.crystal.score import WRONG_DEG
from grainloop.model.diffusion.checkpoints.shipped import load_shipped
from grainloop.model.diffusion.inference.method import gate_evaluation
from grainloop.model.diffusion.network.conditions import gather_evidence, section_input
from grainloop.model.maps import OrientationMap
from grainloop.model.reconstruct import Options, Problem, never, no_report

TEXT = """
Orientations are measured with isotropic noise of 0.5 to 3° rms at every pixel, on a grid of 25 % and on one of 6.25 %
of the pixels, on the centre of 128 × 128 px. Given is the mean disorientation from the truth of the *measured* pixels,
before and after the noise is taken out. The first three columns have noise and no other error; in the last two, every
pixel measured, the detector makes its default mistakes besides: a boundary pixel may show the pattern of its neighbour,
and 0.3 % of the points are indexed at random, 0.3 % as a pseudo-symmetric variant.

`joint` is the denoised map of the posterior (`Posterior.denoised`): the gate of the network decides which lonely points
are mistakes and which grain they lie in; the noise is taken out by a bilateral filter on the points that finds out by
itself how large the noise is. *Network alone* is what the free branch of the network makes of the measured
pixels: it was trained to take noise out, and hardly does, because measured pixels are few in training, and the three
degrees of freedom of a small rotation are a small part of what 18 channels are trained for. That is why the denoised
map does not use it.

References are filters that are in use for orientation maps: the mean over the neighbours within 5°, in a square of 3 or
5 points; the Kuwahara filter with squares of 2 or 3 points; and a half-quadratic filter (total variation within grains)
*that is told the true noise*, with a strength of 0.6 times it. On grids they work on the grid as a map of its own. The
real maps are taken as the truth with their own noise in them (about 0.3 to 0.6°), which a good filter takes out as
well: errors below that say little there, and the synthetic specimens more. The constants of the bilateral filter were
chosen on the two real maps and other synthetic specimens.
"""
EDGE_PX = 128
STRENGTH = 0.6
"""Of the half-quadratic filter over the noise: near its best from 0.5 to 3°."""
MISTAKES = {name: getattr(DetectorConfig(), name) for name in ("spot_px", "random_share", "pseudo_share")}
BEFORE, ALONE, TOLD = "as measured", "network alone", "half-quadratic, told the noise"
Denoise = Callable[[Problem, float], NDArray[np.float32]]
"""(N, 4) orientations of the points of a problem, given the true noise, which only some use."""


@dataclass(frozen=True)
class Variant:
    """One way to measure.

    Attributes:
        name: end of the names of its figures.
        share: of the pixels.
        mistakes: whether the detector makes its default mistakes.
    """

    name: str
    share: float
    mistakes: bool = False

    def of(self, setting: Setting) -> Setting:
        """A setting measured in this way."""
        chosen = replace(setting, share=self.share)
        return chosen.with_detector(**MISTAKES) if self.mistakes else chosen


VARIANTS = (Variant("full", 1.0), Variant("25", 0.25), Variant("6", 0.0625), Variant("mistakes", 1.0, mistakes=True))


@lru_cache(maxsize=2)
def centre_of(trial: Trial) -> OrientationMap:
    """The centre of the specimen of a trial."""
    specimen = trial.material.specimen(trial.seed)
    return crop_map(specimen, centre_window(specimen.shape_px, EDGE_PX))


@lru_cache(maxsize=len(VARIANTS))
def scene_of(trial: Trial, variant: Variant) -> Scene:
    """The centre of the specimen of a trial, measured in one way."""
    return make_scene(centre_of(trial), replace(variant.of(trial.level.setting), seed=trial.seed))


def problem_of(scene: Scene) -> Problem:
    """The problem of the one phase of a scene."""
    return next(iter(scene.given.problems.values()))


def ours(problem: Problem, noise_deg: float) -> NDArray[np.float32]:
    """The denoised map of the posterior at the points."""
    del noise_deg
    denoised = method_named(OURS)(problem, Options(), no_report, never).denoised
    if denoised is None:
        raise ValueError("the method gives no denoised map")
    return denoised[tuple(problem.points.position_px.T)]


def network_alone(problem: Problem, noise_deg: float) -> NDArray[np.float32]:
    """What the free branch of the network makes of the points."""
    del noise_deg
    trained = load_shipped(problem.laue_group)
    section = section_input(problem.shape, gather_evidence(problem, trained.space), trained.space)
    free = gate_evaluation(trained.denoiser, section).free[0]
    row, column = problem.points.position_px.T
    return decode(free[:, row, column].T.contiguous().numpy(), trained.space.group).astype(np.float32)


def filtered(problem: Problem, noise_deg: float) -> NDArray[np.float32]:
    """The half-quadratic filter with a strength that fits the true noise."""
    return on_grid(problem.points, half_quadratic(STRENGTH * noise_deg), problem.laue_group)


def _reference(made: Callable[..., NDArray[np.float32]]) -> Denoise:
    return lambda problem, noise_deg: on_grid(problem.points, made, problem.laue_group)  # noqa: ARG005


DENOISERS: dict[str, Denoise] = {
    BEFORE: lambda problem, noise_deg: problem.points.orientation,  # noqa: ARG005
    "mean within 5°, 3 × 3": _reference(mean_of_grain(1)),
    "mean within 5°, 5 × 5": _reference(mean_of_grain(2)),
    "Kuwahara, squares of 2": _reference(kuwahara(1)),
    "Kuwahara, squares of 3": _reference(kuwahara(2)),
    TOLD: filtered,
    ALONE: network_alone,
    OURS: ours,
}


def denoised(trial: Trial, case: Case) -> Measured:
    """Mean error of the measured pixels in every variant, and the share of wrong ones where mistakes are made."""
    figures: dict[str, float | None] = {}
    for variant in VARIANTS:
        error = errors_deg(trial, scene_of(trial, variant), DENOISERS[case.name])
        figures[f"error_{variant.name}_deg"] = float(error.mean())
        figures[f"wrong_{variant.name}"] = float(np.mean(error > WRONG_DEG))
    return Measured(figures)


def errors_deg(trial: Trial, scene: Scene, denoise: Denoise) -> NDArray[np.floating]:
    """(n,) disorientation from the truth of the points that are indexed and whose truth is, degrees."""
    problem = problem_of(scene)
    found = denoise(problem, trial.level.setting.instrument.detector.noise_deg)
    at = tuple(problem.points.position_px.T)
    truth = to_map_frame(scene.truth.orientation[at], scene.truth.frame).astype(np.float32)
    counted = problem.points.indexed & scene.truth.indexed[at]
    return np.asarray(disorientation_deg(found[counted], truth[counted], problem.laue_group))


FULL = Column("error_full_deg", "mean error, every pixel, °", digits=3)
QUARTER = Column("error_25_deg", "mean error, 25 %, °", digits=3)
SIXTEENTH = Column("error_6_deg", "mean error, 6.25 %, °", digits=3)
WITH_MISTAKES = Column("error_mistakes_deg", "mean error with mistakes, °", digits=3)
WRONG = Column("wrong_mistakes", "wrong by > 5° with mistakes, %", 100, 2)

TASK = Task(
    name="denoising",
    title="Denoising of EBSD",
    text=TEXT,
    levels=tuple(
        Level(f"{noise:g}°", noise, Setting(share=1.0).with_detector(noise_deg=noise)) for noise in (0.5, 1.0, 2.0, 3.0)
    ),
    axis="noise of the points, ° rms",
    cases=tuple(Case(name, OURS) for name in DENOISERS),
    columns=(FULL, QUARTER, SIXTEENTH, WITH_MISTAKES, WRONG),
    drawn=(FULL, SIXTEENTH, WITH_MISTAKES),
    log_figures=(FULL.figure, SIXTEENTH.figure, WITH_MISTAKES.figure),
    ours=OURS,
    rivals=tuple(name for name in DENOISERS if name not in (OURS, ALONE)),
    measure=denoised,
)
