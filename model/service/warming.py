"""Making ready for a run before it begins to scan: its method, policy and shapes once on a made-up section.

The first use of a compiled kernel compiles it, and that of a network loads it. Without this the first answer of a fresh
service would come minutes late, and the instrument would measure what nobody chose. What is found here is thrown away.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from grainloop.model.crystal import random_quaternions
from grainloop.model.light import predict_light
from grainloop.model.light.features import FULL_NAMES, LightFeatures
from grainloop.model.reconstruct import never, no_report
from grainloop.model.service.reconstruction import reconstruct
from grainloop.model.service.sections import Section
from grainloop.protocols.errors import GrainloopError
from grainloop.protocols.messages import Expected, OpenSection, ProposalRequest, ReconstructRequest
from grainloop.protocols.observability import get_logger
from grainloop.protocols.values import Grid, PointBlock, PointStatus

EDGE_PX = 64
_GRAINS, _NOISE, _COUNT = 30, 0.03, 40
_SPACINGS_PX = (5, 3)
"""Of the two grids of points that the section is asked about; the second answer builds on the first."""

_ready_for: set[str] = set()


def warm_up(declared: OpenSection, *, light: bool) -> bool:
    """Make ready for what is expected of a section, with PL or without; whether there was anything to do.

    A method that does not exist, or that fails here, is told when it is asked for.
    """
    if declared.expects is None:
        return False
    groups = tuple(phase.point_group for phase in declared.phases)
    key = repr((groups, light, declared.expects.model_dump_json()))
    if key in _ready_for:
        return False
    try:
        _rehearse(_made_up(declared, light), declared.expects)
    except GrainloopError as error:
        get_logger(service="model").warning("not made ready", why=str(error))
    _ready_for.add(key)
    return True


def _made_up(declared: OpenSection, light: bool) -> Section:
    grid = Grid(shape_px=(EDGE_PX, EDGE_PX), step_um=declared.grid.step_um)
    tiny = declared.model_copy(update={"grid": grid, "section_key": "warm-up", "light": None})
    return Section(tiny, _features(_orientations()) if light else None, grid.step_um, ())


def _orientations() -> NDArray[np.float32]:
    """(edge, edge, 4) of a few grains."""
    rng = np.random.default_rng(0)
    centres = rng.uniform(0, EDGE_PX, (_GRAINS, 2))
    pixels = np.indices((EDGE_PX, EDGE_PX)).transpose(1, 2, 0)
    grain = ((pixels[:, :, None] - centres) ** 2).sum(-1).argmin(-1)
    return random_quaternions(_GRAINS, rng).astype(np.float32)[grain]


def _features(orientation: NDArray[np.float32]) -> LightFeatures:
    seen = np.moveaxis(predict_light(orientation), -1, 0)
    seen = seen + np.random.default_rng(1).normal(scale=_NOISE, size=seen.shape)
    return LightFeatures(seen.astype(np.float32), FULL_NAMES, np.full(seen.shape[1:], _NOISE, np.float32))


def _rehearse(section: Section, expected: Expected) -> None:
    truth, phases = _orientations(), [phase.phase_id for phase in section.declared.phases]
    for spacing in _SPACINGS_PX:
        request = ReconstructRequest(
            section_key=section.declared.section_key,
            points=_points(truth, phases, spacing),
            method=expected.method,
            propose=ProposalRequest(
                count=_COUNT,
                policy=expected.policy,
                excluded_px=np.array([[0, 0]], np.int32),
                means=expected.means,
                repeatable_px=np.empty((0, 2), np.int32),
            ),
        )
        reconstruct(section, request, no_report, never)


def _points(truth: NDArray[np.float32], phases: list[int], spacing: int) -> PointBlock:
    """A regular grid; the phases take turns from left to right, and one point in a hundred is not indexed."""
    along = np.arange(spacing // 2, EDGE_PX, spacing)
    position = np.stack(np.meshgrid(along, along, indexing="ij"), axis=-1).reshape(-1, 2).astype(np.int32)
    count = len(position)
    indexed = np.arange(count) % 100 != 50
    phase = np.array(phases)[position[:, 1] * len(phases) // EDGE_PX]
    return PointBlock(
        point_id=np.arange(count, dtype=np.int64),
        position_px=position,
        status=np.where(indexed, PointStatus.INDEXED, PointStatus.NOT_INDEXED).astype(np.uint8),
        phase_id=np.where(indexed, phase, 0).astype(np.uint8),
        orientation=truth[tuple(position.T)],
        confidence=np.ones(count, np.float32),
        fit_deg=np.zeros(count, np.float32),
        time_s=np.arange(count, dtype=np.float64),
        dwell_s=np.ones(count, np.float32),
    )
