"""Who listens to the events of a run, and what becomes of those who are slow. The run never waits for anybody.

A follower has room for `ROOM` events. When it is full, the oldest is dropped for this follower alone, and the sequence
numbers show the gap. A follower that takes nothing for too long (`controller.serve.patience`) is let go. Whoever was
let go, lost the connection, or comes late, catches up: the last `KEPT` events are kept, and the first that is sent
tells where the run stands. Those who follow by updates are the business of `controller.serve.updates`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Generator, Sequence

from grainloop.controller.journal import Entry, EventTold, LatestMaps
from grainloop.controller.record import Heard
from grainloop.controller.serve.patience import send_in_time
from grainloop.protocols.messages import RunEvent
from grainloop.protocols.observability import NO_METRICS, Metrics
from grainloop.protocols.observability.metrics import EVENTS_DROPPED

ROOM = 256
KEPT = 1024


class Follower:
    """What one follower has still to hear.

    Args:
        earlier: events to begin with; they are there already and need no room.
        metrics: told what was dropped.
    """

    def __init__(self, earlier: list[RunEvent], metrics: Metrics = NO_METRICS) -> None:
        self._metrics = metrics
        self._earlier = deque(earlier)
        self._events = deque[RunEvent](maxlen=ROOM)
        self._news = asyncio.Event()
        self.caught_up = asyncio.Event()
        """Nothing is left to send, or the follower is gone."""

    def tell(self, event: RunEvent) -> None:
        """Keep an event for this follower; the oldest makes room."""
        if len(self._events) == ROOM:
            self._metrics.add(EVENTS_DROPPED)
        self._events.append(event)
        self.caught_up.clear()
        self._news.set()

    def close(self) -> None:
        """Let `pass_on` look whether the run is over."""
        self._news.set()

    async def pass_on(self, send: Callable[[RunEvent], Awaitable[None]], over: Callable[[], bool]) -> None:
        """Send events as they come, until `over` and all are sent.

        Raises:
            Busy: the follower took nothing for too long.
        """
        while True:
            while waiting := self._earlier or self._events:
                await self._send_one(send, waiting.popleft())
            self.caught_up.set()
            if over():
                return
            self._news.clear()
            await self._news.wait()

    async def _send_one(self, send: Callable[[RunEvent], Awaitable[None]], event: RunEvent) -> None:
        taken = event.sequence - 1
        await send_in_time(send(event), f"follow again after event {taken}", taken, self._metrics)


class Followers:
    """All followers of the runs of one controller, and the newest events."""

    def __init__(self, metrics: Metrics = NO_METRICS) -> None:
        self._metrics = metrics
        self._followers: set[Follower] = set()
        self._kept: deque[RunEvent] = deque(maxlen=KEPT)
        self._heard = Heard()

    def begin(self) -> None:
        """A new run begins, whose events are counted anew; whoever follows the last one hears nothing of it."""
        self.over()
        self._followers = set()
        self._kept.clear()
        self._heard = Heard()

    def recall(self, entries: Sequence[Entry]) -> None:
        """Events of an earlier controller are told no more."""

    def show(self, entry: Entry | LatestMaps, number: int | None, seconds: float) -> None:  # noqa: ARG002
        """Tell everybody of an event."""
        if isinstance(entry, EventTold) and self._heard.is_new(entry.event):
            self.tell(entry.event)

    def tell(self, event: RunEvent) -> None:
        """Tell everybody."""
        self._kept.append(event)
        for follower in self._followers:
            follower.tell(event)

    async def caught_up(self) -> None:
        """Wait until all have been sent everything: a recording has the time, a run has not."""
        for follower in list(self._followers):
            await follower.caught_up.wait()

    def over(self) -> None:
        """The run is over, and all is told."""
        for follower in self._followers:
            follower.close()

    @contextlib.contextmanager
    def follow(self, after: int | None) -> Generator[Follower]:
        """One more follower, who begins with the kept events after number `after`; without it with the newest alone."""
        since = self._kept[-1].sequence - 1 if after is None and self._kept else after or 0
        follower = Follower([event for event in self._kept if event.sequence > since], self._metrics)
        self._followers.add(follower)
        try:
            yield follower
        finally:
            self._followers.discard(follower)
            follower.caught_up.set()
