"""What is told of one run to programs that follow it by updates, ask for snapshots, points and maps.

The newest updates are kept once for all, bounded in number and in bytes. A follower that is slow finds the oldest gone,
sees the gap in their numbers, and asks for a snapshot. The run waits for nobody.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Generator, Iterator, Sequence
from typing import Any, Final

import numpy as np

from grainloop.controller.journal import Entry, LatestMaps, Reconstructed
from grainloop.controller.serve.facts import FINAL_MAPS, Facts, maps_of
from grainloop.controller.serve.patience import send_in_time
from grainloop.protocols.errors import BadInput, IllegalState, OutOfLimits
from grainloop.protocols.messages import Reconstruction
from grainloop.protocols.messages.snapshots import GetMaps, GetPoints, PointsPage, RunMaps, RunSnapshot
from grainloop.protocols.messages.updates import Fact, RunUpdate
from grainloop.protocols.observability import NO_METRICS, Metrics
from grainloop.protocols.observability.metrics import EVENTS_DROPPED
from grainloop.protocols.picture import RunPicture

KEPT: Final = 4096
KEPT_BYTES: Final = 2**25
"""Of the arrays of all updates that are kept: some 600,000 points, asked for and measured."""
_SEND = Callable[[RunUpdate], Awaitable[None]]


class UpdateLog:
    """The newest updates of a run.

    Args:
        most: how many are kept at most, `KEPT` unless told otherwise.
        most_bytes: how many bytes their arrays may hold; the newest update is kept whatever its size.
    """

    def __init__(self, most: int | None = None, most_bytes: int = KEPT_BYTES) -> None:
        self._most, self._most_bytes = KEPT if most is None else most, most_bytes
        self._kept = deque[tuple[RunUpdate, int]]()
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    def append(self, update: RunUpdate) -> None:
        """Keep one more; the oldest make room."""
        size = bytes_of(update.what)
        self._kept.append((update, size))
        self.bytes += size
        while len(self._kept) > 1 and (len(self._kept) > self._most or self.bytes > self._most_bytes):
            self.bytes -= self._kept.popleft()[1]

    def __iter__(self) -> Iterator[RunUpdate]:
        return (update for update, _ in self._kept)

    def after(self, number: int) -> RunUpdate | None:
        """The oldest kept update behind a number; nothing where there is none yet."""
        if not self._kept:
            return None
        place = max(0, number + 1 - self._kept[0][0].number)
        return self._kept[place][0] if place < len(self._kept) else None


def bytes_of(fact: Fact) -> int:
    """Bytes of the arrays of a fact."""
    values: Sequence[Any] = tuple(vars(fact).values())
    return sum(value.nbytes for value in values if isinstance(value, np.ndarray))


class UpdateFollower:
    """One who follows by updates: the number of the last one that was sent, and word that there are more."""

    def __init__(self, after: int) -> None:
        self.number = after
        self.news = asyncio.Event()
        self.caught_up = asyncio.Event()


class RunTold:
    """Updates, picture and maps of one run: a view of it (`controller.record.views`), and what is told of it.

    Args:
        metrics: told what slow followers lost.
        log: keeps the newest updates.
    """

    def __init__(self, metrics: Metrics = NO_METRICS, log: UpdateLog | None = None) -> None:
        self._metrics, self._log = metrics, UpdateLog() if log is None else log
        self._facts, self.picture = Facts(), RunPicture()
        self._maps = dict[str, tuple[int, Reconstruction]]()
        self._followers = set[UpdateFollower]()

    # --- a view of the run --------------------------------------------------------------------------------------------
    def recall(self, entries: Sequence[Entry]) -> None:
        """Take what was recorded before; whoever comes back finds the newest of it."""
        for entry in entries:
            self._take(entry)

    def show(self, entry: Entry | LatestMaps, number: int | None, seconds: float) -> None:  # noqa: ARG002
        """Take an entry that is in the journal, or maps of the running loop."""
        if isinstance(entry, LatestMaps):
            self._keep({maps_of(entry.question): (entry.points, entry.answer)})
        elif number is not None:
            self._take(entry)

    def _take(self, entry: Entry) -> None:
        update = RunUpdate(number=self.picture.number + 1, what=self._facts.of(entry))
        self.picture.apply(update)
        self._log.append(update)
        if isinstance(entry, Reconstructed):
            self._keep({FINAL_MAPS: (entry.points, entry.answer)})
        self._wake()

    def _keep(self, maps: dict[str, tuple[int, Reconstruction]]) -> None:
        """Keep the newest maps of the loop and the final ones, and no others."""
        final = {name: kept for name, kept in self._maps.items() if name == FINAL_MAPS}
        newest = self._maps if FINAL_MAPS in maps else {}
        self._maps = newest | final | maps

    def _wake(self) -> None:
        for follower in self._followers:
            follower.caught_up.clear()
            follower.news.set()

    # --- who follows --------------------------------------------------------------------------------------------------
    async def follow(self, send: _SEND, after: int | None, over: Callable[[], bool]) -> None:
        """Send updates after a number as they come, or those that come from now on, until `over` and all are sent.

        Raises:
            Busy: the follower took nothing for too long.
        """
        with self.following(self.picture.number if after is None else after) as follower:
            while True:
                while (update := self._log.after(follower.number)) is not None:
                    await self._send_one(follower, send, update)
                follower.caught_up.set()
                if over():
                    return
                follower.news.clear()
                await follower.news.wait()

    async def _send_one(self, follower: UpdateFollower, send: _SEND, update: RunUpdate) -> None:
        if (gone := update.number - follower.number - 1) and follower.number:
            self._metrics.add(EVENTS_DROPPED, gone)
        await send_in_time(send(update), f"follow again after update {follower.number}", follower.number, self._metrics)
        follower.number = update.number

    @contextlib.contextmanager
    def following(self, after: int) -> Generator[UpdateFollower]:
        """One more follower, told what comes after a number while the context lasts."""
        follower = UpdateFollower(after)
        self._followers.add(follower)
        try:
            yield follower
        finally:
            self._followers.discard(follower)
            follower.caught_up.set()

    def close(self) -> None:
        """The run is over: let followers look."""
        for follower in self._followers:
            follower.news.set()

    async def caught_up(self) -> None:
        """Wait until all have been sent everything: a recording has the time, a run has not."""
        for follower in list(self._followers):
            await follower.caught_up.wait()

    def kept(self) -> tuple[RunUpdate, ...]:
        """The updates that are kept."""
        return tuple(self._log)

    # --- who asks -----------------------------------------------------------------------------------------------------
    def snapshot(self) -> RunSnapshot:
        """The picture as of now.

        Raises:
            IllegalState: nothing is recorded yet.
        """
        try:
            return self.picture.snapshot()
        except BadInput as error:
            raise IllegalState("The run has not begun yet: there is nothing to see.", field="state") from error

    def points(self, request: GetPoints) -> PointsPage:
        """A page of points.

        Raises:
            OutOfLimits: of another run, or not there.
        """
        self.check_run(request.run)
        if request.first > len(self.picture.points) or request.corrections > len(self.picture.corrections):
            there = f"{len(self.picture.points)} points and {len(self.picture.corrections)} corrections"
            raise OutOfLimits(f"There are {there} so far.", field="first", value=request.first)
        return self.picture.page(request.first, request.corrections)

    def maps(self, request: GetMaps) -> RunMaps:
        """Maps that are kept.

        Raises:
            OutOfLimits: of another run, or not kept.
        """
        self.check_run(request.run)
        if (kept := self._maps.get(request.maps)) is None:
            there = ", ".join(self._maps) or "none"
            message = (
                f"The maps {request.maps} are not kept; kept are those of the newest answer and the last: {there}."
            )
            raise OutOfLimits(message, field="maps", value=request.maps)
        points, answer = kept
        bare = answer.model_copy(update={"proposals": None, "light_features": None})
        return RunMaps(maps=request.maps, points=points, answer=bare)

    def check_run(self, run: str) -> None:
        """Refuse what is meant for another run.

        Raises:
            OutOfLimits: it is another one.
            IllegalState: nothing is recorded yet.
        """
        if run != self.snapshot().began.run:
            message = f"The run is {self.picture.began.run} and not {run}; ask for a snapshot."
            raise OutOfLimits(message, field="run", value=run)
