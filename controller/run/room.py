"""A run that waits for room: paused while its journal takes nothing for want of room, gone on with when there is some.

What waits meanwhile, in order, is the business of `controller.record.recording`; a batch is not sent before its
decision is stored (`controller.run.batches`). An operator may still stop or abort the run, which fails then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from grainloop.controller.journal import JournalFull
from grainloop.controller.run.standing import Standing
from grainloop.protocols.errors import GrainloopError, IllegalState
from grainloop.protocols.messages import EventKind, RunCommand
from grainloop.protocols.states import RunState, Trigger

LOOKS_EVERY_S: Final = 2.0
Obeys = Callable[[RunCommand], Awaitable[None]]


class Room:
    """Pauses a run and takes it up again.

    Args:
        standing: of the run.
        holds: makes the run send nothing more, at once.
        obeys: makes the run pause and go on, as an operator's word does.
        fails: ends the run where waiting is of no use.
    """

    def __init__(
        self, standing: Standing, holds: Callable[[], None], obeys: Obeys, fails: Callable[[GrainloopError], None]
    ) -> None:
        self._standing, self._holds, self._obeys, self._fails = standing, holds, obeys, fails
        self._watching: asyncio.Task[None] | None = None
        self._paused = False

    def none_left(self, why: str) -> None:
        """Begin to wait; `why` is a sentence."""
        self._standing.has_room.clear()
        self._holds()
        text = f"{why} Nothing more is measured until there is room; what has come is kept in memory."
        self._standing.say(EventKind.NO_ROOM, text)
        self._watching = asyncio.create_task(self._watch())

    def require(self) -> None:
        """See that the run does not wait for room.

        Raises:
            IllegalState: it does.
        """
        if self._standing.has_room.is_set():
            return
        if not self._stored():
            message = "There is no room yet to store what came; the run goes on by itself as soon as there is."
            raise IllegalState(message, field="state", value=self._standing.state)
        self._paused = False  # it is the operator who goes on
        self._standing.has_room.set()

    def close(self) -> None:
        """Look no more."""
        if self._watching is not None:
            self._watching.cancel()

    async def _watch(self) -> None:
        try:
            if self._standing.state is RunState.RUNNING:
                self._standing.move(Trigger.PAUSE)
                self._paused = True
                await self._obeys(RunCommand.PAUSE)
            while True:
                await asyncio.sleep(LOOKS_EVERY_S)
                if self._stored():
                    break
            await self._go_on()
        except GrainloopError as lost:
            self._fails(lost)

    def _stored(self) -> bool:
        """Whether everything that waited is stored now; a run that is over waits for nothing."""
        session = self._standing.session
        try:
            if session is not None:
                session.store_waiting()
        except JournalFull:
            return False
        return True

    async def _go_on(self) -> None:
        standing = self._standing
        standing.has_room.set()
        again = self._paused and standing.state is RunState.PAUSED
        if again:
            standing.move(Trigger.RESUME)
        self._paused = False
        standing.say(EventKind.ROOM_AGAIN, "There is room again, and everything that came meanwhile is stored.")
        if again:
            await self._obeys(RunCommand.RESUME)
