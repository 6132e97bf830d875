"""A question that the model is at, and how long it has been."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from protocols.messages import Reconstruction


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
