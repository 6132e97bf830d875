"""Rectangles over real sockets: the driver is given the shapes, others are refused, interruptions keep the geometry."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from grainloop.protocols.aio import Client
from grainloop.protocols.capabilities import ShapeLimits
from grainloop.protocols.driver_service import DriverService
from grainloop.protocols.errors import DeviceFailed, ErrorCode
from grainloop.protocols.messages import InstrumentReply, ScanRequest
from grainloop.protocols.shapes import Piece, ScanShape, decode_pieces, encode_pieces
from grainloop.protocols.values import PointBlock
from tests.protocols.aio.services import running
from tests.protocols.hosting.bench import CAPABILITIES, Asker, Bench, refused, scan

LIMITS = ShapeLimits(accepted=(ScanShape.RECTANGLES,), smallest_rectangle_points=(2, 2))
PIECES = [
    Piece(ScanShape.RECTANGLES, 6, (1, 2), 2, 3, (2, 0), (0, 1)),
    Piece(ScanShape.RECTANGLES, 4, (10, 20), 2, 2, (1, 0), (0, 3)),
]


class ShapeBench(Bench):
    """A driver of a map queue that remembers the shapes it was given, and once fails at the eighth point."""

    def __init__(self) -> None:
        super().__init__(CAPABILITIES.model_copy(update={"shapes": LIMITS}))
        self.given: list[list[Piece]] = []
        self.fails = False

    def scan(self, request: ScanRequest) -> Iterator[PointBlock]:
        self.given.append(decode_pieces(request.pieces, len(request.point_id)))
        for block in super().scan(request):
            if self.fails and block.point_id[0] == 7:
                raise DeviceFailed("The queue was cleared by hand.")
            yield block


def rectangles(**fields):
    pixels = np.concatenate([piece.raster() for piece in PIECES])
    return scan(0, 10, position_px=pixels, pieces=encode_pieces(PIECES), **fields)


@pytest.fixture
async def served():
    bench = ShapeBench()
    async with running(DriverService(bench)) as endpoint, Client(endpoint, InstrumentReply, service="instrument") as it:
        yield bench, Asker(it)


async def test_the_driver_is_given_the_shapes(served):
    bench, asker = served
    assert (await asker.ask(rectangles())).points == 10
    assert bench.given == [PIECES]
    assert asker.points == [*range(10)]


async def test_free_points_never_reach_a_driver_of_a_map_queue(served):
    bench, asker = served
    error = await refused(asker, scan())
    assert error.code is ErrorCode.OUT_OF_LIMITS
    assert "bench SEM" in str(error)
    assert "only rectangles are accepted" in str(error)
    assert bench.given == []


async def test_after_a_failure_the_rest_keeps_the_geometry(served):
    bench, asker = served
    bench.fails = True
    await refused(asker, rectangles())
    bench.fails = False
    assert (await asker.ask(rectangles())).points == 10
    assert bench.given[1] == [Piece(**{**PIECES[1].__dict__, "points": 3})]
    assert asker.points[-10:] == [*range(10)]


async def test_a_repeated_request_is_replayed_and_the_same_points_in_another_batch_are_refused(served):
    bench, asker = served
    done = await asker.ask(rectangles())
    assert await asker.ask(rectangles()) == done
    assert "was already asked for" in str(await refused(asker, rectangles(batch=1)))
    assert bench.exposed == [*range(10)]
