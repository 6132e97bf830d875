"""Scenes: every nuisance reaches the instrument, and what methods are given is what the model service would give."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from grainloop.evaluate.methods import method_named
from grainloop.evaluate.sections.given import give, solve
from grainloop.evaluate.sections.scenes import Layout, Setting, draw_points, make_scene, of_another_section, of_noise
from grainloop.instrument_sim.camera import LightNuisances
from grainloop.instrument_sim.optics import MAGNESIUM
from grainloop.model.maps import OrientationMap
from grainloop.model.reconstruct import never, no_report
from grainloop.model.service.reconstruction import reconstruct
from grainloop.model.service.sections import prepare
from grainloop.protocols.errors import BadInput
from grainloop.protocols.messages import ReconstructRequest
from grainloop.protocols.values import LightKind
from tests.grainloop.small_maps import chessboard, two_phases

CLEAN = Setting().with_instrument(nuisances=LightNuisances.none())


def images(setting: Setting, specimen: OrientationMap | None = None) -> np.ndarray[Any, np.dtype[np.float32]]:
    light = make_scene(specimen or chessboard(), setting).light
    assert light is not None
    return light.images


@pytest.mark.parametrize(
    "nuisance",
    [
        {"noise": 0.3},
        {"read_noise": 0.1},
        {"blur_px": 2.0},
        {"shading": 0.5},
        {"dust": 0.1},
        {"misregistration_px": 4.0},
        {"exposure": 0.3},
        {"bits": 3},
    ],
)
def test_every_nuisance_of_the_camera_changes_the_images_and_nothing_else(nuisance: dict[str, Any]) -> None:
    changed = CLEAN.with_light(**nuisance)
    assert np.abs(images(changed) - images(CLEAN)).max() > 0.01
    assert replace(changed, instrument=CLEAN.instrument) == CLEAN
    assert images(changed).shape == (18, 48, 60)


@pytest.mark.parametrize(
    "field", [{"analyser_offset_deg": 4.0}, {"permittivity": (MAGNESIUM.ordinary, MAGNESIUM.axial)}]
)
def test_optics_change_the_images(field: dict[str, Any]) -> None:
    assert np.abs(images(CLEAN.with_instrument(**field)) - images(CLEAN)).max() > 0.01


def test_permittivity_is_that_of_uniaxial_phases_only() -> None:
    nickel = replace(chessboard(), phases=(replace(chessboard().phases[0], laue_group="m-3m"),))
    other = CLEAN.with_instrument(permittivity=(MAGNESIUM.ordinary, MAGNESIUM.axial))
    np.testing.assert_array_equal(images(other, nickel), images(CLEAN, nickel))


def test_rgb_ratio_and_no_camera() -> None:
    rgb = make_scene(chessboard(), Setting().with_instrument(light_kind=LightKind.RGB)).light
    assert rgb is not None
    assert (rgb.kind, rgb.angles_deg, rgb.images.shape) == (LightKind.RGB, (), (3, 48, 60))
    assert images(Setting().with_light(ratio=1.5)).shape == (18, 72, 90)
    assert make_scene(chessboard(), Setting().with_instrument(light_kind=None)).light is None


def test_seeds_vary_light_but_not_exact_points() -> None:
    scenes = [make_scene(chessboard(), Setting(seed=seed)) for seed in (0, 0, 1)]
    first, again, other = (scene.light for scene in scenes)
    assert first == again
    assert first != other
    for scene in scenes[1:]:
        np.testing.assert_array_equal(scene.points.position_px, scenes[0].points.position_px)
        np.testing.assert_array_equal(scene.points.orientation, scenes[0].points.orientation)


def test_errors_of_the_detector() -> None:
    lost = make_scene(chessboard(), Setting(share=1).with_detector(lost_share=0.3))
    assert lost.points.indexed.mean() == pytest.approx(0.7, abs=0.03)
    with pytest.raises(ValueError, match="lost_share"):
        Setting().with_detector(lost_share=3)


def test_layouts() -> None:
    grid, random = (draw_points((48, 60), 0.25, layout, 3) for layout in Layout)
    assert set(np.diff(np.unique(grid[:, 0])).tolist()) == {2}
    assert len(random) == len(np.unique(random, axis=0)) == 720
    assert (draw_points((48, 60), 0.25, Layout.RANDOM, 4) != random).any()
    with pytest.raises(BadInput, match="The share 0 cannot be measured"):
        draw_points((48, 60), 0, Layout.GRID, 0)


def test_light_of_another_map_is_taken_of_that_map() -> None:
    other = chessboard(3, 3, 17, seed=4)
    mixed, right = make_scene(chessboard(), Setting(), lit=other), make_scene(chessboard(), Setting())
    assert mixed.light == make_scene(other, Setting()).light
    assert mixed.light != right.light
    np.testing.assert_array_equal(mixed.points.orientation, right.points.orientation)
    assert mixed.given.section.features is not None
    assert mixed.given.section.features.shape_px == (51, 51)


@pytest.mark.parametrize("specimen", [chessboard(), two_phases()], ids=["one phase", "two phases"])
@pytest.mark.parametrize("frame", ["identity", "edax-2"])
def test_it_is_what_the_model_service_answers(specimen: OrientationMap, frame: str) -> None:
    scene = make_scene(replace(specimen, frame=frame), Setting(share=0.1, seed=1))
    section = prepare(scene.declaration())
    request = ReconstructRequest(section_key="scene", points=scene.points, method="pl_candidates", seed=1)
    answer = reconstruct(section, request, no_report, never)
    reply = solve(give(prepare(scene.declaration()), scene.points, 1), method_named("pl_candidates"), seed=1).reply
    assert answer.light.used
    assert reply == answer.model_copy(update={"seconds": reply.seconds})


def test_changed_light_is_as_plausible_and_says_nothing() -> None:
    given = make_scene(chessboard(), Setting(share=0.1)).given
    light = given.problems[1].light
    assert light is not None
    turned = of_another_section(light).features
    np.testing.assert_array_equal(turned[:, ::-1, ::-1], light.features)
    noise = of_noise(light, 1).features
    np.testing.assert_allclose(noise.mean(axis=(1, 2)), np.nanmean(light.features, axis=(1, 2)), atol=0.05)
    np.testing.assert_allclose(noise.std(axis=(1, 2)), np.nanstd(light.features, axis=(1, 2)), rtol=0.1)
    assert (of_noise(light, 2).features != noise).any()
    with_light, without = given, given.with_light(lambda _: None)
    used = [solve(one, method_named("pl_candidates")).reply for one in (with_light, without)]
    assert [reply.light.used for reply in used] == [True, False]
    assert "PL was taken away. EBSD alone is used." in used[1].degraded
    assert given.problems[1].light is light
