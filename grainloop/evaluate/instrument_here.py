"""The simulated instrument in this process instead of behind a socket. Its clock is its own; nothing waits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from grainloop.evaluate.sections.scenes import take_light
from grainloop.instrument_sim.driver import SimulatedInstrument
from grainloop.protocols.errors import UnknownKind
from grainloop.protocols.messages import (
    CheckHealth,
    Describe,
    Description,
    Forgotten,
    Health,
    LightRequest,
    LightTaken,
    Park,
    Parked,
    PointsMeasured,
    ScanDone,
    ScanRequest,
    Stored,
)
from grainloop.protocols.values import LightImages
from grainloop.protocols.version import grainloop_version


class InstrumentHere:
    """Answers as the instrument service does.

    Args:
        instrument: that measures.
        taken: PL images that it took before, and the instrument seconds that they took; else it takes them when asked.
    """

    def __init__(self, instrument: SimulatedInstrument, taken: tuple[LightImages, float] | None = None) -> None:
        self._instrument, self._taken = instrument, taken

    async def request(
        self,
        message: Any,
        *,
        deadline_s: float,  # noqa: ARG002
        on_progress: Callable[[Any], None] | None = None,
    ) -> Any:
        """See `controller.run.links.Asks`."""
        match message:
            case Describe():
                return Description(capabilities=self._instrument.capabilities)
            case LightRequest():
                light, seconds = self._taken or self._take(message)
                return LightTaken(section=message.section, light=light, seconds=seconds)
            case ScanRequest():
                return self._scan(message, on_progress)
            case Stored():
                return Forgotten(batches=message.below)
            case Park():
                return Parked()
            case CheckHealth():
                return Health(service="instrument", version=grainloop_version(), ok=True)
            case _:
                raise UnknownKind(f"The simulator in this process does not serve {type(message).__name__}.")

    def _take(self, request: LightRequest) -> tuple[LightImages, float]:
        began_s = self._instrument.clock.now_s
        light = take_light(self._instrument, request.angles_deg)
        if light is None:
            raise UnknownKind("The simulated instrument has no PL camera.", field="light")
        return light, self._instrument.clock.now_s - began_s

    def _scan(self, request: ScanRequest, on_progress: Callable[[Any], None] | None) -> ScanDone:
        clock = self._instrument.clock
        idle_s = max(0.0, request.not_before_s - clock.now_s)
        started_s = clock.now_s + idle_s
        for block in self._instrument.scan(request):
            if on_progress is not None:
                on_progress(PointsMeasured(batch=request.batch, points=block))
        count = len(request.point_id)
        return ScanDone(batch=request.batch, points=count, started_s=started_s, finished_s=clock.now_s, idle_s=idle_s)
