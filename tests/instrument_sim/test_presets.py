"""The simulated instrument scans the shapes that it declares, takes the declared time, and refuses others."""

import numpy as np
import pytest

from grainloop.instrument_sim.config import SimConfig
from grainloop.instrument_sim.driver import SimulatedInstrument
from grainloop.instrument_sim.presets import EXTERNAL_CONTROL, MAP_QUEUE, PRESETS
from grainloop.protocols.errors import OutOfLimits
from grainloop.protocols.hosting.limits import check_scan
from grainloop.protocols.messages import ScanRequest
from grainloop.protocols.shapes import Piece, ScanShape, encode_pieces
from grainloop.protocols.values import PointBlock

DWELL_S = 0.02
RECTANGLE = Piece(ScanShape.RECTANGLES, 80, (3, 2), 8, 10, (1, 0), (0, 1))


def mounted(specimen, preset):
    return SimulatedInstrument(specimen, SimConfig(timing=preset.timing, shapes=preset.shapes))


def scan_of(piece, serpentine=False):
    pixels = piece.raster(serpentine)
    return ScanRequest(
        batch=0,
        point_id=np.arange(len(pixels)),
        position_px=pixels,
        pieces=encode_pieces([piece]),
        dwell_s=DWELL_S,
    )


@pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)
def test_a_rectangle_takes_its_declared_time(titanium, preset):
    instrument, timing = mounted(titanium, preset), preset.timing
    request = scan_of(RECTANGLE, preset.shapes.serpentine)
    check_scan(request, instrument.capabilities)
    found = PointBlock.concatenate(list(instrument.scan(request)))
    assert found.position_px.tolist() == request.position_px.tolist()
    way_px = 8 * 9 + (7 if preset.shapes.serpentine else 7 * np.hypot(1, 9))
    start_s = timing.batch_overhead_s + timing.settle_s + timing.map_start_s
    beam_s = timing.travel_s_per_px * way_px + 7 * timing.fly_back_s
    assert found.time_s[-1] == pytest.approx(start_s + beam_s + 80 * DWELL_S)


def test_what_is_not_declared_is_refused(titanium):
    pixel = np.array([[1, 1]], np.int32)
    free = ScanRequest(batch=0, point_id=np.array([0]), position_px=pixel, dwell_s=DWELL_S)
    with pytest.raises(OutOfLimits, match="one of points"):
        next(mounted(titanium, MAP_QUEUE).scan(free))
    small = Piece(ScanShape.RECTANGLES, 9, (0, 0), 3, 3, (1, 0), (0, 1))
    with pytest.raises(OutOfLimits, match="smallest rectangle 8 × 8"):
        next(mounted(titanium, MAP_QUEUE).scan(scan_of(small)))
    next(mounted(titanium, EXTERNAL_CONTROL).scan(scan_of(small, serpentine=True)))


def test_by_default_only_free_points_are_accepted(titanium):
    with pytest.raises(OutOfLimits, match="only points"):
        next(SimulatedInstrument(titanium).scan(scan_of(RECTANGLE)))
    assert mounted(titanium, EXTERNAL_CONTROL).capabilities.shapes == EXTERNAL_CONTROL.shapes
    assert EXTERNAL_CONTROL.means(0.1).dwell_s == 0.1
