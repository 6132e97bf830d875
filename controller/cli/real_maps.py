"""The real maps that ship, as validation problems: exact points on a grid, simulated PL registered by our own code.

They are validated on, never trained on; which weights are kept is decided without them.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from instrument_sim import SimulatedInstrument, specimens
from instrument_sim.config import DetectorConfig, DriftConfig, SimConfig
from model.diffusion.validation import Case, regular_grid
from model.light import LightFeatures, align, fit_stack
from model.reconstruct import Problem, RegisteredLight, SparsePoints
from protocols.messages import ScanRequest
from protocols.values import PointBlock

SHARES = (0.0625, 0.021)
_EXACT_POINTS = SimConfig(detector=DetectorConfig.none(), drift=DriftConfig.none())
_ANGLES_DEG = tuple(float(angle) for angle in range(0, 180, 10))
_SEED = 0
_DWELL_S = 0.02


@cache
def real_cases(laue_group: str) -> tuple[Case, ...]:
    """Every map of that Laue group that ships, at every share."""
    named = ((name, SimulatedInstrument(specimens.load(name), _EXACT_POINTS, _SEED)) for name in specimens.FILES)
    fitting = [(name, found) for name, found in named if found.sections[0].truth.main_phase.laue_group == laue_group]
    return tuple(case for name, instrument in fitting for case in _cases_of(name, instrument))


def _cases_of(name: str, instrument: SimulatedInstrument) -> list[Case]:
    features = fit_stack(instrument.light(0, _ANGLES_DEG), _ANGLES_DEG)
    return [_case(name.replace("-", "_"), instrument, features, share) for share in SHARES]


def _case(name: str, instrument: SimulatedInstrument, features: LightFeatures, share: float) -> Case:
    truth = instrument.sections[0].truth
    points = _scan(instrument, regular_grid(truth.shape_px, share))
    light = _registered(instrument, features, points)
    sparse = SparsePoints(points.position_px, points.orientation, points.indexed)
    problem = Problem(truth.shape_px, truth.main_phase.laue_group, sparse, light)
    return Case(name, share, problem, truth.orientation, truth.indexed)


def _scan(instrument: SimulatedInstrument, position: NDArray[np.int32]) -> PointBlock:
    request = ScanRequest(batch=0, point_id=np.arange(len(position)), position_px=position, dwell_s=_DWELL_S)
    return PointBlock.concatenate(list(instrument.scan(request)))


def _registered(instrument: SimulatedInstrument, features: LightFeatures, points: PointBlock) -> RegisteredLight | None:
    caps = instrument.capabilities
    if caps.light is None:
        return None
    found = align(
        features,
        points.position_px[points.indexed],
        points.orientation[points.indexed],
        instrument.sections[0].truth.shape_px,
        pixel_um=caps.light.pixel_um,
        step_um=caps.grid.step_um,
    )
    return RegisteredLight(found.registered, found.sigma_of_channels(), found.residual_px) if found.usable else None
