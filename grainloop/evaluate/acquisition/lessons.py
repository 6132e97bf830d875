"""Runs from which weights learn how many pixels of a section are wrong: whole acquisitions of synthetic specimens.

The simulated instrument measures, the service's own code registers, reconstructs and proposes. Instruments range from
exact points to twice the usual noise, with points lost and mistaken at boundaries alike; every third run has no PL, and
every fifth is one regular grid. What is learnt of the moments of a run is decided in `model.estimate.share_lessons`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from grainloop.evaluate.acquisition.playing import Stage, play, set_up
from grainloop.evaluate.figures_of_merit import error_map_deg
from grainloop.instrument_sim.config import DetectorConfig, DriftConfig, SimConfig
from grainloop.instrument_sim.synthetic import draw_specimen
from grainloop.model.crystal.score import WRONG_DEG
from grainloop.model.diffusion.checkpoints.shipped import Weights
from grainloop.model.diffusion.inference.method import JointGate
from grainloop.model.estimate.share import ShareCorrection
from grainloop.model.estimate.share_lessons import Lesson, learn, lesson
from grainloop.model.reconstruct import PLCandidates
from grainloop.model.service.checking import circumstances, mask_of
from grainloop.protocols.messages import Reconstruction, ReconstructRequest
from grainloop.protocols.plan import Budget, RunPlan

EDGE_PX = 96
NOISE = (1.0, 0.0, 2.0, 0.5)
"""Times the usual noise of an instrument."""
SMALLEST_BUDGET, LARGEST_BUDGET = 0.05, 0.3
_STREAM = 4_062_2027


def learn_share(trained: Weights, runs: int) -> ShareCorrection:
    """What weights without a correction learn from so many runs."""
    return learn([one for number in range(runs) for one in lessons_of(trained, number)])


def lessons_of(trained: Weights, number: int) -> list[Lesson]:
    """The lessons of one run, always the same for a number."""
    rng = np.random.default_rng([_STREAM, number])
    specimen = draw_specimen(rng, (EDGE_PX, EDGE_PX), trained.space.group.name)
    noise, lit, gridded = NOISE[number % len(NOISE)], number % 3 != 2, number % 5 == 4
    stage = set_up(specimen, instrument(noise, lit), number)
    budget = float(np.exp(rng.uniform(np.log(SMALLEST_BUDGET), np.log(LARGEST_BUDGET))))
    plan = RunPlan(budget=Budget(fraction=budget), seed=number)
    if gridded:
        plan = plan.model_copy(update={"first_pass": 1.0, "first_pass_most": 1.0, "batches": 1})
    return list(heard(stage, plan, trained))


def instrument(noise: float, lit: bool) -> SimConfig:
    """An instrument of so many times the usual noise of points and drift, with PL or without."""
    detector = {name: min(1.0, noise * value) for name, value in DetectorConfig() if name != "boundary_px"}
    drift = {name: noise * value for name, value in DriftConfig()}
    config = SimConfig(detector=DetectorConfig(**detector), drift=DriftConfig(**drift))
    return config if lit else config.model_copy(update={"light_kind": None})


def heard(stage: Stage, plan: RunPlan, trained: Weights) -> Iterator[Lesson]:
    """A lesson from every answer of a run."""
    found: list[Lesson] = []

    def hear(question: ReconstructRequest, reply: Reconstruction) -> None:
        found.append(lesson_of(stage, question, reply))

    for _ in play(stage, plan, method=JointGate(lambda _: trained, PLCandidates()), hear=hear):
        yield from found
        found.clear()


def lesson_of(stage: Stage, question: ReconstructRequest, reply: Reconstruction) -> Lesson:
    """What an answer whose doubt was not corrected teaches."""
    truth, points = stage.truth, question.points
    inside, carrying = truth.indexed, mask_of(truth.shape_px, points.select(points.indexed))
    wrong = error_map_deg(reply.orientation, reply.phase_id, truth) > WRONG_DEG
    here = circumstances(stage.section.checked, points, carrying, reply.light.used)
    return lesson(reply.p_wrong[inside], wrong[inside], carrying[inside], here)
