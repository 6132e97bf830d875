"""Whole runs of acquisition on a known map, played without services: what measuring by a policy comes to.

What decides is what decides in a real run: `controller.decide.decider` plans, orders and keeps the budget, the model
service's own functions register, reconstruct and propose, and the simulated instrument charges its declared times. Only
sockets, files and operators are missing, and the instrument does not wait for the model: its clock stands still
meanwhile, so that instrument time is the same on every computer and the time of decisions is told beside it.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from grainloop.controller.decide import Batch, Decider, Enough, Watch, groups_of
from grainloop.controller.geometry import adjacent_share
from grainloop.controller.plans import Terms
from grainloop.controller.run import PIPELINE_DEPTH
from grainloop.evaluate.figures_of_merit import FiguresOfMerit, figures_of_merit
from grainloop.evaluate.sections.scenes import ANGLES_DEG, EXACT_POINTS, mount, take_light
from grainloop.instrument_sim.config import SimConfig
from grainloop.instrument_sim.driver import SimulatedInstrument
from grainloop.model.maps import OrientationMap
from grainloop.model.reconstruct import Reconstructor, never, no_report
from grainloop.model.service.reconstruction import reconstruct
from grainloop.model.service.sections import Section, prepare
from grainloop.protocols.messages import OpenSection, Reconstruction, ReconstructRequest, ScanDone
from grainloop.protocols.plan import RunPlan
from grainloop.protocols.values import PointBlock

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
        light_s: instrument time that the PL images took.
    """

    truth: OrientationMap
    instrument: SimulatedInstrument
    section: Section
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
    return Stage(specimen, instrument, prepare(declared), camera.clock.now_s)


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
        plan: what to measure and how to decide; its PL angles are not looked at.
        depth: batches that are out at any time. With 1 every decision knows all points asked for before; with 2, as in
            a real run, the instrument never waits and a decision does not know the newest batch.
        method: reconstructs instead of the one that the plan names.
        hear: told every question and its answer, before the moment is yielded.

    Raises:
        BadInput: the plan names a method or policy that does not exist.
    """
    return _Player(stage, plan, method, hear).moments(depth)


class _Player:
    """A run on its way: the decider, and the batches that are out."""

    def __init__(self, stage: Stage, plan: RunPlan, method: Reconstructor | None, hear: Hear | None) -> None:
        self._stage, self._decider = stage, Decider(Terms(plan, stage.instrument.capabilities), _KEY)
        self._method, self._hear = method, hear
        self._drift = Watch(groups_of(stage.instrument.capabilities))
        self._out = deque[Batch]()
        self._over = False

    def moments(self, depth: int) -> Iterator[Moment]:
        """See `play`."""
        self._decider.begin(self._stage.light_s)
        while True:
            while len(self._out) < depth and self._may_send():
                if (planned := self._decider.next_planned()) is not None:
                    self._out.append(planned)
                elif (moment := self._decide()) is not None:
                    yield moment
            if not self._out:
                break
            self._measure(self._out.popleft())
        question, started = self._decider.final_question(), time.perf_counter()
        reply = self._ask(question)
        if self._correct(question, reply):
            question = self._decider.final_question()
            reply = self._ask(question)
        yield self._moment(question, reply, started, None)

    def _may_send(self) -> bool:
        """Whether there is something to send; a decision waits for the first points."""
        decider = self._decider
        return not self._over and (decider.has_planned or len(decider.ledger.points) > 0 or not self._out)

    def _decide(self) -> Moment | None:
        """Decide on a batch and send it; nothing when there is none to send any more."""
        question, started = self._decider.question(), time.perf_counter()
        if question is None:
            self._over = True
            return None
        reply = self._ask(question)
        self._correct(question, reply)
        decided = self._decider.decide(reply, lambda: 0.0)
        if isinstance(decided, Enough):
            self._over = True
            return None
        self._out.append(decided)
        return self._moment(question, reply, started, decided)

    def _correct(self, question: ReconstructRequest, reply: Reconstruction) -> bool:
        """See whether the beam has drifted, and take that into account if the plan says so; whether it was."""
        shift = self._drift.look(reply, question.points)
        if shift is None or not self._decider.terms.plan.correct_drift:
            return False
        self._decider.ledger.correct(*shift.whole_px, shift.from_point)
        return True

    def _ask(self, question: ReconstructRequest) -> Reconstruction:
        reply = reconstruct(self._stage.section, question, no_report, never, self._method)
        if self._hear is not None:
            self._hear(question, reply)
        return reply

    def _moment(
        self, question: ReconstructRequest, reply: Reconstruction, started: float, batch: Batch | None
    ) -> Moment:
        seconds, truth = time.perf_counter() - started, self._stage.truth
        asked = np.empty((0, 2), np.int32) if batch is None else batch.request.position_px
        return Moment(
            points=len(question.points),
            instrument_s=self._decider.ledger.clock_s,
            decision_s=seconds,
            asked=len(asked),
            gain_px=0.0 if batch is None else batch.gain_px,
            adjacent_share=adjacent_share(asked),
            policy="" if batch is None else batch.decided_by,
            figures=figures_of_merit(reply, truth, _mask(truth.shape_px, question.points)),
        )

    def _measure(self, batch: Batch) -> None:
        """Let the instrument measure a batch, and tell the decider."""
        number, clock = batch.request.batch, self._stage.instrument.clock
        started_s, points = clock.now_s, 0
        for block in self._stage.instrument.scan(batch.request):
            self._decider.ledger.receive(number, block)
            points += len(block)
        done = ScanDone(batch=number, points=points, started_s=started_s, finished_s=clock.now_s)
        self._decider.ledger.close(number, done)


def _mask(shape: tuple[int, int], points: PointBlock) -> NDArray[np.bool_]:
    mask = np.zeros(shape, np.bool_)
    mask[tuple(points.position_px.T)] = True
    return mask
