"""Unimodal against multimodal: EBSD alone, PL alone, both, and PL enriched by very few points."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from benchmarks.tasks.light_alone import angle_deg, likeliest_axes, posterior_samples, turned_half, without_points
from benchmarks.tasks.materials import Material
from benchmarks.tasks.results import Results
from benchmarks.tasks.task import AUROC, MEAN_ERROR, WRONG_PIXELS, Column, Level, Measured, Task, Trial, figures_of
from grainloop.evaluate.cases import OURS, WITHOUT, Case, cases_of
from grainloop.evaluate.sections.scenes import Setting
from grainloop.model.crystal import c_axis, disorientation_deg
from grainloop.model.crystal.disorientation import rotation_about_c_error_deg
from grainloop.model.crystal.score import WRONG_DEG
from grainloop.model.diffusion.checkpoints.shipped import load_shipped

TEXT = """
What each of the two sources says of a section alone, and what they say together: EBSD alone (points of a regular grid
without PL), PL alone, and both, from 0.5 % of the pixels (PL enriched by a few points) to 25 %.

The error of an orientation is split into the angle between the c-axes, which PL can see, and the rotation about c that
is left, which it cannot (0 … 30°; 15° on the average of random orientations). PL is the same for a c-axis turned by
180° about the normal of the section, too: *up to the half turn* the nearer of the two counts.

