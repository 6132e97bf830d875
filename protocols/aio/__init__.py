"""Thin asyncio shells over `protocols.rpc`: ask with `Client`, serve with `Service`, start with `run`."""

from grainloop.protocols.aio.call import Call, Flag
from grainloop.protocols.aio.client import Client, expect
from grainloop.protocols.aio.context import FOR_A_CONTEXT, FOR_A_RUN, held, raise_limit, require_descriptors
from grainloop.protocols.aio.loop import run
from grainloop.protocols.aio.service import Handler, Service

__all__ = [
    "FOR_A_CONTEXT",
    "FOR_A_RUN",
    "Call",
    "Client",
    "Flag",
    "Handler",
    "Service",
    "expect",
    "held",
    "raise_limit",
    "require_descriptors",
    "run",
]
