"""How durability is measured: sizes, repeats that alternate, and journals that know how long they took."""

from __future__ import annotations

import os
import platform
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from grainloop.controller.journal import Journal
from grainloop.controller.record import recording
from grainloop.protocols.values import Value

PER_BATCH = 1_000


class Size:
    """How much is measured."""

    def __init__(self, *, quick: bool) -> None:
        self.quick = quick
        self.repeats = 2 if quick else 7
        self.blocks = 20 if quick else 100
        self.batches = 4 if quick else 20
        self.curve_rounds = 2 if quick else 7
        self.syncs = 20 if quick else 200
        self.runs = (1_000,) if quick else (1_000, 10_000, 100_000)
        self.live_points = 200 if quick else 1_500


def machine() -> dict[str, Any]:
    """What it is measured on."""
    return {"cores": os.cpu_count(), "system": platform.system(), "python": platform.python_version()}


def spread(values: list[float]) -> dict[str, Any]:
    """Median, least and most of repeats."""
    return {"median": median(values), "least": min(values), "most": max(values), "repeats": len(values)}


def compared(ways: dict[str, Callable[[Path], float]], folder: Path, repeats: int) -> dict[str, Any]:
    """Every way in turn, as often as asked, each time in a folder of its own, after one time that does not count."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for repeat in range(repeats + 1):
        for name, way in ways.items():
            with tempfile.TemporaryDirectory(dir=folder) as own:
                value = way(Path(own))
            if repeat:
                times[name].append(value)
    first, *others = ways
    ratios = {
        f"{name}_over_{first}": [o / f for o, f in zip(times[name], times[first], strict=True)] for name in others
    }
    return {name: spread(values) for name, values in (times | ratios).items()}


def timed(work: Callable[[], object]) -> float:
    """Seconds that it takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


class TimedJournal(Journal):
    """Knows how long its records took."""

    seconds = 0.0

    def append(self, entry: Value) -> int:
        """Store an entry."""
        began = time.perf_counter()
        number = super().append(entry)
        self.seconds += time.perf_counter() - began
        return number


@contextmanager
def journals_timed() -> Generator[list[TimedJournal]]:
    """Whatever is recorded meanwhile goes into journals that know how long they took."""
    made = list[TimedJournal]()

    class Kept(TimedJournal):
        def __init__(self, *how: Any) -> None:
            super().__init__(*how)
            made.append(self)

    recording.Journal = Kept
    try:
        yield made
    finally:
        recording.Journal = Journal
