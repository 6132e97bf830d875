"""A run in this process that stands still whenever it asks the model or has decided something.

It is the ordinary one (`controller.run.run`) in virtual time, with a journal that goes nowhere. Who answers, and what
is made of its decisions, is the business of `evaluate.acquisition.playing`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grainloop.controller.journal import Decided, Entry, LatestMaps
from grainloop.controller.record import Recording
from grainloop.controller.recorded import VirtualLoop
from grainloop.controller.run import Asks, Run
from grainloop.model.service.sections import Section
from grainloop.protocols.errors import GrainloopError, UnknownKind
from grainloop.protocols.messages import (
    CloseSection,
    OpenSection,
    Reconstruction,
    ReconstructRequest,
    RunFinished,
    SectionClosed,
    SectionOpened,
)
from grainloop.protocols.plan import RunPlan
from grainloop.protocols.states import FinishReason


@dataclass(frozen=True, eq=False)
class Asked:
    """A question to the model; the run waits for its answer.

    Attributes:
        question: as the model service would get it.
        instrument_s: instrument time of the newest of its points.
        answer: to be set.
    """

    question: ReconstructRequest
    instrument_s: float
    answer: asyncio.Future[Reconstruction]


class HaltingRun:
    """The run, and to it model service and view of its journal.

    Args:
        plan: what to measure and how to decide.
        instrument: in this process.
        section: that the model holds already.
        depth: batches that are out at any time, see `controller.run.pump`.
    """

    def __init__(self, plan: RunPlan, instrument: Asks, section: Section, depth: int) -> None:
        self._section, self._line, self._news = section, deque[Asked | Decided](), asyncio.Event()
        self._run = Run(plan, Path(), instrument, self, [self], records=Recording.nowhere, depth=depth)

    @property
    def clock_s(self) -> float:
        """Instrument time at the newest finished batch."""
        return 0.0 if self._run.standing.ledger is None else self._run.standing.ledger.clock_s

    def steps(self) -> Generator[Asked | Decided]:
        """Let the run go on from one question or decision of the model to the next; what is asked must be answered.

        Raises:
            GrainloopError: the plan cannot be carried out, or the run failed.
            RuntimeError: called inside of an event loop, which the run needs for itself.
        """
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            loop = runner.get_loop()
            running = loop.create_task(self._run.execute())
            try:
                while (one := self._next(loop, running)) is not None:
                    yield one
                _require_complete(running.result())
            finally:
                if not running.done():
                    self._run.abort("nobody lets it go on")
                    loop.run_until_complete(asyncio.wait([running]))

    def _next(self, loop: asyncio.AbstractEventLoop, running: asyncio.Task[RunFinished]) -> Asked | Decided | None:
        """What comes next; nothing when the run is over."""
        while True:
            while self._line:
                one = self._line.popleft()
                if isinstance(one, Decided) or not one.answer.done():  # a question may have been withdrawn
                    return one
            if running.done():
                return None
            self._news.clear()
            news = loop.create_task(self._news.wait())
            loop.run_until_complete(asyncio.wait([news, running], return_when=asyncio.FIRST_COMPLETED))
            news.cancel()

    def _line_up(self, one: Asked | Decided) -> None:
        self._line.append(one)
        self._news.set()

    # --- the model service --------------------------------------------------------------------------------------------
    async def request(
        self,
        message: Any,
        *,
        deadline_s: float,  # noqa: ARG002
        on_progress: Callable[[Any], None] | None = None,  # noqa: ARG002
    ) -> Any:
        """See `controller.run.links.Asks`."""
        match message:
            case OpenSection():
                usable, notes = self._section.features is not None, self._section.notes
                return SectionOpened(section_key=message.section_key, light_usable=usable, notes=notes)
            case CloseSection():
                return SectionClosed(section_key=message.section_key)
            case ReconstructRequest():
                asked = Asked(message, self.clock_s, asyncio.get_running_loop().create_future())
                self._line_up(asked)
                return await asked.answer
            case _:
                raise UnknownKind(f"The model in this process does not serve {type(message).__name__}.")

    # --- the view -----------------------------------------------------------------------------------------------------
    def recall(self, entries: Sequence[Entry]) -> None:
        """See `controller.record.View`: nothing was decided before."""

    def show(self, entry: Entry | LatestMaps, number: int | None, seconds: float) -> None:  # noqa: ARG002
        """See `controller.record.View`: what the model decided."""
        if isinstance(entry, Decided) and entry.when.get("question") is not None:
            self._line_up(entry)


def _require_complete(finished: RunFinished) -> None:
    """Refuse a run that did not come to its end.

    Raises:
        GrainloopError: with the reason.
    """
    if finished.reason is not FinishReason.COMPLETED:
        raise GrainloopError(f"The run has {finished.reason}: {finished.detail}")
