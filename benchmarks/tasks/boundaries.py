"""Grain boundaries: of maps, of the posterior's own probability, of edges in PL and of coarse EBSD alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray

from benchmarks.tasks.materials import MG_TWINS, TI64, Material
from benchmarks.tasks.results import Results
from benchmarks.tasks.task import Column, Level, Measured, Task, Trial
from grainloop.evaluate.cases import OURS, WITHOUT, Case, cases_of
from grainloop.evaluate.sections.scenes import Setting
from grainloop.model.crystal import boundary_map, score_boundaries
from grainloop.model.crystal.neighbours import neighbour_disorientation_deg
from grainloop.model.crystal.score import distance_px, split_boundaries
from grainloop.model.reconstruct.watershed import elevation
from grainloop.protocols.messages import Reconstruction

TEXT = """
Boundary pixels of a map found from a regular grid of exact points and PL: pixels with a disorientation above 5° to
their right or lower neighbour. F1 compares them with those of the true map, at the same pixel or within 1 px
(chessboard distance); the mean boundary distance is that from every estimated pixel to the nearest true one and back,
the mean of both ways.

A boundary is *PL-visible* where the c-axes on its two sides differ by more than 5°, else *PL-blind*: the grains differ
by a rotation about c, which PL cannot show. An estimated pixel belongs to neither kind, so of these the recall is given
(share of true pixels found within 1 px) and how far the nearest estimated pixel is. Many blind boundaries are of 5 to
7°, which a map that is smoothed within its grains may show as less than 5°; those above 10° are also told apart.

What is compared: boundaries of the map of each method; the posterior's probability of a boundary, above 0.5 and above
the threshold that would have been best on this very map (an upper bound, not a method); the Sobel gradient of the
registered PL, in units of its noise; and the disorientation of neighbouring pixels of the nearest-neighbour map above
a threshold that need not be 5°. The thresholds of the last two are those that are best in F1 within 1 px on *other*
material: the Mg map for Ti64, Ti64 for Mg, both for synthetic specimens. Sobel edges are taken as they are, two to
three pixels wide: thinned to a skeleton they score lower at both tolerances on all three materials (tried at 6.25 %,
seed 0, each at its best threshold). They get their PL registered by the points, but else know of none.
"""

SHARES = (0.021, 0.0625, 0.25)
C_AXIS_DEG = 5.0
CLEAR_DEG = 10.0
"""Disorientation of boundaries that no smoothing of a map takes below 5°."""
TUNING_SEED = 1_000
"""Of the scenes on which thresholds are chosen; no trial has it."""
GRADIENTS = tuple(np.geomspace(3, 60, 27))
DISORIENTATIONS_DEG = (1.0, 2.0, 3.0, 4.0, 5.0, 7.0, 10.0, 15.0, 20.0, 30.0)
PROBABILITIES = tuple(np.arange(0.05, 0.96, 0.05))
SOBEL, NN_TUNED = "Sobel edges of PL", "nn, threshold tuned"
HALF, BEST = f"{OURS}, P > 0.5", f"{OURS}, P above its best"
Evidence = Callable[[Trial], NDArray[np.floating]]
"""(h, w) the larger, the likelier a boundary."""
Edges = NDArray[np.bool_]


@lru_cache(maxsize=4)
def _reply(trial: Trial, method: str) -> Reconstruction:
    """The answer of a method; several cases look at the same one."""
    return trial.solved(Case(method, method)).reply


def of_map(trial: Trial, reply: Reconstruction) -> Edges:
    """(h, w) boundary pixels of a map within the indexed part of the truth."""
    truth = trial.truth
    return boundary_map(reply.orientation, truth.main_phase.laue_group, valid=truth.indexed)


def true_boundaries(trial: Trial) -> Edges:
    """(h, w) boundary pixels of the truth."""
    truth = trial.truth
    return boundary_map(truth.orientation, truth.main_phase.laue_group, valid=truth.indexed)


def gradient(trial: Trial) -> NDArray[np.floating]:
    """(h, w) Sobel gradient of registered PL per noise; 0 where there is no PL."""
    light = next(iter(trial.given.problems.values())).light
    return np.zeros(trial.truth.shape_px) if light is None else elevation(light)


def disorientation(trial: Trial) -> NDArray[np.floating]:
    """(h, w) the larger disorientation to the right and the lower neighbour in the nearest-neighbour map, degrees."""
    right, down = neighbour_disorientation_deg(_reply(trial, "nn").orientation, trial.truth.main_phase.laue_group)
    return np.maximum(np.pad(right, ((0, 0), (0, 1))), np.pad(down, ((0, 1), (0, 0))))


def probability(trial: Trial) -> NDArray[np.floating]:
    """(h, w) the posterior's probability of a boundary to the right or lower neighbour."""
    return _reply(trial, OURS).boundary


