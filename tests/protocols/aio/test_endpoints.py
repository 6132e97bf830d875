"""Where a service listens, and where it refuses to."""

from __future__ import annotations

import pytest

from grainloop.protocols.endpoints import INSTRUMENT_ENDPOINT, require_local
from grainloop.protocols.errors import (
    BadInput,
    NotPermitted,
    Unavailable,
)
from tests.protocols.aio.services import client


async def test_a_port_in_use_is_told(handlers, endpoint):
    port = endpoint.rpartition(":")[2]
    with pytest.raises(
        Unavailable, match=f"instrument service cannot listen on {endpoint}: port {port} is already in use"
    ):
        await handlers.service().run(endpoint)


@pytest.mark.parametrize(
    "address",
    [
        "tcp://*:5701",
        "tcp://0.0.0.0:5701",
        "tcp://192.168.1.5:5701",
        "tcp://eth0:5701",
        "tcp://localhost:5701",
        "tcp://[::]:5701",
        "tcp://[::1]:5701",
        "tcp://127.0.0.1@192.168.1.5:5701",
        "inproc://x",
        "udp://127.0.0.1:5701",
        "pgm://127.0.0.1:5701",
    ],
)
async def test_nothing_but_loopback_and_ipc_is_bound(handlers, address):
    with pytest.raises(NotPermitted, match="refuses to listen"):
        await handlers.service().run(address)


@pytest.mark.parametrize(
    "address", ["5701", "tcp://127.0.0.1:99999", "tcp://127.0.0.1", "tcp://127.0.0.1:", "tcp://127.0.0.1:-1"]
)
def test_what_is_no_endpoint_is_bad_input(address):
    with pytest.raises(BadInput, match="is not an endpoint"):
        require_local(address, "instrument")


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:65535", "tcp://127.0.0.1:*", "tcp://127.0.0.1:0"])
def test_local_endpoints_are_allowed(address):
    require_local(address, "instrument")
    require_local(INSTRUMENT_ENDPOINT, "instrument")


async def test_an_endpoint_that_cannot_be_is_unavailable(handlers):
    with pytest.raises(BadInput, match="is not an endpoint"):
        await handlers.service().run("tcp://127.0.0.1:notaport")
    with pytest.raises(Unavailable, match="cannot be reached"):
        async with client("nonsense"):
            pass
