"""What tests of map files share."""

import numpy as np

from grainloop.model.crystal import random_quaternions
from grainloop.model.maps import MapPhase, OrientationMap

TITANIUM = MapPhase(1, "Titanium", "6/mmm", (2.95, 2.95, 4.686), (90.0, 90.0, 120.0))
BETA = MapPhase(2, "Titanium beta", "m-3m", (3.192, 3.192, 3.192))


def random_map(seed, shape, *, phases=(TITANIUM,), step_um=0.25, lost=0.2, with_flags=True, frame="identity"):
    """A map of random orientations; a share `lost` of its points is not indexed."""
    rng = np.random.default_rng(seed)
    phase_id = rng.integers(1, len(phases) + 1, shape).astype(np.uint8)
    phase_id[rng.random(shape) < lost] = 0
    indexed = phase_id > 0
    q = random_quaternions(phase_id.size, rng).reshape(*shape, 4)
    q = np.where(q[..., :1] < 0, -q, q)
    return OrientationMap(
        orientation=np.where(indexed[..., None], q, (1, 0, 0, 0)).astype(np.float32),
        phase_id=phase_id,
        confidence=np.where(indexed, rng.random(shape), 0).astype(np.float32),
        fit_deg=np.where(indexed, 2 * rng.random(shape), 180).astype(np.float32),
        step_um=step_um,
        phases=tuple(phases),
        frame=frame,
        measured=rng.random(shape) < 0.3 if with_flags else None,
    )
