"""The score of a session, against brute force and a grid of as many points."""

from __future__ import annotations

import numpy as np
import pytest

from grainloop.controller.figures.summary import (
    error_map_deg,
    grid_baseline,
    light_lines,
    nearest_neighbour_map,
    score,
)
from grainloop.model.crystal import quaternion_from_axis_angle
from grainloop.model.maps import MapPhase, OrientationMap
from grainloop.protocols.errors import BadInput
from grainloop.protocols.messages import LightDiagnostics, ScanRequest
from grainloop.protocols.values import PointBlock, PointStatus
from tests.controller.fakes import block_of

SHAPE = (17, 23)


def measured(seed: int, count: int) -> PointBlock:
    rng = np.random.default_rng(seed)
    pixels = np.argwhere(np.ones(SHAPE, np.bool_))[rng.permutation(SHAPE[0] * SHAPE[1])[:count]].astype(np.int32)
    request = ScanRequest(batch=0, point_id=np.arange(count), position_px=pixels, dwell_s=0.1)
    points = block_of(request, 0.0)
    orientation = rng.normal(size=(count, 4)).astype(np.float32)
    orientation /= np.linalg.norm(orientation, axis=1, keepdims=True)
    status = np.where(np.arange(count) % 5 == 4, PointStatus.NOT_INDEXED, PointStatus.INDEXED).astype(np.uint8)
    columns = {name: getattr(points, name) for name in PointBlock.model_fields}
    return PointBlock(**columns | {"orientation": orientation, "status": status})


def test_nearest_neighbour_by_brute_force_and_only_from_indexed_points() -> None:
    points = measured(1, 40)
    made = nearest_neighbour_map(points, SHAPE)
    good = points.select(points.indexed)
    for pixel in np.argwhere(np.ones(SHAPE, np.bool_)):
        squared = ((good.position_px - pixel) ** 2).sum(axis=1)
        nearest = good.orientation[squared == squared.min()]
        assert (made[tuple(pixel)] == nearest).all(axis=1).any()


def test_nothing_indexed_is_told() -> None:
    points = measured(2, 5)
    columns = {name: getattr(points, name) for name in PointBlock.model_fields}
    bad = PointBlock(**columns | {"status": np.full(5, PointStatus.NOT_INDEXED, np.uint8)})
    with pytest.raises(BadInput, match="None of the measured points is indexed"):
        nearest_neighbour_map(bad, SHAPE)


def truth() -> OrientationMap:
    orientation = np.zeros((*SHAPE, 4), np.float32)
    orientation[..., 0] = 1
    phase_id = np.ones(SHAPE, np.uint8)
    phase_id[0] = 0
    ones = np.ones(SHAPE, np.float32)
    return OrientationMap(orientation, phase_id, ones, ones, 0.5, (MapPhase(1, "Ti", "6/mmm"),))


def test_errors_are_over_indexed_pixels_with_hexagonal_symmetry() -> None:
    estimate = np.array(truth().orientation)
    estimate[0] = quaternion_from_axis_angle([1.0, 0, 0], np.radians(30))  # not indexed in the truth
    estimate[1] = quaternion_from_axis_angle([0, 0, 1.0], np.radians(60))  # the same crystal
    estimate[2] = quaternion_from_axis_angle([0, 0, 1.0], np.radians(10))
    errors = score(estimate, truth())
    assert errors.error_over_5deg == pytest.approx(1 / 16)
    assert errors.error_mean_deg == pytest.approx(10 / 16, abs=1e-3)
    error = error_map_deg(estimate, truth())
    assert np.isnan(error[0]).all()
    assert error[1].max() < 1e-3
    assert error[2] == pytest.approx(10, abs=1e-3)


def test_a_grid_that_measured_the_truth_is_perfect() -> None:
    pixels = np.argwhere(np.ones(SHAPE, np.bool_)).astype(np.int32)[::7]
    request = ScanRequest(batch=0, point_id=np.arange(len(pixels)), position_px=pixels, dwell_s=0.1)
    baseline = grid_baseline(block_of(request, 0.0), truth())
    assert baseline.points == len(pixels)
    assert baseline.score.error_over_5deg == 0
    assert baseline.score.boundary_f1 == 1


def test_what_became_of_light_is_told_in_figures() -> None:
    light = LightDiagnostics(
        used=True,
        explained_variance=0.83,
        distrusted_share=0.012,
        registration_px=3.04,
        registration_residual_px=0.117,
        notes=("The frame is confirmed.",),
    )
    told, note = light_lines(light)
    assert all(figure in told for figure in ("3.0 px", "0.12 px", "83%", "1.2%"))
    assert note == "The frame is confirmed."


def test_why_light_is_not_used_is_told() -> None:
    assert light_lines(LightDiagnostics(used=False, notes=("No camera.",))) == ("No camera.",)
    assert light_lines(LightDiagnostics(used=False)) == ("PL took no part.",)