@dataclass(frozen=True)
class Tuned:
    """Evidence above the threshold that is best on other material."""

    evidence: Evidence
    thresholds: tuple[float, ...]

    def __call__(self, trial: Trial) -> Edges:
        """(h, w) boundary pixels."""
        return above(trial, self.evidence(trial), tuned(self.evidence, self.thresholds, trial.material, trial.level))


def above(trial: Trial, evidence: NDArray[np.floating], threshold: float) -> Edges:
    """(h, w) pixels of the indexed part with more than this evidence."""
    return (evidence > threshold) & trial.truth.indexed


@cache
def tuned(evidence: Evidence, thresholds: tuple[float, ...], material: Material, level: Level) -> float:
    """The threshold of the best mean F1 within 1 px on other material than this."""
    others = [other for other in (TI64, MG_TWINS) if other != material]
    return best_threshold(evidence, thresholds, [Trial(other, level, TUNING_SEED) for other in others])


def best_threshold(evidence: Evidence, thresholds: Sequence[float], trials: Sequence[Trial]) -> float:
    """The threshold of the best mean F1 within 1 px."""
    pairs = [(trial, evidence(trial), true_boundaries(trial)) for trial in trials]
    scores = [
        np.mean([score_boundaries(above(trial, seen, threshold), truth, 1).f1 for trial, seen, truth in pairs])
        for threshold in thresholds
    ]
    return float(thresholds[int(np.argmax(scores))])


@lru_cache(maxsize=4)
def own_threshold(trial: Trial) -> float:
    """The probability of a boundary above which the posterior's boundaries are best on this very map."""
    return best_threshold(probability, PROBABILITIES, [trial])


def at_its_best(trial: Trial) -> Edges:
    """The posterior's boundaries above that threshold."""
    return above(trial, probability(trial), own_threshold(trial))


SPECIAL: dict[str, Callable[[Trial], Edges]] = {
    SOBEL: Tuned(gradient, GRADIENTS),
    NN_TUNED: Tuned(disorientation, DISORIENTATIONS_DEG),
    HALF: lambda trial: above(trial, probability(trial), 0.5),
    BEST: at_its_best,
}
"""Cases that are no boundaries of a map."""
_ABLATION = next(case for case in cases_of([OURS]) if case.name == WITHOUT)
CASES = (
    Case("nn", "nn"),
    Case(NN_TUNED, "nn"),
    Case(SOBEL, "nn"),
    Case("pl_watershed", "pl_watershed"),
    Case("pl_candidates", "pl_candidates"),
    Case(OURS, OURS),
    Case(HALF, OURS),
    Case(BEST, OURS),
    _ABLATION,
)


def boundaries_found(trial: Trial, case: Case) -> Measured:
    """How well a case finds the true boundaries."""
    edges, degraded = edges_of(trial, case)
    found = boundary_figures(trial, edges)
    return Measured(found | ({"threshold": own_threshold(trial)} if case.name == BEST else {}), degraded)


