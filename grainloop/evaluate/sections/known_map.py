"""The whole map behind a recorded session: what scores its reconstructions, and measures what was not recorded."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from grainloop.controller.recorded import Beyond, Recorded
from grainloop.evaluate.figures_of_merit import error_map_deg
from grainloop.evaluate.sections.scenes import EXACT_POINTS, mount
from grainloop.instrument_sim.config import DriftConfig, SimConfig
from grainloop.instrument_sim.driver import SimulatedInstrument
from grainloop.instrument_sim.specimens.named import load_specimen
from grainloop.model.crystal import laue_group
from grainloop.model.maps import OrientationMap
from grainloop.protocols.capabilities import Capabilities
from grainloop.protocols.errors import BadInput
from grainloop.protocols.messages import ScanRequest
from grainloop.protocols.values import FramePreset, PointBlock

ANOTHER_MAP_DEG = 5.0
"""Half of the recorded points are nearer to the map than this, or it is another map."""


@dataclass(frozen=True, eq=False)
class KnownMap:
    """A map that knows every pixel of a session.

    Attributes:
        map: as it is.
        measure: answers for any pixel.
        words: how, as the end of a sentence.
    """

    map: OrientationMap
    measure: Beyond
    words: str


def known_map(name: str, recorded: Recorded) -> KnownMap:
    """The map in the file `name`, or the shipped specimen of that name, as the whole of a recorded session.

    A simulated session is measured on with the errors of the simulator but for drift, a real one exactly as the map is.

    Raises:
        BadInput: no such map, or it is not that of the session.
    """
    truth, declared = load_specimen(name), recorded.began.capabilities
    _check_same(truth, declared, recorded.began.terms.frame, name)
    _check_near(truth, recorded.points, name)
    noisy = SimConfig(drift=DriftConfig.none())
    config, how = (noisy, "with the errors of the simulator") if declared.simulated else (EXACT_POINTS, "as it is")
    instrument = mount(truth, config, recorded.began.plan.seed)
    _measure(instrument, _request(recorded.points))  # so that a repeat is another measurement, not the same again
    return KnownMap(truth, lambda request: _measure(instrument, request), f"by {name}, {how}")


def _measure(instrument: SimulatedInstrument, request: ScanRequest) -> PointBlock:
    return PointBlock.concatenate(list(instrument.scan(request)))


def _request(points: PointBlock) -> ScanRequest:
    number = np.arange(len(points), dtype=np.int64)
    dwell_s = float(points.dwell_s[0])
    return ScanRequest(batch=0, point_id=number, position_px=points.position_px, dwell_s=dwell_s)


def _check_same(truth: OrientationMap, declared: Capabilities, frame: FramePreset, name: str) -> None:
    if truth.shape_px != declared.grid.shape_px:
        message = f"The map {name} has {truth.shape_px} px, the session {declared.grid.shape_px}."
        raise BadInput(message, field="truth", value=name)
    if truth.frame not in (FramePreset.IDENTITY, frame):
        message = f"The Euler frame of the map {name} is {truth.frame}, that of the session {frame}."
        raise BadInput(message, field="truth", value=name)
    known = {phase.phase_id: laue_group(phase.point_group).name for phase in declared.phases}
    for phase in truth.phases:
        if known.get(phase.phase_id) != laue_group(phase.laue_group).name:
            message = f"The map {name} has phase {phase.phase_id} ({phase.laue_group}); the session has not."
            raise BadInput(message, field="truth", value=name)


def _check_near(truth: OrientationMap, points: PointBlock, name: str) -> None:
    shown, phase_id = truth.orientation.copy(), truth.phase_id.copy()
    own = points.select(points.indexed)
    where = tuple(own.position_px.T)
    shown[where], phase_id[where] = own.orientation, own.phase_id
    error = error_map_deg(shown, phase_id, truth)[where]
    if len(own) and np.nanmedian(error) > ANOTHER_MAP_DEG:
        message = (
            f"Half of the points of the session are off the map {name} by more than {ANOTHER_MAP_DEG:g}°: "
            "it is another map, or in another frame."
        )
        raise BadInput(message, field="truth", value=name)
