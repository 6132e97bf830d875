"""The way out of a run: every one leads to FINISHED with a reason, a parked instrument and a closed file.

When a run ends is the business of `controller.run.run`, which moves are legal that of `protocols.states`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from grainloop.controller.journal import Ended
from grainloop.controller.run.batches import GONE
from grainloop.controller.run.links import Asks
from grainloop.controller.run.pump import Pump
from grainloop.controller.run.standing import Standing
from grainloop.protocols.aio import expect
from grainloop.protocols.errors import GrainloopError
from grainloop.protocols.messages import EventKind, Park, Parked, RunFinished
from grainloop.protocols.states import FinishReason, RunState, Trigger

_PARK_S = 15.0
_PARK_GONE_S = 2.0


@dataclass(frozen=True)
class Ending:
    """How a run ends: its last move, and why."""

    trigger: Trigger
    reason: FinishReason
    detail: str


def how_it_ended(error: BaseException | None, *, aborted: str, stopped: bool, no_more: str) -> Ending:
    """The ending of a run.

    Args:
        error: what went wrong, if anything did.
        aborted: why everything was given up, if it was.
        stopped: whether the operator stopped it.
        no_more: else, why nothing more was measured.
    """
    if aborted:
        return Ending(Trigger.ABORT, FinishReason.ABORTED, aborted)
    if isinstance(error, GrainloopError):
        return Ending(Trigger.FAIL, FinishReason.FAILED, str(error))
    if error is not None:
        fault = f"a fault in the controller ({type(error).__name__}: {error})"
        return Ending(Trigger.FAIL, FinishReason.FAILED, fault)
    if stopped:
        return Ending(Trigger.DONE, FinishReason.STOPPED, "the operator stopped the run")
    return Ending(Trigger.DONE, FinishReason.COMPLETED, no_more)


class WayOut:
    """What has to be seen to whatever happens.

    Args:
        instrument: connection to the instrument service.
        standing: of the run.
        pump: that measured, if the run came so far.
    """

    def __init__(self, instrument: Asks, standing: Standing, pump: Pump | None) -> None:
        self._instrument, self._standing, self._pump = instrument, standing, pump
        self._ready = None if pump is None else pump.ready

    async def leave(self, ending: Ending, error: BaseException | None) -> Ending:
        """Make the instrument safe, make the last move, write down why, close the file; returns how it did end."""
        standing = self._standing
        try:
            gone = isinstance(error, GrainloopError) and error.code in GONE
            await self._make_safe(_PARK_GONE_S if gone else _PARK_S)
            if standing.session is not None:
                standing.session.require_stored()
            standing.move(ending.trigger)
            standing.say(EventKind.FINISHED, f"The run has {ending.reason}: {ending.detail.rstrip('.')}.")
            if standing.session is not None:
                standing.session.record(Ended(reason=ending.reason, detail=ending.detail))
                standing.session.require_stored()
        except GrainloopError as also:  # the journal cannot be written: nothing can be stored, all can be told
            self._close_file()
            ending = Ending(Trigger.FAIL, FinishReason.FAILED, str(also))
            if standing.state is not RunState.FINISHED:
                standing.move(ending.trigger)
            standing.say(EventKind.FINISHED, f"The run has {ending.reason}: {ending.detail}")
        finally:
            self._close_file()
        return ending

    async def _make_safe(self, patience_s: float) -> None:
        """Whatever happens to the records, the beam is blanked."""
        try:
            if self._ready is not None:
                await self._ready.batches.withdraw_all()
        finally:
            await self._park(patience_s)
            if self._pump is not None:
                await self._pump.give_up_thinking()

    async def _park(self, patience_s: float) -> None:
        try:
            expect(await self._instrument.request(Park(), deadline_s=patience_s), Parked, "instrument")
        except GrainloopError as error:
            self._standing.say(EventKind.NOT_PARKED, f"The instrument could not be parked: {error}")

    def _close_file(self) -> None:
        if self._ready is not None:
            self._ready.session.close()
        if self._standing.session is not None:
            self._standing.session.close()
            self._standing.session = None

    def report(self, ending: Ending, path: Path, wall_s: float) -> RunFinished:
        """What the run came to; `path` is that of its session file."""
        ledger, ready, points = self._standing.ledger, self._ready, 0
        if ledger is not None:  # what came when nothing could be stored any more does not count
            points = len(ledger.points) if ready is None else min(len(ledger.points), ready.session.points)
        return RunFinished(
            reason=ending.reason,
            detail=ending.detail,
            session_file=str(path),
            points_measured=points,
            rounds=0 if ready is None else ready.decider.rounds,
            instrument_s=0.0 if ledger is None else ledger.clock_s,
            idle_s=0.0 if ledger is None else ledger.idle_s,
            wall_s=wall_s,
        )
