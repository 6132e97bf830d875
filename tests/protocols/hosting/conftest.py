"""A hosted driver and a client that asks it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from grainloop.protocols.aio import Client
from grainloop.protocols.driver_service import DriverService
from grainloop.protocols.messages import (
    InstrumentReply,
)
from tests.protocols.aio.services import running
from tests.protocols.hosting.bench import Asker, Bench


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
async def asker(bench: Bench) -> AsyncIterator[Asker]:
    async with running(DriverService(bench)) as endpoint, Client(endpoint, InstrumentReply, service="instrument") as it:
        yield Asker(it)
        bench.let_on.set()
