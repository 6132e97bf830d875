"""How long a follower may take to take something. The run never waits for anybody."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from grainloop.protocols.errors import Busy
from grainloop.protocols.observability import Metrics
from grainloop.protocols.observability.metrics import FOLLOWERS_DROPPED

PATIENCE_S = 30.0


async def send_in_time(sending: Awaitable[None], again: str, after: int, metrics: Metrics) -> None:
    """Send something to a follower.

    Args:
        sending: ends when it was taken.
        again: how a follower who was let go can go on, for the end of a sentence.
        after: number of the last thing that was taken.
        metrics: told of followers who are let go.

    Raises:
        Busy: the follower took nothing for too long.
    """
    try:
        await asyncio.wait_for(sending, PATIENCE_S)
    except TimeoutError:
        metrics.add(FOLLOWERS_DROPPED)
        raise Busy(f"The follower took nothing for {PATIENCE_S:g} s; {again}.", field="after", value=after) from None
