"""What is compiled: small made-up work that calls the kernels with the types of arguments that a run has.

What that comes to is in `kernels.json`, which `work` writes; a test fails where the two differ, and where a demo
compiles anything else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from grainloop.model.maps import OrientationMap

EDGE_PX = 24


@dataclass(frozen=True)
class Rehearsal:
    """Some work of a run.

    Attributes:
        what: it is, as a progress bar tells it.
        work: that is done; packages that are not installed may end it.
    """

    what: str
    work: Callable[[], None]


def _paths() -> None:
    from grainloop.controller.geometry import short_shape_route, warm_up
    from grainloop.protocols.capabilities import ShapeLimits
    from grainloop.protocols.shapes import Piece, ScanShape

    warm_up()
    rows = (0, 3, 1)
    lines = [Piece(ScanShape.LINES, 4, (row, 0), 1, 4, (1, 0), (0, 1)) for row in rows]
    limits = ShapeLimits(accepted=(ScanShape.LINES,), any_corner=True)
    short_shape_route(lines, np.array([(row, column) for row in rows for column in range(4)], np.int32), limits)


def _instrument() -> None:
    from grainloop.instrument_sim.driver import SimulatedInstrument
    from grainloop.protocols.messages import ScanRequest

    instrument = SimulatedInstrument(_specimen())
    pixels = np.argwhere(np.ones((4, 4))).astype(np.int32)
    exposure_s = instrument.capabilities.default_dwell_s
    asked = ScanRequest(batch=0, point_id=np.arange(len(pixels)), position_px=pixels, dwell_s=exposure_s)
    for _ in instrument.scan(asked):
        pass
    instrument.light(0, (0.0, 30.0, 60.0, 90.0))


def _specimen() -> OrientationMap:
    """Two grains side by side."""
    from grainloop.model.maps import MapPhase, OrientationMap

    shape = (EDGE_PX, EDGE_PX)
    orientation = np.zeros((*shape, 4), np.float32)
    orientation[:, : EDGE_PX // 2, 0] = orientation[:, EDGE_PX // 2 :, 1] = 1
    phases = (MapPhase(1, "rehearsed", "6/mmm"),)
    surely, fit_deg = np.ones(shape, np.float32), np.zeros(shape, np.float32)
    return OrientationMap(orientation, np.ones(shape, np.uint8), surely, fit_deg, 1.0, phases)


def _score() -> None:
    from grainloop.model.crystal import disorientation_deg
    from grainloop.model.crystal.score import score_map

    known = _specimen()
    score_map(known.orientation, known.orientation, "6/mmm", known.indexed)
    disorientation_deg(known.orientation, known.orientation, "6/mmm")


def _health() -> None:
    from grainloop.model.service.service import tiny_reconstruction

    tiny_reconstruction()


def _section(point_group: str, *, light: bool, shapes: bool = False) -> Callable[[], None]:
    def work() -> None:
        from grainloop.instrument_sim.presets import EXTERNAL_CONTROL
        from grainloop.model.service.warming import warm_up
        from grainloop.protocols.messages import Expected, OpenSection
        from grainloop.protocols.values import Grid, Phase

        phase = Phase(phase_id=1, name="rehearsed", point_group=point_group)
        means = EXTERNAL_CONTROL.means(0.02) if shapes else None
        grid = Grid(shape_px=(EDGE_PX, EDGE_PX), step_um=1.0)
        declared = OpenSection(section_key="rehearsed", grid=grid, phases=(phase,), expects=Expected(means=means))
        warm_up(declared, light=light)

    return work


REHEARSALS: tuple[Rehearsal, ...] = (
    Rehearsal("paths of the beam", _paths),
    Rehearsal("the simulated instrument", _instrument),
    Rehearsal("a tiny reconstruction", _health),
    Rehearsal("hexagonal crystals with PL", _section("6/mmm", light=True)),
    Rehearsal("lines and rectangles", _section("6/mmm", light=True, shapes=True)),
    Rehearsal("cubic crystals", _section("m-3m", light=False)),
    Rehearsal("figures of merit", _score),
)
