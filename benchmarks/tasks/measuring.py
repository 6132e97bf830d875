"""Runs a task: every case that is missing in every trial; what was measured is kept after each level."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from benchmarks.tasks.materials import Material
from benchmarks.tasks.results import FOLDER, Results, load
from benchmarks.tasks.task import Level, Task, Trial

Tell = Callable[[str], None]


def measure(task: Task, seeds: int, tell: Tell, folder: Path = FOLDER, anew: bool = False) -> Results:
    """Measure what is missing for seeds 0 … `seeds` − 1, all of it where `anew`; written after every level."""
    results = Results(task) if anew else load(task, folder)
    for material in task.materials:
        for level in task.levels:
            if _measure_level(results, material, level, seeds):
                tell(f"{task.name}: {material.name}, {level.name}")
                results.save(folder)
    return results


def _measure_level(results: Results, material: Material, level: Level, seeds: int) -> bool:
    """Whether anything was missing."""
    missing = False
    for trial in (Trial(material, level, seed) for seed in range(seeds)):
        for case in results.missing(trial):
            results.add(trial, case, results.task.measure(trial, case))
            missing = True
    return missing
