"""A relay between client and service that records every byte: what it sees, and what a replay of it does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from grainloop.protocols.aio import Call, Client
from grainloop.protocols.errors import GrainloopError
from grainloop.protocols.messages import InstrumentReply, PointsMeasured, ScanDone, ScanRequest
from grainloop.protocols.security import Access, Credentials
from grainloop.protocols.values import PointBlock
from tests.patience import HANG_S
from tests.protocols.aio.services import Handlers
from tests.protocols.security.conftest import Lab
from tests.protocols.security.test_curve import serving

POSITION = np.array([[12345, 23456], [34567, 45678]], np.int32)
POINTS = PointBlock.concatenate([PointBlock.one(7, (12345, 23456), time_s=1234.5678, dwell_s=0.5)] * 50)
SCAN = ScanRequest(batch=987, point_id=np.arange(2), position_px=POSITION, dwell_s=1.0, run="secret-alloy")
MARKS = (b"scan_request", b"points_measured", b"secret-alloy", POSITION.tobytes(), POINTS.time_s.tobytes())


@dataclass
class Tap:
    """What went over the wire, by direction."""

    endpoint: str = ""
    up: bytearray = field(default_factory=bytearray)
    down: bytearray = field(default_factory=bytearray)


@asynccontextmanager
async def tapped(endpoint: str, flip: int | None = None) -> AsyncIterator[Tap]:
    """A relay in front of `endpoint`; it changes byte number `flip` of what each connection sends up."""
    host, _, port = endpoint.removeprefix("tcp://").partition(":")
    tap, pumps = Tap(), set[asyncio.Task[None]]()

    async def pump(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, record: bytearray, flip: int | None = None
    ) -> None:
        passed = 0
        with suppress(ConnectionError):
            while data := bytearray(await reader.read(65536)):
                record += data
                if flip is not None and passed <= flip < passed + len(data):
                    data[flip - passed] ^= 0x40
                passed += len(data)
                writer.write(data)
                await writer.drain()
        writer.close()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, onward = await asyncio.open_connection(host, int(port))
        for task in (pump(reader, onward, tap.up, flip), pump(there, writer, tap.down)):
            pumps.add(asyncio.create_task(task))

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    async with server:
        tap.endpoint = f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield tap
    await asyncio.gather(*pumps)


def measuring(exposed: list[int]) -> Handlers:
    """A service that measures `POINTS`, and notes that it did."""
    handlers = Handlers()

    async def scan(request: ScanRequest, call: Call) -> ScanDone:
        exposed.append(request.batch)
        await call.progress(PointsMeasured(batch=request.batch, points=POINTS))
        return ScanDone(batch=request.batch, points=len(POINTS), started_s=0, finished_s=1)

    handlers.scan = scan
    return handlers


async def record(access: Access | None, credentials: Credentials | None) -> tuple[Tap, list[int]]:
    exposed, heard = list[int](), list[Any]()
    async with (
        serving(access, measuring(exposed).service()) as endpoint,
        tapped(endpoint) as tap,
        Client(tap.endpoint, InstrumentReply, service="instrument", credentials=credentials) as client,
    ):
        await client.request(SCAN, deadline_s=HANG_S, on_progress=heard.append)
    assert heard == [PointsMeasured(batch=987, points=POINTS)]
    return tap, exposed


async def test_without_keys_the_wire_is_plain() -> None:
    """The control: the marks are found where nothing hides them."""
    tap, _ = await record(None, None)
    seen = tap.up + tap.down
    assert [mark for mark in MARKS if mark not in seen] == []


async def test_with_keys_a_listener_sees_no_plain_text(lab: Lab) -> None:
    credentials = lab.credentials("operator")
    tap, _ = await record(lab.access, credentials)
    assert len(tap.down) > POINTS.time_s.nbytes
    for secret in (*MARKS, b"operator", credentials.own.public.encode(), credentials.own.secret.encode()):
        assert secret not in tap.up
        assert secret not in tap.down


async def test_a_recorded_conversation_cannot_be_played_again(lab: Lab) -> None:
    exposed: list[int] = []
    async with serving(lab.access, measuring(exposed).service()) as endpoint:
        async with (
            tapped(endpoint) as tap,
            Client(
                tap.endpoint, InstrumentReply, service="instrument", credentials=lab.credentials("operator")
            ) as client,
        ):
            await client.request(SCAN, deadline_s=HANG_S)
        assert exposed == [987]
        host, _, port = endpoint.removeprefix("tcp://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(bytes(tap.up))
        with suppress(ConnectionError):
            await reader.read()  # until the service hangs up
        writer.close()
        async with Client(
            endpoint, InstrumentReply, service="instrument", credentials=lab.credentials("operator")
        ) as client:
            await client.request(SCAN.model_copy(update={"batch": 988}), deadline_s=HANG_S)
        assert exposed == [987, 988]


@pytest.mark.parametrize("flip", [14, 150, 200, 300, 420, 560, 700])
async def test_a_byte_changed_on_the_way_never_reaches_the_instrument(lab: Lab, flip: int) -> None:
    """Mechanism, one-time key, handshake, and the request, which begins at about byte 500; padding alone is free."""
    exposed: list[int] = []
    async with (
        serving(lab.access, measuring(exposed).service()) as endpoint,
        tapped(endpoint, flip) as tap,
        Client(tap.endpoint, InstrumentReply, service="instrument", credentials=lab.credentials("operator")) as client,
    ):
        while len(tap.up) <= flip:
            with pytest.raises(GrainloopError):
                await client.request(SCAN, deadline_s=3)
    assert exposed == []
