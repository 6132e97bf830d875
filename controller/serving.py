"""A service of the controller until it is told to stop: what it is at ends first, so that whoever listens hears how."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from protocols.aio import Service
from protocols.security import Access


async def serve_until(
    stop: asyncio.Event,
    service: Service,
    end: Callable[[], Awaitable[None]],
    endpoint: str,
    ready: Callable[[], object] | None,
    access: Access | None,
) -> None:
    """Serve until `stop` is set, `end` what goes on, and only then let callers go; a failed start is ended too."""
    let_go = asyncio.Event()

    async def end_first() -> None:
        await stop.wait()
        await end()
        let_go.set()

    ending = asyncio.create_task(end_first())
    try:
        await service.run(endpoint, ready=ready, stop=let_go, access=access)
    finally:
        ending.cancel()
        await end()
