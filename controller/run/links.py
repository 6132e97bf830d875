"""What a run needs of the other services: a connection that answers, the model with patience that ends, its questions.

Sections are opened, forgotten ones opened again, odd answers refused. Every trouble surfaces as a `GrainloopError`;
what to do without an answer is the business of `controller.run.pump`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager
from typing import Any, Protocol

from grainloop.controller.run.replies import checked_answer
from grainloop.protocols.aio import expect
from grainloop.protocols.errors import BadMessage, ErrorCode, GrainloopError, Unavailable
from grainloop.protocols.messages import (
    CheckHealth,
    CloseSection,
    DescribeModel,
    Health,
    ModelDescription,
    OpenSection,
    Reconstruction,
    ReconstructRequest,
    SectionOpened,
)
from grainloop.protocols.sentences import one_line
from grainloop.protocols.values import Value


class Asks(Protocol):
    """A connection to a service, as `protocols.aio.Client` is one."""

    async def request(
        self, message: Value, *, deadline_s: float, on_progress: Callable[[Any], None] | None = None
    ) -> Any:
        """The reply to `message`; raises a `GrainloopError` when there is none."""
        ...


_PROBE_S = 5.0


class ModelLink:
    """One section at the model service.

    Args:
        model: connection to the service.
        section: what to open, and to open again when the service has forgotten it.
        deadline_s: how long a reconstruction may take.
    """

    def __init__(self, model: Asks, section: OpenSection, deadline_s: float) -> None:
        self._model, self._section, self._deadline_s = model, section, deadline_s
        self._open = self._suspect = False

    async def open(self, patience_s: float = 0.0) -> SectionOpened:
        """Hand the section over; with more patience where the service has to make itself ready first."""
        reply = await self._model.request(self._section, deadline_s=max(self._deadline_s, patience_s))
        opened = expect(reply, SectionOpened, "model")
        if opened.section_key != (wanted := self._section.section_key):
            told = one_line(opened.section_key)
            message = f"The model service opened section {told} instead of {wanted}."
            raise BadMessage(message, field="section_key", value=told)
        self._open = True
        return opened

    async def reconstruct(self, question: ReconstructRequest) -> Reconstruction:
        """The answer to `question`.

        A service that failed the last time must first prove its health, so that a dead one costs seconds and not the
        whole deadline at every decision.
        """
        if self._suspect:
            await self._prove_health()
        try:
            answer = await self._ask(question)
        except GrainloopError:
            self._suspect = True
            raise
        self._suspect = False
        return answer

    async def _prove_health(self) -> None:
        reply = await self._model.request(CheckHealth(), deadline_s=min(_PROBE_S, self._deadline_s))
        if not (health := expect(reply, Health, "model")).ok:
            raise Unavailable(f"The model service says that it cannot serve: {one_line(health.detail)}.", field="ok")

    async def close(self) -> None:
        """Let the service forget the section; trouble does not matter any more."""
        if not self._open:
            return
        try:
            await self._model.request(CloseSection(section_key=self._section.section_key), deadline_s=_PROBE_S)
        except GrainloopError:
            return

    async def _ask(self, question: ReconstructRequest) -> Reconstruction:
        if not self._open:
            await self.open()
        try:
            reply = await self._model.request(question, deadline_s=self._deadline_s)
        except GrainloopError as error:
            if error.code is not ErrorCode.UNKNOWN_SECTION:
                raise
            await self.open()
            reply = await self._model.request(question, deadline_s=self._deadline_s)
        return checked_answer(expect(reply, Reconstruction, "model"), question, self._section)


async def describe_model(model: Asks, deadline_s: float) -> ModelDescription:
    """What the model service can do."""
    return expect(await model.request(DescribeModel(), deadline_s=deadline_s), ModelDescription, "model")


DecisionTime = Callable[[int], float | None]
"""Seconds that the decision on a question, by its number from 1, counts on the instrument clock; nothing where it
counts what it takes."""


class Thinking:
    """The model at work on a question, and what became of its answer.

    Args:
        answering: what brings the answer.
        asked_s: instrument time at which it was asked.
        points: that the question holds.
        declared_s: what the decision counts, where that is not what it takes.

    Attributes:
        task: ends with the answer.
    """

    def __init__(
        self,
        answering: Coroutine[Any, Any, Reconstruction],
        asked_s: float,
        points: int,
        declared_s: float | None = None,
    ) -> None:
        self.asked_s, self.points, self._declared_s = asked_s, points, declared_s
        self._loop = asyncio.get_running_loop()
        self._asked_at, self._decided_s = self._loop.time(), 0.0
        self._answered_at: float | None = None
        self._decides_since: float | None = None
        self.task = asyncio.create_task(answering)
        self.task.add_done_callback(self._note)

    def _note(self, _task: asyncio.Task[Reconstruction]) -> None:
        self._answered_at = self._loop.time()

    @property
    def elapsed_s(self) -> float:
        """From the question to its answer, or to now, and what was spent on the decision since; or as declared."""
        if self._declared_s is not None:
            return self._declared_s
        now_at = self._loop.time()
        answered_at = now_at if self._answered_at is None else self._answered_at
        deciding_s = 0.0 if self._decides_since is None else now_at - self._decides_since
        return answered_at - self._asked_at + self._decided_s + deciding_s

    @contextmanager
    def deciding(self) -> Generator[None]:
        """What is done meanwhile is a part of the decision."""
        self._decides_since = began_at = self._loop.time()
        try:
            yield
        finally:
            self._decides_since = None
            self._decided_s += self._loop.time() - began_at

    async def answered_within(self, seconds: float) -> bool:
        """Whether the answer comes so many seconds after the question at the latest; waits until that is known."""
        if self._declared_s is None:
            await asyncio.wait([self.task], timeout=max(0.0, seconds - self.elapsed_s))
            return self.task.done() and self.elapsed_s <= seconds
        if self._declared_s > seconds:
            return False
        await asyncio.wait([self.task])
        return True

    async def give_up(self) -> None:
        """Withdraw the question; returns when the model service has let go of it."""
        self.task.cancel()
        await asyncio.wait([self.task])
        if not self.task.cancelled():
            self.task.exception()
