"""What a run needs of the other services: a connection that answers, the model with patience that ends, its questions.

Sections are opened, forgotten ones opened again, odd answers refused. Every trouble surfaces as a `GrainloopError`;
what to do without an answer is the business of `controller.run.pump`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from grainloop.controller.session import INFERRED_MAPS
from grainloop.protocols.aio import expect
from grainloop.protocols.errors import BadMessage, ErrorCode, GrainloopError
from grainloop.protocols.messages import (
    CheckHealth,
    CloseSection,
    DescribeModel,
    ModelDescription,
    OpenSection,
    Reconstruction,
    ReconstructRequest,
    SectionOpened,
)
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
        self._open = True
        return expect(reply, SectionOpened, "model")

    async def reconstruct(self, question: ReconstructRequest) -> Reconstruction:
        """The answer to `question`.

        A service that failed the last time must first prove its health, so that a dead one costs seconds and not the
        whole deadline at every decision.
        """
        if self._suspect:
            await self._model.request(CheckHealth(), deadline_s=min(_PROBE_S, self._deadline_s))
        try:
            answer = await self._ask(question)
        except GrainloopError:
            self._suspect = True
            raise
        self._suspect = False
        return answer

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
        return self._checked(expect(reply, Reconstruction, "model"))

    def _checked(self, answer: Reconstruction) -> Reconstruction:
        """Refuse maps of another shape than the grid: they would be stored and trusted."""
        for name in INFERRED_MAPS:
            shape = getattr(answer, name).shape[:2]
            if shape != self._section.grid.shape_px:
                message = f"The model service answered with {name} of {shape} px for {self._section.grid.shape_px} px."
                raise BadMessage(message, field=name, value=shape)
        return answer


async def describe_model(model: Asks, deadline_s: float) -> ModelDescription:
    """What the model service can do."""
    return expect(await model.request(DescribeModel(), deadline_s=deadline_s), ModelDescription, "model")


class Thinking:
    """The model at work on a question.

    Args:
        answering: what brings the answer.
        asked_s: instrument time at which it was asked.
        points: that the question holds.

    Attributes:
        task: ends with the answer.
    """

    def __init__(self, answering: Coroutine[Any, Any, Reconstruction], asked_s: float, points: int) -> None:
        self.asked_s, self.points = asked_s, points
        self._loop = asyncio.get_running_loop()
        self._asked_at, self._answered_at = self._loop.time(), 0.0
        self.task = asyncio.create_task(answering)
        self.task.add_done_callback(self._note)

    def _note(self, _task: asyncio.Task[Reconstruction]) -> None:
        self._answered_at = self._loop.time()

    @property
    def elapsed_s(self) -> float:
        """From the question to its answer, or to now."""
        return (self._answered_at or self._loop.time()) - self._asked_at

    async def give_up(self) -> None:
        """Withdraw the question; returns when the model service has let go of it."""
        self.task.cancel()
        await asyncio.wait([self.task])
        if not self.task.cancelled():
            self.task.exception()
