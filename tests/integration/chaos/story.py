"""One run whose processes are killed over and over, and what must be true of it afterwards.

Services are killed from outside, after some events of the run and a while more; the writer dies at a byte of what it
writes to the journal or to the session file. Then whoever died is started anew and the run is gone on with, until it is
complete. How often, and what is made of the figures, is the business of `tests.integration.chaos.deaths`.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from grainloop.controller.journal.replay import replay
from grainloop.protocols.aio import Client
from grainloop.protocols.errors import ErrorCode, RemoteError, Unavailable
from grainloop.protocols.messages import ControlReply, ResumeRequest, RunEvent, RunRequest
from grainloop.protocols.plan import Budget, RunPlan
from grainloop.protocols.states import FinishReason
from grainloop.protocols.values import PointStatus
from tests.integration.chaos.laboratory import NAMES, Laboratory
from tests.integration.chaos.pen import JOURNAL, VIEW

POINTS = 256
PLAN = RunPlan(
    budget=Budget(points=POINTS, fraction=1.0),
    batches=6,
    method="nn",
    policy="bluenoise",
    light_angles_deg=(0.0, 30.0, 60.0),
    model_deadline_s=20.0,
)
MOST_EVENTS, MOST_S = 7, 0.15
"""Between two deaths: so many events at most, and so long."""
WRITTEN = {JOURNAL: 60_000, VIEW: 800_000}
"""Bytes that a writer writes at most before it dies."""
AT_ONCE = 0.5
"""Share of the deaths of the instrument after which it is started anew before anybody has looked."""
PATIENCE_S = 240.0


@dataclass(frozen=True)
class Kind:
    """Who dies: services killed from outside, or the controller at a byte of what it writes to a file."""

    names: tuple[str, ...]
    file: str | None = None


KINDS = {
    "instrument": Kind(("instrument",)),
    "controller": Kind(("controller",)),
    "model": Kind(("model",)),
    "writer of the journal": Kind(("controller",), JOURNAL),
    "writer of session.h5": Kind(("controller",), VIEW),
    "all three at once": Kind(NAMES),
}


@dataclass
class Tally:
    """What was seen of one kind of death.

    Attributes:
        deaths: how often somebody died.
        recovered: after how many of them the run was completed.
        recovery_s: from a death until the run went on; not where somebody died again before that.
        runs: that were completed.
        points: stored in them.
        given_up: of these, points that the instrument may have exposed when it died, and gave up.
        exposed_twice: points.
        never_began: deaths before the beginning of a run was recorded; nothing was exposed, and it was begun again.
        views: session files that a dead controller left.
        views_whole: of these, how many could be read and held all that was acknowledged.
        faults: what was not as it must be.
    """

    deaths: int = 0
    recovered: int = 0
    recovery_s: list[float] = field(default_factory=list[float])
    runs: int = 0
    points: int = 0
    given_up: int = 0
    exposed_twice: int = 0
    never_began: int = 0
    views: int = 0
    views_whole: int = 0
    faults: list[str] = field(default_factory=list[str])


class Heard:
    """What the run tells whoever asked for it.

    Attributes:
        points: told to be measured.
        died_s: when somebody died.
        until: event that says that the run goes on after a death.
        recovery_s: how long that took.
    """

    def __init__(self) -> None:
        self.points, self.died_s, self.until = 0, 0.0, ""
        self.recovery_s: list[float] = []
        self._count = self._wanted = 0
        self._enough = asyncio.Event()

    def __call__(self, event: RunEvent) -> None:
        self._count += 1
        self.points = max(self.points, event.points_measured)
        if event.event == self.until:
            self.recovery_s.append(time.monotonic() - self.died_s)
            self.until = ""
        if self._count >= self._wanted:
            self._enough.set()

    async def more(self, events: int) -> None:
        """Wait for so many events more."""
        self._wanted = self._count + events
        self._enough.clear()
        if events:
            await self._enough.wait()


class Story:
    """One run that is killed again and again, by one kind of death.

    Args:
        laboratory: with no service running.
        kind: who dies.
        deaths: how often, unless the run is complete before.
        rng: chooses the moments.
        tally: where what happens is counted.
    """

    def __init__(self, laboratory: Laboratory, kind: Kind, deaths: int, rng: random.Random, tally: Tally) -> None:
        self._lab, self._kind, self._left, self._rng, self._tally = laboratory, kind, deaths, rng, tally
        self._heard, self._before = Heard(), set[int]()

    async def tell(self) -> None:
        """Live through it, until the run is complete, and see that it holds everything once.

        Raises:
            AssertionError, GrainloopError: something is not as it must be.
        """
        died = self._tally.deaths
        await self._start(*NAMES)
        request: Any = self._anew()
        while not await self._complete(request):
            request = await self._next_request()
        check(self._lab, self._tally)
        self._tally.recovered += self._tally.deaths - died
        self._tally.recovery_s += self._heard.recovery_s

    def _anew(self) -> RunRequest:
        return RunRequest(plan=PLAN, session_dir=str(self._lab.session))

    async def _complete(self, request: RunRequest | ResumeRequest) -> bool:
        """Ask for the run or for going on with it, until it ends or somebody dies; whether it is complete."""
        async with Client(self._lab.at["controller"], ControlReply, service="controller") as client:
            asking = asyncio.create_task(client.request(request, deadline_s=PATIENCE_S, on_progress=self._heard))
            while self._left and self._kind.file is None and await self._strike(asking):
                pass
            try:
                finished = await asking
            except (Unavailable, RemoteError) as error:
                return self._explained(error)
        if finished.reason is not FinishReason.COMPLETED:
            assert self._kind.names == ("instrument",), f"the run ended: {finished.reason}, {finished.detail}"
            assert finished.reason is FinishReason.FAILED
        return finished.reason is FinishReason.COMPLETED

    def _explained(self, error: Unavailable | RemoteError) -> bool:
        """That there is no answer is right where the controller died, or the instrument before the run had begun."""
        gone = "instrument" if isinstance(error, RemoteError) else "controller"
        assert gone in self._kind.names, str(error)
        assert error.code is ErrorCode.UNAVAILABLE, str(error)
        # Who asked somebody that was killed before there was a connection hears of silence instead.
        assert "closed the connection" in str(error) or gone == "instrument" or not self._lab.lives(gone), str(error)
        return False

    async def _strike(self, asking: asyncio.Task[Any]) -> bool:
        """Wait for the moment, then kill; whether somebody may be killed again before the run ends.

        The model is started anew at once, and the instrument sometimes: where it is back before the controller looks
        for it, the run goes on by itself.
        """
        moment = asyncio.create_task(self._moment())
        await asyncio.wait([moment, asking], return_when=asyncio.FIRST_COMPLETED)
        moment.cancel()
        if asking.done():
            return False
        self._lab.kill(*self._kind.names)
        self._count_death()
        if self._kind.names == ("model",):
            await self._start("model")
            self._heard.until = "reconstructed"
            return True
        if self._kind.names == ("instrument",) and self._rng.random() < AT_ONCE:
            await self._start("instrument")
        return False

    async def _moment(self) -> None:
        """A random one: nothing waits for what happens meanwhile."""
        await self._heard.more(self._rng.randrange(MOST_EVENTS))
        await asyncio.sleep(self._rng.uniform(0.0, MOST_S))

    def _count_death(self) -> None:
        self._left -= 1
        self._tally.deaths += 1
        self._heard.died_s, self._heard.until = time.monotonic(), ""

    async def _next_request(self) -> RunRequest | ResumeRequest:
        """See that nothing is lost, start who died, and say how to go on."""
        if self._kind.file is not None:
            assert self._lab.died("controller"), "the controller ended by itself"
            self._count_death()
        began = await asyncio.to_thread(self._look)
        await self._start(*(name for name in self._kind.names if not self._lab.lives(name)))
        self._heard.until = "resumed" if began else "described"
        if began:
            return ResumeRequest(session_dir=str(self._lab.session))
        self._tally.never_began += 1
        self._lab.begin_elsewhere()
        return self._anew()

    async def _start(self, *names: str) -> None:
        pen = None
        if self._left and self._kind.file is not None:
            pen = {"file": self._kind.file, "after_bytes": self._rng.randint(1, WRITTEN[self._kind.file])}
        await asyncio.to_thread(self._lab.start, *names, pen=pen)

    def _look(self) -> bool:
        """See that what the dead left behind holds all that was acknowledged; whether the run was recorded at all."""
        entries = self._lab.journal()
        if not entries:
            assert not self._before, "the journal is gone"
            assert not self._heard.points, "points were told that nobody stored"
            return False
        exposed = self._lab.exposures().get(entries[0].run, Counter[int]())
        stored = set(self._lab.stored().point_id.tolist())
        acknowledged = self._before | (self._lab.let_go_of(entries[0].run) & set(exposed))
        assert acknowledged <= stored, f"acknowledged, but not in the journal: {sorted(acknowledged - stored)}"
        assert len(stored) >= self._heard.points, f"{self._heard.points} points were told, {len(stored)} are stored"
        assert self._lab.mended() == stored, "session.h5 made from the journal holds other points"
        self._before = stored
        if "controller" in self._kind.names:
            shown = self._lab.shown()
            self._tally.views += 1
            self._tally.views_whole += shown is not None and acknowledged <= shown
        return True


def check(laboratory: Laboratory, tally: Tally) -> None:
    """See that a complete run holds everything once, and count.

    Raises:
        AssertionError: it does not.
    """
    entries, stored = laboratory.journal(), laboratory.stored()
    ids, given_up = stored.point_id.tolist(), set(stored.point_id[stored.status == PointStatus.FAILED].tolist())
    exposures = laboratory.exposures()
    assert set(exposures) == {entries[0].run}, "a run exposed points before its beginning was recorded"
    exposed = exposures[entries[0].run]
    twice = [point for point, times in exposed.items() if times > 1]
    tally.runs, tally.points = tally.runs + 1, tally.points + len(ids)
    tally.given_up, tally.exposed_twice = tally.given_up + len(given_up), tally.exposed_twice + len(twice)
    assert len(ids) == len(set(ids)) == POINTS, f"{len(ids)} points are stored, {len(set(ids))} different ones"
    assert laboratory.shown() == set(ids), "session.h5 and journal hold different points"
    assert not twice, f"points exposed twice: {twice}"
    assert set(exposed) <= set(ids), f"exposed, but not stored: {sorted(set(exposed) - set(ids))}"
    assert set(ids) - given_up <= set(exposed), "points are stored that were never exposed"
    again = replay(entries)
    assert again.difference is None, str(again.difference)
    assert not again.notes, again.notes
