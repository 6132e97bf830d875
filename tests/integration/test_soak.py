"""The short form of the soak: memory hardly grows, and a follower that never reads is let go, told where to go on."""

from __future__ import annotations

from pathlib import Path

from grainloop.protocols.observability.metrics import FOLLOWERS_DROPPED
from grainloop.protocols.states import FinishReason
from tests.integration.frozen import STREAMS
from tests.integration.soak import SHORT, soak

MOST_MB = 30.0
"""Per 10,000 points: generous, since so short a run is little more than its warm-up."""


async def test_memory_hardly_grows_and_a_frozen_follower_is_let_go(tmp_path: Path) -> None:
    found = await soak(SHORT, tmp_path)
    assert found.finished.reason is FinishReason.COMPLETED
    assert len(set(found.stored)) == len(found.stored) == SHORT.points
    for name in ("instrument", "controller"):  # the model may still be compiling; the long form looks at it
        assert found.memory.slope_mb(name) < MOST_MB, (name, found.memory.mb[name])
    assert found.figures[FOLLOWERS_DROPPED.name] == len(found.last) == STREAMS
    for stream, numbers in found.heard.items():
        assert len(numbers) < found.events
        word = found.last[stream]
        assert (word["code"], word["field"]) == ("busy", "after")
        assert int(word["value"]) in (numbers[-1] - 1, numbers[-1])  # the last one may have been on its way
    first = min(int(word["value"]) for word in found.last.values())
    assert found.caught_up == [*range(first + 1, found.events + 1)]
