"""How long the model takes for a decision on this computer: measured once, and kept with its date.

A decision is what happens between two batches of a run: PL registered anew, reconstruction, proposals, the route. It is
measured in process on a shipped map and on a part of it, when everything is compiled and loaded.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from grainloop.cli.plan.break_even import Speed
from grainloop.controller.geometry import short_path
from grainloop.evaluate.acquisition.playing import Stage, set_up
from grainloop.evaluate.sections.cropping import centre_window, crop_map
from grainloop.evaluate.sections.scenes import measure
from grainloop.instrument_sim import specimens
from grainloop.model.diffusion.training.processes import available_cores
from grainloop.model.diffusion.training.validation import regular_grid
from grainloop.model.maps import OrientationMap
from grainloop.model.reconstruct import never, no_report
from grainloop.model.service.methods import shipped_weights
from grainloop.model.service.reconstruction import reconstruct
from grainloop.protocols.files import parse_json, read_text, write_text
from grainloop.protocols.messages import ProposalRequest, ReconstructRequest
from grainloop.protocols.version import grainloop_version

SPECIMEN, EDGES_PX = "ti64", (96, 200)
_SHARE, _ASKED = 0.06, 0.01
_ROUNDS = 3
MOST_SPREAD, MOST_OF_OTHERS = 1.5, 0.25
"""Between decisions that are alike, and of the cores for others: beyond it the speed is not that of this computer."""


@dataclass(frozen=True)
class Calibration:
    """Measured decisions, and what they were measured with.

    Attributes:
        measured: day, as ISO 8601.
        grainloop: version.
        weights: SHA-256 of the weights by point group.
        threads: processor cores.
        decisions: (pixels of the map, seconds), small map first.
        disturbed: this computer was busy with other things meanwhile, so it is measured again the next time.
    """

    measured: str
    grainloop: str
    weights: dict[str, str]
    threads: int
    decisions: tuple[tuple[int, float], ...]
    disturbed: bool = False

    @property
    def speed(self) -> Speed:
        """Seconds over the number of pixels."""
        return Speed.of(self.decisions)

    def still_holds(self) -> bool:
        """Whether it was measured undisturbed, and program, weights and number of cores are the same now."""
        if self.disturbed:
            return False
        now = (grainloop_version(), dict(shipped_weights()), available_cores())
        return (self.grainloop, self.weights, self.threads) == now


def calibration_file() -> Path:
    """Where the calibration is kept: in the folder that the system has for such files."""
    if sys.platform == "win32":
        folder = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    else:
        folder = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(folder) / "grainloop" / "speed.json"


def calibrate(kept: Path, anew: bool = False) -> Calibration:
    """The calibration in a file if it still holds, or a new one, which is kept there where that is possible."""
    found = None if anew else load(kept)
    if found is None or not found.still_holds():
        found = measure_speed()
        _keep(found, kept)
    return found


def load(kept: Path) -> Calibration | None:
    """The calibration in a file; nothing where there is none that can be read."""
    try:
        content: dict[str, Any] = parse_json(read_text(kept))
        decisions = tuple((int(pixels), float(seconds)) for pixels, seconds in content.pop("decisions"))
        return Calibration(**content, decisions=decisions) if decisions else None
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def measure_speed() -> Calibration:
    """Measure decisions now; takes about half a minute."""
    whole = specimens.load(SPECIMEN)
    maps = [crop_map(whole, centre_window(whole.shape_px, edge)) for edge in EDGES_PX]
    load = Load()
    rounds = [_decisions_s(truth) for truth in maps]
    decisions = tuple((truth.phase_id.size, round(min(found), 4)) for truth, found in zip(maps, rounds, strict=True))
    uneven = any(max(found) > MOST_SPREAD * min(found) for found in rounds)
    return Calibration(
        date.today().isoformat(),
        grainloop_version(),
        dict(shipped_weights()),
        available_cores(),
        decisions,
        disturbed=uneven or load.of_others() > MOST_OF_OTHERS,
    )


class Load:
    """What other processes take of this computer, from now on; only Linux tells."""

    def __init__(self) -> None:
        self._before, self._own_s = _ticks(), time.process_time()

    def of_others(self) -> float:
        """Share of all processor cores; 0 where it is not known."""
        (busy, total), (busy_now, total_now) = self._before, _ticks()
        if total_now <= total:
            return 0.0
        own = (time.process_time() - self._own_s) * os.sysconf("SC_CLK_TCK")
        return max(0.0, busy_now - busy - own) / (total_now - total)


def _ticks() -> tuple[float, float]:
    """Ticks in which the cores of this computer were busy, and all of them."""
    try:
        first = read_text(Path("/proc/stat")).partition("\n")[0].split()
        user, nice, system, idle, waiting, *rest = map(float, first[1:9])
    except (OSError, ValueError):
        return 0.0, 0.0
    busy = user + nice + system + sum(rest)
    return busy, busy + idle + waiting


def _decisions_s(truth: OrientationMap) -> list[float]:
    """Some decisions, after a first one that compiles, loads and registers PL from scratch."""
    stage = set_up(truth)
    request = _request(stage)
    return [_time(stage, request) for _ in range(_ROUNDS + 1)][1:]


def _request(stage: Stage) -> ReconstructRequest:
    shape = stage.truth.shape_px
    points = measure(stage.instrument, regular_grid(shape, _SHARE))
    count = max(1, round(_ASKED * shape[0] * shape[1]))
    asked = ProposalRequest(count=count, excluded_px=np.empty((0, 2), np.int32))
    return ReconstructRequest(section_key=stage.section.declared.section_key, points=points, propose=asked)


def _time(stage: Stage, request: ReconstructRequest) -> float:
    started = time.perf_counter()
    reply = reconstruct(stage.section, request, no_report, never)
    if reply.proposals is not None:
        short_path(reply.proposals.position_px)
    return time.perf_counter() - started


def _keep(found: Calibration, kept: Path) -> None:
    """Write it down; where that is not possible it is measured again next time."""
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_text(kept, json.dumps(asdict(found), indent=1) + "\n")
    except OSError:
        return
