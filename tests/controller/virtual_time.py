"""Tests in virtual time: see `controller.recorded.virtual_time`; tasks that are left behind are found."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from grainloop.controller.recorded import virtual_time
from grainloop.controller.recorded.virtual_time import VirtualLoop

__all__ = ["VirtualLoop", "in_virtual_time", "run"]

T = TypeVar("T")


def in_virtual_time(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """A test in a loop of its own, which must leave no task behind."""

    @functools.wraps(test)
    def wrapper(*args: Any, **options: Any) -> None:
        run(test(*args, **options))

    return wrapper


def run(work: Coroutine[Any, Any, T]) -> T:
    """As `asyncio.run`, with tasks that are left behind found."""

    async def alone() -> T:
        result = await work
        stray = asyncio.all_tasks() - {asyncio.current_task()}
        assert not stray, f"tasks were left behind: {[task.get_name() for task in stray]}"
        return result

    return virtual_time.run(alone())
