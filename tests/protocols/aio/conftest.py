"""A running service, a client that asks it, and a service that can be killed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator

import pytest

from grainloop.cli.serve.processes import free_endpoints
from grainloop.protocols.aio import Client
from tests.protocols.aio.services import SERVER, Handlers, client, running


@pytest.fixture
def handlers() -> Handlers:
    return Handlers()


@pytest.fixture
async def endpoint(handlers: Handlers) -> AsyncIterator[str]:
    async with running(handlers.service()) as address:
        yield address


@pytest.fixture
async def asking(endpoint: str) -> AsyncIterator[Client]:
    async with client(endpoint) as it:
        yield it


@pytest.fixture
def server_process():
    with subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


@pytest.fixture
def free_endpoint() -> str:
    return free_endpoints(1)[0]
