"""Measures tasks and writes their results, pages and pictures, and the index."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

from benchmarks.tasks.measuring import measure
from benchmarks.tasks.pages.figure import draw
from benchmarks.tasks.pages.index import write_index
from benchmarks.tasks.pages.page import write_page
from benchmarks.tasks.results import Results
from benchmarks.tasks.task import Task

NAMES: tuple[str, ...] = (
    "super_resolution",
    "boundaries",
    "modalities",
    "denoising",
    "denoising_light",
    "registration",
    "registration_turned",
    "robustness",
)
"""Modules of this package that hold a `TASK`, in the order of the index."""
SEEDS = 5


def task_named(name: str) -> Task:
    """The task of this name."""
    return import_module(f"benchmarks.tasks.{name}").TASK


def main(names: Sequence[str] = NAMES, seeds: int = SEEDS, anew: bool = False) -> dict[str, Results]:
    """Measure what is missing of these tasks, and write everything that there is to write of them."""
    found = {name: run(task_named(name), seeds, anew) for name in names}
    write_index([task_named(name) for name in NAMES])
    return found


def run(task: Task, seeds: int, anew: bool) -> Results:
    """Measure a task, write its page and its picture."""
    results = measure(task, seeds, lambda said: print(said, flush=True), anew=anew)
    write_page(results)
    draw(results)
    return results
