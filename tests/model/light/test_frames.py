"""The frame check against PL of the simulator's exact optics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from grainloop.instrument_sim import SimulatedInstrument, specimens
from grainloop.instrument_sim.config import SimConfig
from grainloop.model.crystal import to_map_frame
from grainloop.model.crystal.errors import ShapeMismatch
from grainloop.model.crystal.frame_check import AmbiguousFrame, Refusal
from grainloop.model.light import check_light_frame, features_from_rgb, fit_stack, frame_note
from grainloop.model.light.warp import Warp
from grainloop.protocols.messages import ScanRequest
from grainloop.protocols.values import PointBlock

ANGLES = tuple(float(a) for a in range(0, 180, 20))


@dataclass(frozen=True)
class Scene:
    """PL features, where the points lie in PL, and the points."""

    features: Any
    warp: Any
    points_px: np.ndarray
    orientation: np.ndarray


@pytest.fixture(scope="module", params=["ti64", "mg-twins"])
def scene(request: pytest.FixtureRequest) -> Scene:
    instrument = SimulatedInstrument(specimens.load(request.param), SimConfig(), 3)
    shape = instrument.capabilities.grid.shape_px
    rows, columns = np.meshgrid(np.arange(3, shape[0], 6), np.arange(3, shape[1], 6), indexing="ij")
    position = np.stack([rows, columns], -1).reshape(-1, 2).astype(np.int32)
    asked = ScanRequest(batch=0, point_id=np.arange(len(position)), position_px=position, dwell_s=0.02)
    points = PointBlock.concatenate(list(instrument.scan(asked)))
    features = fit_stack(instrument.light(0, ANGLES), ANGLES)
    keep = points.indexed
    return Scene(features, instrument.cameras[0].warp, points.position_px[keep], points.orientation[keep])


def test_the_true_frame_agrees(scene: Scene) -> None:
    note = frame_note("identity", scene.features, scene.warp, scene.points_px, scene.orientation)
    assert note.startswith("PL agrees with the frame 'identity'")


@pytest.mark.parametrize("preset", ["edax-2", "edax-4", "oxford"])
def test_a_mirrored_frame_is_contradicted_and_the_true_one_named(scene: Scene, preset: str) -> None:
    wrong = to_map_frame(scene.orientation, preset)
    note = frame_note(preset, scene.features, scene.warp, scene.points_px, wrong)
    assert note.startswith(f"PL contradicts the frame '{preset}'")
    assert note.endswith("Presets that would agree: 'identity'.")


def test_the_sign_of_the_second_harmonic_settles_the_turn_by_90_deg(scene: Scene) -> None:
    best = {
        sign: check_light_frame(
            scene.features, scene.warp, scene.points_px, scene.orientation, second_harmonic_sign=sign
        ).best
        for sign in (1, -1)
    }
    assert {(frame.mirror, frame.turn_deg) for frame in best.values()} == {(False, 0.0), (False, 90.0)}


def test_light_of_elsewhere_decides_nothing(scene: Scene) -> None:
    shuffled = np.random.default_rng(1).permutation(len(scene.orientation))
    with pytest.raises(AmbiguousFrame) as refusal:
        check_light_frame(scene.features, scene.warp, scene.points_px, scene.orientation[shuffled])
    assert refusal.value.reason in (Refusal.UNEXPLAINED, Refusal.CLOSE)
    note = frame_note("oxford", scene.features, scene.warp, scene.points_px, scene.orientation[shuffled])
    assert note.startswith("PL neither confirms nor contradicts the frame 'oxford'")


def test_an_rgb_image_cannot_decide_a_frame() -> None:
    image = np.random.default_rng(2).random((3, 20, 20)).astype(np.float32)
    warp = Warp.nominal((20, 20), (20, 20), 1.0)
    with pytest.raises(ShapeMismatch, match="R, G, B"):
        check_light_frame(features_from_rgb(image), warp, np.zeros((1, 2), np.int32), np.eye(4, dtype=np.float32)[:1])
