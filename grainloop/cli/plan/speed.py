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
from grainloop.protocols.messages import ProposalRequest, ReconstructRequest
from grainloop.protocols.version import grainloop_version

SPECIMEN, EDGES_PX = "ti64", (96, 200)
_SHARE, _ASKED = 0.06, 0.01
_ROUNDS = 3


@dataclass(frozen=True)
class Calibration:
    """Measured decisions, and what they were measured with.

    Attributes:
        measured: day, as ISO 8601.
        grainloop: version.
        weights: SHA-256 of the weights by point group.
        threads: processor cores.
        decisions: (pixels of the map, seconds), small map first.
    """

    measured: str
    grainloop: str
    weights: dict[str, str]
    threads: int
    decisions: tuple[tuple[int, float], ...]

    @property
    def speed(self) -> Speed:
        """Seconds over the number of pixels."""
        return Speed.of(self.decisions)

    def still_holds(self) -> bool:
        """Whether program, weights and number of cores are the same now."""
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
        content: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8"))
        decisions = tuple((int(pixels), float(seconds)) for pixels, seconds in content.pop("decisions"))
        return Calibration(**content, decisions=decisions) if decisions else None
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def measure_speed() -> Calibration:
    """Measure decisions now; takes about half a minute."""
    whole = specimens.load(SPECIMEN)
    maps = [crop_map(whole, centre_window(whole.shape_px, edge)) for edge in EDGES_PX]
    decisions = tuple((truth.phase_id.size, round(_decision_s(truth), 4)) for truth in maps)
    weights = dict(shipped_weights())
    return Calibration(date.today().isoformat(), grainloop_version(), weights, available_cores(), decisions)


def _decision_s(truth: OrientationMap) -> float:
    """The quickest of some decisions, after a first one that compiles, loads and registers PL from scratch."""
    stage = set_up(truth)
    request = _request(stage)
    seconds = [_time(stage, request) for _ in range(_ROUNDS + 1)]
    return min(seconds[1:])


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
        kept.write_text(json.dumps(asdict(found), indent=1) + "\n", encoding="utf-8")
    except OSError:
        return
