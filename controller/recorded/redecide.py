"""A recorded run decided anew: what another policy, model or budget would have asked for, by an ordinary run.

The run is the one that measures (`controller.run.run`), on a recording instead of an instrument, in virtual time:
decisions are given the time that those of the recorded run took, so that the same is decided whatever computer this is.
Which model answers is the caller's business; how both runs compare belongs to `controller.recorded.agreement`.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from grainloop.controller.journal import Replayed, replay
from grainloop.controller.journal import entries as of
from grainloop.controller.record import EventsTo
from grainloop.controller.recorded import virtual_time
from grainloop.controller.recorded.instrument import Beyond, RecordedInstrument, RecordedPoints
from grainloop.controller.run import Asks, Run
from grainloop.protocols.errors import BadInput
from grainloop.protocols.messages import RunEvent, RunFinished
from grainloop.protocols.plan import RunPlan
from grainloop.protocols.values import PointBlock


@dataclass(frozen=True, eq=False)
class Recorded:
    """A recorded run, as far as another one can be decided on it.

    Attributes:
        entries: of its journal.
        replayed: it, decided again.
        points: of its finished batches, in order, where they lie on the specimen.
        thinking_s: seconds from a question to the decision, by the number of the question.
        final: its last reconstruction, if it has one.
    """

    entries: tuple[of.Item, ...]
    replayed: Replayed
    points: PointBlock
    thinking_s: dict[int, float]
    final: of.Reconstructed | None

    @property
    def began(self) -> of.Began:
        """How it began."""
        return self.replayed.began

    def usual_thinking_s(self) -> float:
        """The median decision; 0 where no model decided."""
        return statistics.median(self.thinking_s.values()) if self.thinking_s else 0.0


def recorded_run(entries: Sequence[of.Item]) -> Recorded:
    """The run in the entries of a journal.

    Raises:
        BadInput: they do not begin with a run, or hold no finished batch.
    """
    found = replay(entries)
    points = found.decider.ledger.points.block()
    if not len(points):
        raise BadInput("The recorded run holds no finished batch to decide on.", field="session")
    decided = [entry for entry in entries if isinstance(entry, of.Decided) and entry.when.get("question") is not None]
    thinking_s = {int(entry.when["question"] or 0): float(entry.when["elapsed_s"] or 0.0) for entry in decided}
    final = next((entry for entry in reversed(entries) if isinstance(entry, of.Reconstructed)), None)
    return Recorded(tuple(entries), found, points, thinking_s, final)


@dataclass(frozen=True, eq=False)
class Redecided:
    """The other run.

    Attributes:
        finished: how it ended.
        recorded_points: how many of its points were answered by the recording.
        map_points: how many by the map.
    """

    finished: RunFinished
    recorded_points: int
    map_points: int


def redecide(
    recorded: Recorded,
    plan: RunPlan,
    model: Asks,
    folder: Path,
    beyond: Beyond | None = None,
    on_event: Callable[[RunEvent], None] = lambda _: None,
) -> Redecided:
    """Run `plan` on a recording; journal and session file are written to `folder`.

    Args:
        recorded: what can be answered.
        plan: what to decide by.
        model: answers in this process.
        folder: without a session.
        beyond: measures points that were not recorded; without it only those that were are on offer.
        on_event: told every event.

    Raises:
        GrainloopError: a plan or folder that cannot be used.
    """
    points, light = RecordedPoints(recorded.points, beyond), recorded.replayed.light
    images = None if light is None else (light.light, light.seconds)
    declared = recorded.began.capabilities
    instrument = RecordedInstrument(declared, points, images)
    answers, usual_s = points.times(declared.grid.shape_px), recorded.usual_thinking_s()
    thinking = plan.model_copy(update={"decision_s": usual_s, "real_time": False})

    def decision_s(question: int) -> float:
        return recorded.thinking_s.get(question, usual_s)

    async def whole() -> RunFinished:
        to = instrument, model
        views = [EventsTo(on_event)]
        return await Run(thinking, folder, *to, views, answers=answers, decision_s=decision_s).execute()

    return Redecided(virtual_time.run(whole()), points.recorded, points.beyond)
