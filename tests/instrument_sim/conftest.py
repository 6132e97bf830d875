"""What tests of the simulated instrument share."""

import numpy as np
import pytest

from grainloop.model.crystal import random_quaternions
from grainloop.model.maps import MapPhase, OrientationMap
from grainloop.protocols.messages import ScanRequest

TITANIUM = MapPhase(1, "Titanium", "6/mmm", (2.95, 2.95, 4.686), (90.0, 90.0, 120.0))
NICKEL = MapPhase(1, "Nickel", "m-3m", (3.52, 3.52, 3.52))


def blocks_map(rows=4, cols=5, edge=12, phase=TITANIUM, seed=0):
    """A chessboard of `rows` × `cols` square grains with random orientations."""
    q = random_quaternions(rows * cols, np.random.default_rng(seed)).reshape(rows, cols, 4)
    orientation = q.repeat(edge, axis=0).repeat(edge, axis=1).astype(np.float32)
    shape = orientation.shape[:2]
    return OrientationMap(
        orientation=orientation,
        phase_id=np.ones(shape, np.uint8),
        confidence=np.ones(shape, np.float32),
        fit_deg=np.full(shape, 0.5, np.float32),
        step_um=0.5,
        phases=(phase,),
    )


@pytest.fixture
def titanium():
    return blocks_map()


@pytest.fixture
def nickel():
    return blocks_map(phase=NICKEL)


def scan_request(positions, *, dwell_s=0.02, **fields):
    positions = np.asarray(positions, np.int32).reshape(-1, 2)
    ids = np.arange(1, len(positions) + 1, dtype=np.int64)
    return ScanRequest(**{"batch": 0, "point_id": ids, "position_px": positions, "dwell_s": dwell_s, **fields})


def all_pixels(shape):
    return np.stack(np.divmod(np.arange(shape[0] * shape[1]), shape[1]), axis=-1).astype(np.int32)
