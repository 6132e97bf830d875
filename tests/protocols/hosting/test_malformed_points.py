"""Points that came malformed were exposed all the same: they have failed, and nobody exposes them again."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from grainloop.protocols.messages import PointsMeasured, ScanRequest
from grainloop.protocols.values import PointBlock, PointStatus
from tests.protocols.hosting.bench import CAPABILITIES, Asker, Bench, refused, scan
from tests.protocols.hosting.served import served

WHY = "bench SEM delivered point 5 with phase_id 9."


class Careless(Bench):
    """Delivers points three at a time, and once point 5 with a phase that it never declared."""

    def __init__(self) -> None:
        super().__init__(CAPABILITIES.model_copy(update={"exposes_ahead": 3}))
        self.careless = True

    def scan(self, request: ScanRequest) -> Iterator[PointBlock]:
        points = super().scan(request)
        while three := list(islice(points, 3)):
            block = PointBlock.concatenate(three)
            if self.careless and 5 in block.point_id:
                self.careless = False
                block = block.model_copy(update={"phase_id": np.where(block.point_id == 5, 9, 1).astype(np.uint8)})
            yield block


class Hearing(Asker):
    """Keeps what it is told as it is told."""

    def __init__(self, asker: Asker) -> None:
        super().__init__(asker.client)
        self.heard: list[PointsMeasured] = []

    def _keep(self, message: PointsMeasured) -> None:
        super()._keep(message)
        self.heard.append(message)


@pytest.mark.parametrize("spooled", [False, True])
async def test_what_came_malformed_has_failed_and_the_rest_is_kept(tmp_path: Path, spooled: bool) -> None:
    bench = Careless()
    async with served(bench, tmp_path if spooled else None) as asker:
        first, second = Hearing(asker), Hearing(asker)
        assert WHY in str(await refused(first, scan()))
        assert sorted(first.points) == [*range(6)]
        assert failed(first) == {5: WHY}
        assert (await second.ask(scan())).points == 10
        assert sorted(second.points) == [*range(10)]
        assert failed(second) == {5: WHY}
        assert bench.exposed == [*range(10)]


async def test_a_service_that_was_started_again_knows_it(tmp_path: Path) -> None:
    async with served(Careless(), tmp_path) as asker:
        await refused(asker, scan())
    bench = Careless()
    async with served(bench, tmp_path) as asker:
        hearing = Hearing(asker)
        assert (await hearing.ask(scan())).points == 10
        assert sorted(hearing.points) == [*range(10)]
        assert failed(hearing) == {5: WHY}
        assert bench.exposed == [6, 7, 8, 9]


def failed(asker: Hearing) -> dict[int, Any]:
    """Why points are lost, by their ids."""
    told = [message for message in asker.heard if message.lost is not None]
    for message in told:
        assert (message.points.status == PointStatus.FAILED).all()
    return {int(point): message.lost for message in told for point in message.points.point_id}
