"""Alignment end to end on PL of the simulator's exact optics: accuracy, verdicts, fall-backs, refusals."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from benchmarks.light_scenes import make_scene, section
from grainloop.evaluate.sections.scenes import Setting
from grainloop.evaluate.sections.scenes import make_scene as small_scene
from grainloop.instrument_sim.camera import LightNuisances
from grainloop.instrument_sim.warp import similarity
from grainloop.model.crystal import disorientation_deg, random_quaternions
from grainloop.model.light import (
    LightFeatures,
    UnfitPoints,
    Warp,
    align,
    align_targets,
    features_from_rgb,
    fit_affine,
    predict_light,
)
from grainloop.model.light.warp import BILINEAR
from tests.grainloop.small_maps import chessboard

scene = cache(make_scene)


@cache
def aligned(name, seed, share, layout):
    return scene(name, seed, share, layout).align()


@pytest.mark.parametrize(
    ("name", "share", "layout", "aim_px"),
    [("ti64", 0.01, "grid", 0.4), ("ti64", 0.06, "grid", 0.25), ("mg-twins", 0.06, "random", 0.25)],
)
def test_registration_reaches_its_aim(name, share, layout, aim_px):
    found = aligned(name, 0, share, layout)
    assert found.usable
    assert scene(name, 0, share, layout).error_px(found) < aim_px


def test_a_large_offset_is_captured():
    warp = similarity(section("mg-twins").truth.shape_px, (14.0, -14.0), 5.0, 1.03)
    far = make_scene("mg-twins", 1, 0.06, "grid", LightNuisances(), warp=warp)
    assert far.camera.warp.rms_px > 15
    assert far.error_px(far.align()) < 0.4


def test_homologous_points_start_it_where_the_coarse_stage_would_have_to_search():
    warp = similarity(section("mg-twins").truth.shape_px, (40.0, 30.0), 12.0, 1.0)
    far = make_scene("mg-twins", 1, 0.06, "grid", LightNuisances(), warp=warp)
    places = np.array([[20.0, 30.0], [110.0, 20.0], [60.0, 140.0], [100.0, 120.0]])
    picked = far.camera.warp(places) + np.random.default_rng(2).normal(scale=1.0, size=places.shape)
    start = fit_affine(places, picked, Warp.nominal(far.shape, far.features.shape_px, 1.0))
    assert far.error_px(far.align(start)) < 0.4


def test_a_warm_start_holds_the_accuracy_without_the_coarse_stage():
    seen = scene("ti64", 0, 0.06, "grid")
    found = aligned("ti64", 0, 0.06, "grid")
    again = seen.align(found)
    assert seen.error_px(again) < 0.25
    assert again.moved_px == pytest.approx(found.moved_px, abs=0.1)


def test_the_estimate_of_its_own_error_is_of_the_right_size():
    ratio = [
        scene(*one).error_px(aligned(*one)) / aligned(*one).residual_px
        for one in [("ti64", 0, 0.01, "grid"), ("ti64", 0, 0.06, "grid"), ("mg-twins", 0, 0.06, "random")]
    ]
    assert 0.2 < np.median(ratio) < 2


def test_registered_pl_is_the_prediction_with_the_noise_it_states():
    seen, found = scene("ti64", 0, 0.06, "grid"), aligned("ti64", 0, 0.06, "grid")
    wrong = found.registered - np.moveaxis(predict_light(seen.orientation), -1, 0)
    trusted = np.isfinite(found.sigma) & (found.sigma < 2 * np.median(found.sigma))
    for k in np.flatnonzero(found.channel_sigma < 1):
        typical = 1.4826 * np.nanmedian(np.abs(wrong[k][trusted]))
        assert typical == pytest.approx(found.channel_sigma[k], rel=0.15)
    assert found.sigma_of_channels().shape == found.registered.shape
    assert found.explained_variance > 0.5


def test_dust_is_distrusted_where_points_meet_it():
    nuisances = LightNuisances(dust=0.05, misregistration_px=0.0)
    dirty = make_scene("ti64", 3, 0.25, "grid", nuisances)
    found = dirty.align()
    rows, columns = dirty.points_px.T
    under = dirty.camera.opacity[rows, columns] > 0.5
    level = np.median(found.sigma)
    assert np.mean(found.sigma[rows, columns][under] > 1.3 * level) > 3 * np.mean(
        found.sigma[rows, columns][~under] > 1.3 * level
    )


def test_four_angles_serve_too_and_the_harmonic_they_lack_is_marked_unseen():
    short = make_scene("ti64", 4, 0.06, "grid", angles_deg=(0.0, 20.0, 45.0, 70.0))
    found = short.align()
    assert short.features.names == ("m", "C4", "S4")
    assert found.usable
    assert short.error_px(found) < 0.5


def test_pl_beyond_the_image_has_no_value_and_infinite_noise():
    warp = similarity(section("ti64").truth.shape_px, (15.0, 0.0), 0.0, 1.0)
    found = make_scene("ti64", 5, 0.06, "grid", warp=warp).align()
    assert np.isnan(found.registered[:, -10:]).all()
    assert np.isinf(found.sigma[-10:]).all()
    assert np.isfinite(found.sigma[:180]).all()


def declined(found, reason):
    assert not found.usable
    assert np.isinf(found.sigma).all()
    assert np.isnan(found.registered).all()
    assert found.distrusted_share == 1
    assert reason in found.notes[0]


def test_pl_of_another_section_is_declined():
    wrong = make_scene("ti64", 6, 0.06, "grid", light_of=turned_over("ti64"))
    declined(wrong.align(), "it explains only")


def turned_over(name):
    """The section seen with its rows and columns reversed: the same texture, other places."""
    original = section(name)
    return replace(original, grains=replace(original.grains, orientation=original.grains.orientation[::-1, ::-1]))


def test_an_image_of_noise_is_declined():
    seen = scene("ti64", 0, 0.06, "grid")
    noise = np.random.default_rng(7).normal(size=seen.features.values.shape).astype(np.float32)
    features = LightFeatures(noise, seen.features.names, seen.features.residual)
    declined(replace(seen, features=features).align(), "it explains only")


@pytest.mark.parametrize(
    ("values", "reason"),
    [(np.full((5, 40, 40), 7.0), "constant"), (np.full((5, 40, 40), np.nan), "no number")],
)
def test_an_image_without_content_is_declined(values, reason):
    seen = scene("ti64", 0, 0.06, "grid")
    features = LightFeatures(values.astype(np.float32), seen.features.names, seen.features.residual)
    declined(replace(seen, features=features).align(), reason)


@pytest.mark.parametrize("n", [0, 1, 7, 23])
def test_too_few_points_are_declined(n):
    seen = scene("ti64", 0, 0.06, "grid")
    few = replace(seen, points_px=seen.points_px[:n], quaternions=seen.quaternions[:n])
    declined(few.align(), f"{n} indexed points are too few")


def test_as_few_points_as_are_accepted_end_in_a_verdict():
    seen = scene("ti64", 0, 0.06, "grid")
    chosen = np.random.default_rng(8).choice(len(seen.points_px), 24, replace=False)
    found = replace(seen, points_px=seen.points_px[chosen], quaternions=seen.quaternions[chosen]).align()
    assert found.usable or "PL is not used" in found.notes[0]


def test_points_of_one_orientation_are_declined():
    seen = scene("ti64", 0, 0.06, "grid")
    same = np.tile(seen.quaternions[:1], (len(seen.quaternions), 1))
    declined(replace(seen, quaternions=same).align(), "all points predict the same PL")


@pytest.mark.parametrize("fault", [np.nan, 0.0, 2.0])
def test_orientations_that_are_no_unit_quaternions_are_refused(fault):
    seen = scene("ti64", 0, 0.06, "grid")
    broken = seen.quaternions.copy()
    broken[5] = fault * broken[5]
    with pytest.raises(UnfitPoints, match="unit length"):
        replace(seen, quaternions=broken).align()


def test_points_outside_the_grid_or_without_partner_are_refused():
    features = features_from_rgb(np.random.default_rng(9).random((3, 20, 20)))
    q = random_quaternions(30, np.random.default_rng(10))
    points = np.argwhere(np.ones((20, 20)))[:30]
    options = {"pixel_um": 1.0, "step_um": 1.0}
    with pytest.raises(UnfitPoints, match=r"\[25, 3\] lies outside"):
        align(features, np.vstack([points[:-1], [[25, 3]]]), q, (20, 20), **options)
    with pytest.raises(UnfitPoints, match="do not fit points"):
        align(features, points[:-1], q, (20, 20), **options)
    with pytest.raises(UnfitPoints, match="no number"):
        align_targets(features, points, np.full((30, 2), np.inf), (20, 20), scale=1.0)


def test_the_frame_is_applied_before_the_prediction():
    seen = scene("ti64", 0, 0.06, "grid")

    def there(q):
        return q * np.array([1.0, -1, -1, 1])

    turned = there(seen.quaternions)
    assert np.median(disorientation_deg(turned, seen.quaternions, "6/mmm")) > 5
    found = replace(seen, quaternions=turned).align(frame=there)
    assert seen.error_px(found) == pytest.approx(seen.error_px(aligned("ti64", 0, 0.06, "grid")), abs=0.02)


def test_a_smooth_distortion_is_followed_by_a_smooth_field_and_none_is_added_without_need():
    seen = scene("ti64", 0, 0.06, "grid")
    assert aligned("ti64", 0, 0.06, "grid").warp.coefficients.shape[1] == BILINEAR
    bent = seen.bent(1.5)
    found = bent.align()
    assert found.warp.coefficients.shape[1] > BILINEAR
    assert bent.error_px(found) < 0.5
    assert bent.error_px(replace(found, warp=found.warp.with_basis(BILINEAR))) > 0.9


@pytest.mark.parametrize("seed", range(3))
def test_few_points_are_not_explained_by_shrinking_the_map(seed):
    """30 points of a small map: a map that shrinks to a spot of one colour would leave no residual."""
    few = small_scene(chessboard(), Setting(share=0.01, seed=seed))
    assert len(few.points) == 30
    assert few.given.aligned.alignment.warp.stretch < 0.201


def test_a_turn_is_no_stretch_and_a_size_is():
    nominal = Warp.nominal((60, 90), (60, 90), 1.0)
    corners = np.array([[0.0, 0.0], [0.0, 89.0], [59.0, 0.0], [59.0, 89.0]])
    middle, angle = np.array([29.5, 44.5]), np.radians(8)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    for scale, stretch in ((1.0, 0.0), (1.25, 0.25), (0.8, 0.25)):
        moved = middle + scale * (corners - middle) @ turn.T
        assert fit_affine(corners, moved, nominal).stretch == pytest.approx(stretch, abs=1e-6)
