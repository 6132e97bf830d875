"""A tiny real piece of the controller's work: plan, decide, order a path, write a session file and read it back."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy as np

from grainloop.controller.decide import Decider
from grainloop.controller.plans import Terms
from grainloop.controller.session import SessionFile, load_session
from grainloop.protocols.capabilities import Capabilities
from grainloop.protocols.errors import DeviceFailed
from grainloop.protocols.plan import Budget, RunPlan
from grainloop.protocols.values import Grid, Phase, PointBlock, PointStatus

_SIDE = 8


def write_and_read_back(folder: Path) -> str:
    """What was proven, as a sentence.

    Raises:
        DeviceFailed: what was read is not what was written.
    """
    terms = Terms(RunPlan(budget=Budget(fraction=0.5)), _tiny_instrument())
    decider = Decider(terms, "proof")
    decider.begin(0.0)
    points = 0
    with closing(SessionFile(folder / "proof.h5", terms)) as session:
        while (batch := decider.next_planned()) is not None:
            session.add_decision(batch, {})
            session.add_points(batch.request.batch, measured(batch.request.point_id, batch.request.position_px))
            points += len(batch.request.point_id)
    if len(load_session(session.path).points) != points:
        raise DeviceFailed("A session file that was just written reads back differently.", field="session")
    return f"{points} points planned, stored and read back."


def measured(point_id: np.ndarray, position_px: np.ndarray) -> PointBlock:
    """A block of indexed points of identity orientation, for proofs and benchmarks."""
    count = len(point_id)
    orientation = np.zeros((count, 4), np.float32)
    orientation[:, 0] = 1
    return PointBlock(
        point_id=point_id,
        position_px=position_px,
        status=np.full(count, PointStatus.INDEXED, np.uint8),
        phase_id=np.ones(count, np.uint8),
        orientation=orientation,
        confidence=np.ones(count, np.float32),
        fit_deg=np.zeros(count, np.float32),
        time_s=np.arange(count, dtype=np.float64),
        dwell_s=np.ones(count, np.float32),
    )


def _tiny_instrument() -> Capabilities:
    return Capabilities(
        name="proof",
        simulated=True,
        grid=Grid(shape_px=(_SIDE, _SIDE), step_um=1.0),
        phases=(Phase(phase_id=1, name="Ti", point_group="6/mmm"),),
        dwell_range_s=(0.001, 1.0),
        default_dwell_s=0.01,
    )