*PL alone* has its registration and calibration from a grid of 6.25 % of the pixels, which is then taken away, as if it
came from a neighbouring section; so it is the same at every level. (Without points the service makes no use of PL.)
*Inverted* is the c-axis whose predicted PL is nearest to that seen, pixel by pixel, one of the two at random. *PL
alone, joint* and *PL and one point* are samples of the joint posterior by the diffusion sampler (2 samples of 4 steps,
mean error of a sample): a sample errs more than a best estimate. The one point is that in the middle of the map.
"""

SHARES = (0.005, 0.01, 0.021, 0.0625, 0.25)
CALIBRATION = Level("calibration", 6.25, Setting(share=0.0625))
INVERTED, ALONE, ONE_POINT = "PL alone, inverted", f"PL alone, {OURS}", f"PL and one point, {OURS}"
_ABLATION = next(case for case in cases_of([OURS]) if case.name == WITHOUT)
KEPT = {ALONE: 0, ONE_POINT: 1}
"""Points that are left."""
CASES = (
    Case("nn", "nn"),
    _ABLATION,
    Case(INVERTED, OURS),
    Case(ALONE, OURS),
    Case(ONE_POINT, OURS),
    Case("pl_candidates", "pl_candidates"),
    Case(OURS, OURS),
)


def told(trial: Trial, case: Case) -> Measured:
    """Errors of a case; None where it gives no answer."""
    if case.name in (INVERTED, *KEPT):
        return of_light(trial.material, trial.seed, case.name)
    reply = trial.solved(case).reply
    found = figures_of(reply, trial)
    return Measured({**found.figures, **split_errors(trial, [reply.orientation])}, found.degraded)


@cache
def of_light(material: Material, seed: int, name: str) -> Measured:
    """Errors of what PL says with no point or one, whatever the level."""
    trial = Trial(material, CALIBRATION, seed)
    problem = trial.given.problems[trial.truth.main_phase.phase_id]
    if problem.light is None:
        return Measured({}, (problem.light_missing,))
    if name == INVERTED:
        return Measured(axis_errors(trial, [_either(likeliest_axes(problem.light), seed)]))
    samples, notes = posterior_samples(load_shipped(problem.laue_group), without_points(problem, KEPT[name]), seed)
    return Measured(split_errors(trial, samples) | sample_errors(trial, samples), notes)


def _either(axes: NDArray[np.floating], seed: int) -> NDArray[np.floating]:
    """Each axis, or what PL cannot tell from it, at random."""
    turned = np.random.default_rng([seed, 0x747572]).random(axes.shape[:-1]) < 0.5
    return np.where(turned[..., None], turned_half(axes), axes)


def split_errors(trial: Trial, maps: NDArray[np.float32] | list[NDArray[np.float32]]) -> dict[str, float | None]:
    """Mean errors of orientation maps (h, w, 4): of the c-axis, and about it."""
    truth, inside = trial.truth, trial.truth.indexed
    group = truth.main_phase.laue_group
    about = [np.mean(rotation_about_c_error_deg(q[inside], truth.orientation[inside], group)) for q in maps]
    return axis_errors(trial, [c_axis(q) for q in maps]) | {"about_c_deg": float(np.mean(about))}


def axis_errors(trial: Trial, axes: list[NDArray[np.floating]]) -> dict[str, float | None]:
    """Mean angles between the c-axes (h, w, 3) found and the true ones, and up to the half turn."""
    inside = trial.truth.indexed
    true = c_axis(trial.truth.orientation[inside])
    straight = np.stack([angle_deg(one[inside], true) for one in axes])
    turned = np.stack([angle_deg(turned_half(one[inside]), true) for one in axes])
    return {"c_axis_deg": float(straight.mean()), "c_axis_half_turn_deg": float(np.minimum(straight, turned).mean())}


def sample_errors(trial: Trial, samples: NDArray[np.float32]) -> dict[str, float | None]:
    """Mean error of samples (n, h, w, 4), and their share of wrong pixels."""
    truth, inside = trial.truth, trial.truth.indexed
    error = disorientation_deg(samples[:, inside], truth.orientation[inside][None], truth.main_phase.laue_group)
    return {"error_mean_deg": float(error.mean()), "error_over_5deg": float(np.mean(error > WRONG_DEG))}


def what_pl_saves(results: Results) -> str:
    """PL enriched by few points beside the same points alone, and how many points alone would be as good as both."""
    return "\n".join(_enrichment(results, material) for material in results.task.materials)


def _enrichment(results: Results, material: Material) -> str:
    level = results.task.levels[0].name

    def of(case: str, figure: str) -> float:
        return results.row(material.name, level, case).mean(figure)

    figures = {"c-axis": "c_axis_deg", "about c": "about_c_deg"}
    told = " and ".join(
        f"{name} by {of(OURS, figure):.1f}° (the same points alone {of(WITHOUT, figure):.1f}°, "
        f"PL alone {of(ALONE, figure):.1f}°)"
        for name, figure in figures.items()
    )
    return f"- {material.title}: PL enriched by {level} of points errs in the {told}. {_saving(results, material)}"


def _saving(results: Results, material: Material) -> str:
    """How many points alone leave as many wrong pixels as both sources do at each level, by a line in log–log."""
    shares = np.array([level.value for level in results.task.levels])
    alone, both = (
        np.array(
            [results.row(material.name, level.name, case).mean("error_over_5deg") for level in results.task.levels]
        )
        for case in (WITHOUT, OURS)
    )
    needed = np.exp(np.interp(-np.log(both), -np.log(alone), np.log(shares), right=np.nan))
    known = np.isfinite(needed)
    told = [
        f"{share:g} % of points leave as few wrong pixels as {need:.2g} % alone"
        for share, need in zip(shares[known], needed[known], strict=True)
    ]
    if not known.all():
        told.append(f"{shares[~known].min():g} % leave fewer than {shares[-1]:g} % alone")
    return f"With PL, {'; '.join(told)}."


C_AXIS = Column("c_axis_deg", "c-axis error, °", digits=1)
ABOUT_C = Column("about_c_deg", "rotation about c, °", digits=1)

TASK = Task(
    name="modalities",
    title="EBSD alone, PL alone, and both",
    text=TEXT,
    levels=tuple(Level(f"{100 * share:.3g} %", 100 * share, Setting(share=share)) for share in SHARES),
    axis="pixels measured, %",
    cases=CASES,
    columns=(
        WRONG_PIXELS,
        MEAN_ERROR,
        C_AXIS,
        Column("c_axis_half_turn_deg", "… up to the half turn, °", digits=1, better=0),
        ABOUT_C,
        AUROC,
    ),
    drawn=(WRONG_PIXELS, C_AXIS, ABOUT_C),
    ours=OURS,
    rivals=("nn", WITHOUT, INVERTED, ALONE, ONE_POINT, "pl_candidates"),
    measure=told,
    remarks=what_pl_saves,
    constant=(INVERTED, *KEPT),
    scale="log",
    whole_network=tuple(KEPT),
)
