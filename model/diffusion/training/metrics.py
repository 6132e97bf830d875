"""The figures of a training over time: a CSV file of step, seconds, name, value.

Loss parts are averaged over the steps between two lines; validation figures are written as they come. What the figures
mean is in `losses` and `validation`.
"""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path

from grainloop.protocols.files import MOST_BYTES, open_file, read_text, write_text

HEADER = "step,seconds,name,value\n"
VALIDATION = "val_"
"""How the names of validation figures begin."""


@dataclass
class Series:
    """One figure over time: finished steps, wall seconds of training, values."""

    step: list[int] = field(default_factory=list[int])
    seconds: list[float] = field(default_factory=list[float])
    value: list[float] = field(default_factory=list[float])


class Metrics:
    """Appends to the file; running parts are averaged up to every `every`-th step.

    Lines of steps after `step` belong to work that was lost with an unsaved checkpoint, and are dropped.
    """

    def __init__(self, path: Path, every: int, step: int) -> None:
        self._path, self._every, self._sums, self._count = path, every, dict[str, float](), 0
        kept = _lines_up_to(path, step) if path.exists() else []
        write_text(path, "".join([HEADER, *kept]))

    def add(self, step: int, seconds: float, parts: dict[str, float]) -> None:
        """Count one step in."""
        for name, value in parts.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
        self._count += 1
        if step % self._every == 0:
            self.write(step, seconds, {name: value / self._count for name, value in self._sums.items()})
            self._sums, self._count = {}, 0

    def write(self, step: int, seconds: float, values: dict[str, float]) -> None:
        """Append one line per value."""
        lines = [f"{step},{seconds:.1f},{name},{value:.6g}\n" for name, value in values.items()]
        with open_file(self._path, "ab") as file:
            file.write("".join(lines).encode())


def read_metrics(path: Path) -> dict[str, Series]:
    """Every figure of a metrics file, by name."""
    series: dict[str, Series] = {}
    for row in csv.DictReader(StringIO(read_text(path, MOST_BYTES), newline="")):
        one = series.setdefault(row["name"], Series())
        one.step.append(int(row["step"]))
        one.seconds.append(float(row["seconds"]))
        one.value.append(float(row["value"]))
    return series


def last_validation(path: Path) -> dict[str, float]:
    """The newest finite validation figures and the `step` they are of; empty where there are none."""
    figures = {name: one for name, one in read_metrics(path).items() if name.startswith(VALIDATION)}
    if not figures:
        return {}
    step = max(one.step[-1] for one in figures.values())
    newest = {name: one.value[-1] for name, one in figures.items() if one.step[-1] == step}
    return {"step": step} | {name: value for name, value in newest.items() if math.isfinite(value)}


def _lines_up_to(path: Path, step: int) -> list[str]:
    lines = read_text(path, MOST_BYTES).splitlines(keepends=True)[1:]
    return [line for line in lines if line.endswith("\n") and int(line.split(",", 1)[0]) <= step]
