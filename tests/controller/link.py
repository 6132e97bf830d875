"""A link to a service in virtual time, which may break: open requests fail, and
nobody hears what the service goes on with."""

from __future__ import annotations

import asyncio
from typing import Any

from grainloop.protocols.errors import DeadlineExceeded, GrainloopError, Unavailable
from grainloop.protocols.messages import (
    PointsMeasured,
)
from grainloop.protocols.values import PointBlock

Handed = tuple[str, PointBlock, bool]


SILENCE_S, GRACE_S = 10.0, 2.0
"""As long as a client waits for a service that is not there, and for one that is told to stop."""


class Link:
    """A connection to a service, as `protocols.aio.Client` is one.

    Args:
        service: behind it.
        name: of the service.

    Attributes:
        handed: of points that came through their run, and whether whoever asked took them without complaint.
    """

    def __init__(self, service: Any, name: str) -> None:
        self._service, self._name = service, name
        self._open = set[asyncio.Future[Any]]()
        self._works = set[asyncio.Task[Any]]()
        self._back_at_s = 0.0
        self.handed: list[Handed] = []

    def drop(self, for_s: float) -> None:
        """The connection breaks, and comes back after a while."""
        self._back_at_s = asyncio.get_running_loop().time() + for_s
        for outcome in self._open:
            if not outcome.done():
                outcome.set_exception(Unavailable(f"The {self._name} service closed the connection."))

    async def request(self, message: Any, *, deadline_s: float, on_progress: Any = None) -> Any:
        loop = asyncio.get_running_loop()
        if (left_s := self._back_at_s - loop.time()) > 0:
            await asyncio.sleep(min(left_s, SILENCE_S, deadline_s))
            if left_s > min(SILENCE_S, deadline_s):
                raise Unavailable(f"The {self._name} service has not answered for {SILENCE_S:g} s.")
        outcome: asyncio.Future[Any] = loop.create_future()
        self._open.add(outcome)
        listening = _Listening(outcome, on_progress, getattr(message, "run", ""), self.handed)
        work = asyncio.create_task(self._service.request(message, deadline_s=deadline_s, on_progress=listening))
        self._works.add(work)
        work.add_done_callback(lambda done: self._over(done, outcome))
        try:
            async with asyncio.timeout(deadline_s):
                return await asyncio.shield(outcome)
        except TimeoutError:
            self._service.cancel(message)
            raise DeadlineExceeded(f"The {self._name} service did not answer within {deadline_s:g} s.") from None
        except asyncio.CancelledError:
            self._service.cancel(message)
            if not outcome.done():
                await asyncio.wait([work], timeout=GRACE_S)
            raise
        except GrainloopError:
            if not work.done() and self._back_at_s <= loop.time():
                self._service.cancel(message)
            raise
        finally:
            self._open.discard(outcome)
            listening.deaf = True
            if not outcome.done():
                outcome.cancel()
            elif not outcome.cancelled():
                outcome.exception()

    def _over(self, work: asyncio.Task[Any], outcome: asyncio.Future[Any]) -> None:
        self._works.discard(work)
        error = None if work.cancelled() else work.exception()
        if work.cancelled() or outcome.done():
            return
        if error is not None:
            outcome.set_exception(error)
        else:
            outcome.set_result(work.result())

    def close(self) -> list[asyncio.Task[Any]]:
        """End what nobody waits for."""
        for work in self._works:
            work.cancel()
        return list(self._works)


class _Listening:
    """Hands messages on to whoever asked, until the request is over; a complaint ends it."""

    def __init__(self, outcome: asyncio.Future[Any], on_progress: Any, run: str, handed: list[Handed]) -> None:
        self._outcome, self._on_progress, self._run, self._handed = outcome, on_progress, run, handed
        self.deaf = False

    def __call__(self, message: Any) -> None:
        if self.deaf or self._outcome.done() or self._on_progress is None:
            return
        taken = False
        try:
            self._on_progress(message)
            taken = True
        except GrainloopError as error:
            self._outcome.set_exception(error)
        if isinstance(message, PointsMeasured):
            self._handed.append((self._run, message.points, taken))
