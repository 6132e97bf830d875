"""What `grainloop plan` was asked and what it found, as values. Nothing here reckons or speaks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from grainloop.cli.plan.break_even import Comparison, Material, Way, Work
from grainloop.cli.plan.speed import Calibration
from grainloop.protocols.capabilities import ScanTiming, ShapeLimits


@dataclass(frozen=True)
class PlanOptions:
    """What the command line says; nothing where it leaves the choice to the plan or the default.

    Attributes:
        plan: TOML file of a run plan.
        rows, columns: of the map, pixels.
        step_um: of the map.
        dwell_s: exposure of a point.
        instrument: name of a preset, or a TOML file with `timing` and `shapes`.
        wrong: tolerated shares of wrong pixels, between commas.
        grain_um: mean diameter of the grains.
        light_s: what PL images cost the instrument.
        measure: measure the speed of the model anew.
        json: print JSON.
    """

    plan: Path | None = None
    rows: int = 400
    columns: int = 400
    step_um: float = 1.0
    dwell_s: float | None = None
    instrument: str = "external"
    wrong: str = "0.1,0.05,0.02"
    grain_um: float | None = None
    light_s: float = 36.0
    measure: bool = False
    json: bool = False


@dataclass(frozen=True)
class Instrument:
    """What the instrument accepts and what it costs, and how it is called."""

    words: str
    timing: ScanTiming
    shapes: ShapeLimits


@dataclass(frozen=True)
class Forecast:
    """What the given run plan comes to: its time, and the share of wrong pixels it would leave of each material."""

    way: Way
    wrong: dict[str, float]


@dataclass(frozen=True)
class Planned:
    """Everything that is told.

    Attributes:
        options: what was asked.
        instrument: that measures.
        work: the section.
        calibration: of the model on this computer.
        source: where the error curves come from.
        found: material → one comparison for each tolerated share.
        forecast: of the plan itself, where one is given and the instrument takes free points.
    """

    options: PlanOptions
    instrument: Instrument
    work: Work
    calibration: Calibration
    source: str
    found: dict[Material, list[Comparison]]
    forecast: Forecast | None
