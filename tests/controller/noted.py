"""What was written to the journal of a run and told of it, noted as it happens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from grainloop.controller.journal import entries as of
from grainloop.controller.journal.replay import Replayed
from grainloop.controller.record.recording import Recording
from grainloop.protocols.messages import (
    RunEvent,
    Sync,
)


class Recorded:
    """What was written to the journal of one folder, and how its run ended the last time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.entries: list[Any] = []
        self.points: dict[int, tuple[int, ...]] = {}

    def add(self, entry: Any) -> None:
        """An entry is on disk."""
        self.entries.append(entry)
        if isinstance(entry, of.PointsStored):
            for point, position in zip(entry.points.point_id.tolist(), entry.points.position_px.tolist(), strict=True):
                assert point not in self.points, f"point {point} was accepted twice"
                self.points[point] = tuple(position)

    @property
    def run(self) -> str:
        return self.entries[0].run if self.entries else ""

    @property
    def ended(self) -> str:
        """How it ended the last time, unless it was gone on with since."""
        said = [e for e in self.entries if isinstance(e, of.Ended | of.Resumed)]
        return said[-1].reason if said and isinstance(said[-1], of.Ended) else ""

    @property
    def asked(self) -> list[Any]:
        """Requests that were not withdrawn."""
        withdrawn = {e.batch for e in self.entries if isinstance(e, of.BatchClosed) and e.withdrawn}
        return [e.request for e in self.entries if isinstance(e, of.Decided) and e.request.batch not in withdrawn]


async def taken_up_at_once(path: Path, sync: Sync) -> tuple[Recording, Replayed]:
    """Without a thread, which virtual time would not wait for."""
    return Recording.take_up(path, sync)


class Listener:
    """Somebody who hears of a run, in order and nothing twice."""

    def __init__(self) -> None:
        self.heard = 0

    async def hear(self, event: Any) -> None:
        assert isinstance(event, RunEvent)
        assert event.sequence > self.heard
        self.heard = event.sequence