def edges_of(trial: Trial, case: Case) -> tuple[Edges, tuple[str, ...]]:
    """(h, w) the boundary pixels that a case finds, and what it left out."""
    if case.name in SPECIAL:
        return SPECIAL[case.name](trial), ()
    reply = trial.solved(case).reply if case.change else _reply(trial, case.method)
    return of_map(trial, reply), reply.degraded


def boundary_figures(trial: Trial, edges: Edges) -> dict[str, float | None]:
    """F1, distances and recalls of boundary pixels (h, w); None where there is no answer."""
    truth = trial.truth
    true = true_boundaries(trial)
    kinds = split_boundaries(truth.orientation, truth.main_phase.laue_group, truth.indexed, C_AXIS_DEG)
    exact, near = (score_boundaries(edges, true, tolerance) for tolerance in (0, 1))
    found = {
        "f1_0px": exact.f1,
        "f1_1px": near.f1,
        "precision_1px": near.precision,
        "mean_distance_px": near.mean_distance_px,
        "blind_share": float(kinds[1].sum() / max(1, true.sum())),
    }
    clear = kinds[1] & boundary_map(truth.orientation, truth.main_phase.laue_group, CLEAR_DEG, truth.indexed)
    for name, kind in {"visible": kinds[0], "blind": kinds[1], "blind_clear": clear}.items():
        found[f"recall_{name}"] = score_boundaries(edges, kind, 1).recall if kind.any() else math.nan
        found[f"distance_{name}_px"] = directed_distance_px(kind, edges)
    return {name: None if math.isnan(value) else value for name, value in found.items()}


def directed_distance_px(kind: Edges, edges: Edges) -> float:
    """Mean distance from the pixels of a kind to the nearest one found; NaN where either is missing."""
    return float(distance_px(edges)[kind].mean()) if kind.any() and edges.any() else math.nan


def remarks(results: Results) -> str:
    """How many of the true boundary pixels PL cannot see, and where the posterior's probability should be cut."""
    levels, materials = results.task.levels, results.task.materials
    blind = ", ".join(
        f"{m.title} {100 * results.row(m.name, levels[0].name, 'nn').mean('blind_share'):.0f} %" for m in materials
    )
    cut = [
        f"{m.title} "
        + ", ".join(f"{results.row(m.name, lv.name, BEST).mean('threshold'):.2f} at {lv.name}" for lv in levels)
        for m in materials
    ]
    return (
        f"Share of the true boundary pixels that are PL-blind: {blind}.\n\n"
        f"The threshold of the posterior's probability that would have been best, mean: {'; '.join(cut)}."
    )


F1_EXACT = Column("f1_0px", "F1, same pixel", digits=3, better=1)
F1_NEAR = Column("f1_1px", "F1, within 1 px", digits=3, better=1)
DISTANCE = Column("mean_distance_px", "mean distance, px")
VISIBLE = Column("recall_visible", "PL-visible found, %", 100, 1, better=1)
BLIND = Column("recall_blind", "PL-blind found, %", 100, 1, better=1)
CLEARLY_BLIND = Column("recall_blind_clear", "PL-blind above 10° found, %", 100, 1, better=1)

TASK = Task(
    name="boundaries",
    title="Grain boundaries",
    text=TEXT,
    levels=tuple(Level(f"{100 * share:.3g} %", 100 * share, Setting(share=share)) for share in SHARES),
    axis="pixels measured, %",
    cases=CASES,
    columns=(
        F1_EXACT,
        F1_NEAR,
        DISTANCE,
        Column("precision_1px", "precision within 1 px, %", 100, 1, better=0),
        VISIBLE,
        BLIND,
        CLEARLY_BLIND,
        Column("distance_visible_px", "to PL-visible, px", better=0),
        Column("distance_blind_px", "to PL-blind, px", better=0),
    ),
    drawn=(F1_NEAR, F1_EXACT, VISIBLE, BLIND),
    ours=OURS,
    rivals=("nn", NN_TUNED, SOBEL, "pl_watershed", "pl_candidates"),
    measure=boundaries_found,
    remarks=remarks,
    kind="bars",
)
