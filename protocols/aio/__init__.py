"""Thin asyncio shells over `protocols.rpc`: ask with `Client`, serve with `Service`, start with `run`."""

from protocols.aio.call import Call, Flag
from protocols.aio.client import Client
from protocols.aio.loop import run
from protocols.aio.service import Handler, Service

__all__ = ["Call", "Client", "Flag", "Handler", "Service", "run"]
