"""What was measured of a task, in memory and as a JSON file that later runs go on with.

A file holds results of one set of weights. Cells of another version of a level, and all cells of another gate, are
dropped when it is read, and those that the free branch takes part in when any weights are others; everything else is
not measured again.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from benchmarks.fingerprint import gate_sha256
from benchmarks.tasks.task import Measured, Task, Trial
from grainloop.cli.bench.tables import row_to_json
from grainloop.evaluate.cases import Case
from grainloop.evaluate.runs import Row
from grainloop.model.service.methods import shipped_weights
from grainloop.protocols.version import grainloop_version

FOLDER = Path(__file__).parents[1] / "results" / "tasks"
Key = tuple[str, str, str]
"""Names of material, level and case."""


@dataclass(frozen=True)
class Cell:
    """One case at one level of one material.

    Attributes:
        material, level: their names.
        fingerprint: of the level.
        seeds: those counted in, in the order of `row`.
        row: figure of merit → its value for each seed.
    """

    material: str
    level: str
    fingerprint: str
    row: Row
    seeds: list[int] = field(default_factory=list[int])

    @property
    def key(self) -> Key:
        """What tells it from all others of a task."""
        return self.material, self.level, self.row.case

    def add(self, seed: int, measured: Measured) -> None:
        """Count one seed in; figures that this or an earlier seed lacks are NaN there."""
        figures = self.row.figures
        for name in measured.figures:
            figures.setdefault(name, [math.nan] * len(self.seeds))
        self.row.add({name: measured.figures.get(name) for name in figures}, measured.degraded)
        self.seeds.append(seed)


@dataclass
class Results:
    """Everything measured of a task so far."""

    task: Task
    cells: dict[Key, Cell] = field(default_factory=dict[Key, Cell])

    @cached_property
    def weights(self) -> dict[str, str]:
        """Laue group → SHA-256 of the weights that ship, for the groups of the materials."""
        return {group: sha256 for group, sha256 in shipped_weights() if group in self._groups}

    @cached_property
    def gate(self) -> dict[str, str]:
        """Laue group → SHA-256 of what the gate is made of, for the groups of the materials."""
        return {group: sha256 for group, sha256 in gate_sha256().items() if group in self._groups}

    @cached_property
    def _groups(self) -> set[str]:
        return {phase.laue_group for material in self.task.materials for phase in material.specimen(0).phases}

    def missing(self, trial: Trial) -> list[Case]:
        """The cases that were not yet tried in a trial."""
        return [case for case in self.task.cases if trial.seed not in self._seeds(trial, case)]

    def _seeds(self, trial: Trial, case: Case) -> Sequence[int]:
        cell = self.cells.get((trial.material.name, trial.level.name, case.name))
        return () if cell is None else cell.seeds

    def add(self, trial: Trial, case: Case, measured: Measured) -> None:
        """Count one case of one trial in."""
        level, share = trial.level, trial.level.setting.share
        row = Row(case.name, share, trial.scene.fraction_measured)
        cell = Cell(trial.material.name, level.name, level.fingerprint, row)
        self.cells.setdefault(cell.key, cell).add(trial.seed, measured)

    def row(self, material: str, level: str, case: str) -> Row:
        """The row of a cell that was measured."""
        return self.cells[material, level, case].row

    @property
    def seeds(self) -> int:
        """How many seeds every cell has at least."""
        return min((len(cell.seeds) for cell in self.cells.values()), default=0)

    def to_json(self) -> dict[str, Any]:
        """Everything, in the order of the task, with what it was measured by."""
        return {
            "task": self.task.name,
            "versions": {"grainloop": grainloop_version()},
            "gate_sha256": self.gate,
            "weights_sha256": self.weights,
            "cells": [_cell_to_json(self.cells[key]) for key in keys_of(self.task) if key in self.cells],
        }

    def save(self, folder: Path = FOLDER) -> None:
        """Write the file of the task."""
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(self.to_json(), indent=1, ensure_ascii=False) + "\n"
        (folder / f"{self.task.name}.json").write_text(text, encoding="utf-8")


def keys_of(task: Task) -> Iterable[Key]:
    """Every cell of a task in the order of tables."""
    return ((m.name, lv.name, c.name) for m in task.materials for lv in task.levels for c in task.cases)


def load(task: Task, folder: Path = FOLDER) -> Results:
    """What is known of a task by the weights that ship."""
    path = folder / f"{task.name}.json"
    if not path.is_file():
        return Results(task)
    found = json.loads(path.read_text(encoding="utf-8"))
    anew = Results(task)
    if found.get("gate_sha256") != anew.gate:
        return anew
    stale = () if found["weights_sha256"] == anew.weights else task.whole_network
    wanted, current = set(keys_of(task)), {level.name: level.fingerprint for level in task.levels}
    cells = (_cell_from_json(cell) for cell in found["cells"])
    fitting = {cell.key: cell for cell in cells if cell.fingerprint == current.get(cell.level)}
    return Results(task, {key: cell for key, cell in fitting.items() if key in wanted and key[2] not in stale})


def _cell_to_json(cell: Cell) -> dict[str, Any]:
    place = {"material": cell.material, "level": cell.level, "fingerprint": cell.fingerprint, "seeds": cell.seeds}
    return place | row_to_json(cell.row)


def _cell_from_json(found: dict[str, Any]) -> Cell:
    figures = {
        name: [float("nan") if value is None else float(value) for value in figure["per_seed"]]
        for name, figure in found["figures"].items()
    }
    row = Row(found["case"], found["share"], found["fraction_measured"], figures, list(found["degraded"]))
    return Cell(found["material"], found["level"], found["fingerprint"], row, list(found["seeds"]))
