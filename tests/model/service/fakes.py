"""Reconstruction methods under the control of a test; each answers with nearest neighbour."""

import asyncio
import threading
from dataclasses import dataclass, field, replace
from queue import SimpleQueue

import numpy as np

from grainloop.model.reconstruct import NearestNeighbour, never, no_report
from grainloop.model.reconstruct.problem import checkpoint
from tests.patience import HANG_S

SOON_S = HANG_S


async def begins(method):
    """What a method says next of the work that it begins."""
    return await asyncio.to_thread(method.begun.get, True, SOON_S)


async def happens(event):
    assert await asyncio.to_thread(event.wait, SOON_S)


@dataclass
class Sampler:
    """Draws samples by one network evaluation each, every one of which waits until the test lets it go."""

    name: str = "sampler"
    begun: SimpleQueue = field(default_factory=SimpleQueue)
    go: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    ended: threading.Event = field(default_factory=threading.Event)
    evaluations: int = 0

    def __call__(self, problem, options, report, cancelled):
        try:
            found = NearestNeighbour()(problem, options, lambda f, stage: report(f / 2, stage), cancelled)
            drawn = [found.orientation for _ in self._evaluate(options, report, cancelled)]
            return replace(found, samples=np.array(drawn) if drawn else None)
        finally:
            self.ended.set()

    def _evaluate(self, options, report, cancelled):
        for number in range(options.members):
            if options.out_of_time():
                return
            checkpoint(report, cancelled, 0.5 + number / options.members / 2, f"sample {number + 1}")
            self.evaluations += 1
            self.begun.put(number)
            assert self.go.acquire(timeout=SOON_S)
            yield number


@dataclass
class Turnstile:
    """Lets one piece of work through at a time, and tells its seed when it begins."""

    name: str = "turnstile"
    begun: SimpleQueue = field(default_factory=SimpleQueue)
    go: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def __call__(self, problem, options, report, cancelled):
        self.begun.put(options.seed)
        assert self.go.acquire(timeout=SOON_S)
        return NearestNeighbour()(problem, options, no_report, never)


@dataclass
class Spy:
    """Keeps the problems and options that it is given; `more` are fields that its posteriors get."""

    name: str = "spy"
    more: dict = field(default_factory=dict)
    problems: list = field(default_factory=list)
    options: list = field(default_factory=list)

    def __call__(self, problem, options, report, cancelled):
        self.problems.append(problem)
        self.options.append(options)
        found = NearestNeighbour()(problem, options, report, cancelled)
        return replace(found, **{name: make(found) for name, make in self.more.items()})
