"""Whole runs of acquisition on a known map, played without services: what measuring by a policy comes to.

The run is the one that measures (`controller.run.run`), in virtual time and with a journal that goes nowhere; the model
service's own functions register, reconstruct and propose, and the simulated instrument charges its declared times. Only
sockets, files and operators are missing. A decision counts a declared time or none, so that instrument time is the same
on every computer; the time that decisions take is told beside it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from grainloop.controller.geometry import adjacent_share
from grainloop.controller.journal import Decided, batch_of
from grainloop.controller.plans import Terms
from grainloop.controller.run import PIPELINE_DEPTH
from grainloop.evaluate.acquisition.halting_run import Asked, HaltingRun
from grainloop.evaluate.figures_of_merit import FiguresOfMerit, figures_of_merit
from grainloop.evaluate.instrument_here import InstrumentHere
from grainloop.evaluate.sections.scenes import ANGLES_DEG, EXACT_POINTS, mount, take_light
from grainloop.instrument_sim.config import SimConfig
from grainloop.instrument_sim.driver import SimulatedInstrument
from grainloop.model.maps import OrientationMap
from grainloop.model.reconstruct import Reconstructor, never, no_report
from grainloop.model.service.reconstruction import reconstruct
from grainloop.model.service.sections import Section, prepare
from grainloop.protocols.messages import OpenSection, Reconstruction, ReconstructRequest
from grainloop.protocols.plan import RunPlan
from grainloop.protocols.values import LightImages, PointBlock

_KEY = "played"
MOST_BATCHES = 10_000
Hear = Callable[[ReconstructRequest, Reconstruction], None]
"""Told every question and its answer."""


@dataclass(frozen=True, eq=False)
class Stage:
    """A known specimen in a simulated instrument, with its PL images taken.

    Attributes:
        truth: the specimen.
        instrument: that measures it.
        section: what the model service holds of it.
        light: PL images, where there is a camera.
        light_s: instrument time that they took.
    """

    truth: OrientationMap
    instrument: SimulatedInstrument
    section: Section
    light: LightImages | None
    light_s: float


@dataclass(frozen=True)
class Moment:
    """Where a run stands when a decision is made; the last one is the end, when nothing is asked for any more.

    Attributes:
        points: measured and known to the decision.
        instrument_s: instrument time at the newest of them, PL images included.
        decision_s: wall time of registration, reconstruction, proposals and route.
        asked: points that the decision asks for.
        gain_px: pixels that these are forecast to put right.
        adjacent_share: share of those that touch another of them; NaN where none are asked for.
        policy: what chose them; empty at the end.
        figures: how good the map is, and what it says of itself.
    """

    points: int
    instrument_s: float
    decision_s: float
    asked: int
    gain_px: float
    adjacent_share: float
    policy: str
    figures: FiguresOfMerit


def set_up(
    specimen: OrientationMap,
    config: SimConfig = EXACT_POINTS,
    seed: int = 0,
    *,
    angles_deg: tuple[float, ...] = ANGLES_DEG,
    lit: OrientationMap | None = None,
) -> Stage:
    """Mount a specimen and take PL images of it, or of another map `lit`, by mistake as it were.

    Raises:
        BadInput: no point of the map is indexed, or its frame or a point group is unknown.
    """
    instrument = mount(specimen, config, seed)
    camera = instrument if lit is None else mount(lit, config, seed)
    light, caps = take_light(camera, angles_deg), instrument.capabilities
    declared = OpenSection(section_key=_KEY, grid=caps.grid, phases=caps.phases, frame=caps.frame, light=light)
    return Stage(specimen, instrument, prepare(declared), light, camera.clock.now_s)


def batches_of(plan: RunPlan, stage: Stage, batch_points: int) -> int:
    """How many batches of so many points come after the first pass of a plan."""
    terms = Terms(plan, stage.instrument.capabilities)
    coarse = terms.first_pass_points(terms.max_points)
    return min(MOST_BATCHES, max(1, math.ceil((terms.max_points - coarse) / batch_points)))


def play(
    stage: Stage,
    plan: RunPlan,
    depth: int = PIPELINE_DEPTH,
    method: Reconstructor | None = None,
    hear: Hear | None = None,
) -> Iterator[Moment]:
    """Carry a plan out from the first pass to the end; yields every decision, and where it has led to.

    Args:
        stage: not played on before.
        plan: what to measure and how to decide; its PL angles are not looked at. A decision counts its `decision_s`; by
            default nothing, so that every answer is in time and takes the place of the stop-gap that waits.
        depth: batches that are out at any time. With 1 every decision knows all points asked for before; with 2, as in
            a real run, the instrument never waits and a decision does not know the newest batch.
        method: reconstructs instead of the one that the plan names.
        hear: told every question and its answer, before the moment is yielded.

    Raises:
        BadInput: the plan names a method or policy that does not exist.
        GrainloopError: the plan cannot be carried out, or the run failed.
        RuntimeError: called inside of an event loop, which the run needs for itself.
    """
    taken = None if stage.light is None else (stage.light, stage.light_s)
    run = HaltingRun(_timed(plan), InstrumentHere(stage.instrument, taken), stage.section, depth)
    with closing(run.steps()) as steps:
        yield from _Player(stage, method, hear).moments(steps)


def _timed(plan: RunPlan) -> RunPlan:
    """The plan with a declared time for decisions."""
    return plan.model_copy(update={"decision_s": plan.decision_s or 0.0, "real_time": False})


@dataclass(frozen=True)
class _Answered:
    """The newest answer, when it was there, and how long it took."""

    asked: Asked
    reply: Reconstruction
    at: float
    seconds: float


class _Player:
    """Answers the questions of a run, and makes moments of its decisions."""

    def __init__(self, stage: Stage, method: Reconstructor | None, hear: Hear | None) -> None:
        self._stage, self._method, self._hear = stage, method, hear
        self._newest: _Answered | None = None

    def moments(self, steps: Iterable[Asked | Decided]) -> Iterator[Moment]:
        """See `play`."""
        for one in steps:
            if isinstance(one, Asked):
                self._answer(one)
            elif self._newest is not None:
                yield self._moment(self._newest, one)
        if self._newest is not None:
            yield self._moment(self._newest, None)

    def _answer(self, asked: Asked) -> None:
        started, question = time.perf_counter(), asked.question
        reply = reconstruct(self._stage.section, question, no_report, never, self._method)
        answered = time.perf_counter()
        self._newest = _Answered(asked, reply, answered, answered - started)
        if self._hear is not None:
            self._hear(question, reply)
        asked.answer.set_result(reply)

    def _moment(self, newest: _Answered, decided: Decided | None) -> Moment:
        truth, points = self._stage.truth, newest.asked.question.points
        batch = None if decided is None else batch_of(decided)
        asked = np.empty((0, 2), np.int32) if batch is None else batch.request.position_px
        return Moment(
            points=len(points),
            instrument_s=newest.asked.instrument_s,
            decision_s=newest.seconds + (0.0 if batch is None else time.perf_counter() - newest.at),
            asked=len(asked),
            gain_px=0.0 if batch is None else batch.gain_px,
            adjacent_share=adjacent_share(asked),
            policy="" if batch is None else batch.decided_by,
            figures=figures_of_merit(newest.reply, truth, _mask(truth.shape_px, points)),
        )


def _mask(shape: tuple[int, int], points: PointBlock) -> NDArray[np.bool_]:
    mask = np.zeros(shape, np.bool_)
    mask[tuple(points.position_px.T)] = True
    return mask
