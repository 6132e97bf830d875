"""Every policy keeps what all promise: no pixel twice, none excluded."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import KDTree

from grainloop.model.acquire import POLICIES, Scene, Spread, fills_evenly
from grainloop.model.acquire.scene import repeat_chance
from grainloop.model.acquire.valued import both_sides
from grainloop.protocols.messages import REASON_CODES, ProposalReason, Proposals
from tests.model.acquire.scenes import adjacent_share, posterior_of, random_scene, real_scene
from tests.model.service.runs import block

NAMES = list(POLICIES)


def ask(name, scene, count, seed=0):
    return POLICIES[name](scene, count, np.random.default_rng(seed))


@pytest.mark.parametrize("name", NAMES)
@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(1, 200),
    barred=st.sampled_from([0.0, 0.3, 0.95, 1.0]),
    exploration=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
)
@settings(max_examples=25, deadline=None)
def test_no_pixel_twice_none_taken_none_excluded_and_as_many_as_asked(name, seed, count, barred, exploration):
    scene = random_scene((11, 14), seed, barred=barred, exploration_share=exploration)
    found = ask(name, scene, count, seed)
    flat = found.position_px[:, 0] * 14 + found.position_px[:, 1]
    assert len(np.unique(flat)) == len(flat)
    assert np.all(scene.free[tuple(found.position_px.T)])
    assert len(flat) == min(count, int(scene.free.sum()))
    assert len(found.gain) == len(found.reason) == len(flat)
    assert np.all(found.gain >= 0)
    assert found.policy == name


@pytest.mark.parametrize("name", NAMES)
def test_the_same_generator_gives_the_same_points(name):
    scene = real_scene()
    assert ask(name, scene, 50, seed=7) == ask(name, scene, 50, seed=7)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "random"])
@pytest.mark.parametrize("seed", range(3))
def test_picks_of_a_batch_are_not_adjacent(name, seed):
    found = ask(name, real_scene(seed=seed, lit=seed == 2), 120, seed)
    small_regions_too = name == "segments"  # three points each
    assert adjacent_share(found.position_px) <= (0.15 if small_regions_too else 0.05)


@pytest.mark.parametrize("name", ["spread", "lookahead", "entropy", "boundary"])
def test_best_points_come_first(name):
    found = ask(name, real_scene(), 80)
    assert np.all(np.diff(found.gain) <= 1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_reasons_are_those_of_the_protocol(name):
    found = ask(name, real_scene(), 60)
    reasons = {REASON_CODES[code] for code in found.reason}
    by_doubt = {ProposalReason.NEVER_HIT_GRAIN, ProposalReason.BOUNDARY, ProposalReason.UNCERTAIN}
    allowed = {
        "grid": {ProposalReason.SPACE_FILLING},
        "bluenoise": {ProposalReason.SPACE_FILLING},
        "random": {ProposalReason.EXPLORATION},
    }
    assert reasons <= allowed.get(name, by_doubt | {ProposalReason.EXPLORATION})
    assert isinstance(found, Proposals)


@pytest.mark.parametrize("share", [0.0, 0.2, 1.0])
def test_the_exploration_share_is_kept(share):
    scene = real_scene(exploration_share=share)
    explored = [
        np.mean([REASON_CODES[c] is ProposalReason.EXPLORATION for c in ask("spread", scene, 100, s).reason])
        for s in range(8)
    ]
    assert np.mean(explored) == pytest.approx(share, abs=0.06)


@pytest.mark.parametrize("name", ["spread", "lookahead", "entropy"])
def test_policies_of_doubt_go_where_it_is(name):
    scene = real_scene(grains=20, lit=True, exploration_share=0.0)
    doubt = [float(scene.doubt[tuple(ask(one, scene, 40).position_px.T)].mean()) for one in (name, "random")]
    assert doubt[0] > 2 * doubt[1]


def test_boundary_points_lie_at_boundaries():
    scene = real_scene(grains=20, lit=True, exploration_share=0.0)
    near = both_sides(scene.posterior.boundary)
    at_boundary = [float(near[tuple(ask(one, scene, 40).position_px.T)].mean()) for one in ("boundary", "random")]
    assert at_boundary[0] > 2 * at_boundary[1]


def test_blue_noise_keeps_its_distance_and_random_points_do_not():
    scene = random_scene((40, 40), 1, taken=0, barred=0)
    near = [
        KDTree(ask(name, scene, 60).position_px).query(ask(name, scene, 60).position_px, k=2)[0][:, 1].min()
        for name in ("bluenoise", "random")
    ]
    assert near[0] > 2.5 > near[1]


def failing_scene(again):
    """A point failed where all is wrong; `again` says whether it may be measured once more."""
    p_wrong = np.full((9, 9), 0.01)
    p_wrong[4, 4] = 0.6
    failed = np.zeros((9, 9), bool)
    failed[4, 4] = True
    others = np.zeros((9, 9), bool)
    others[::4, ::4] = True
    return Scene(posterior_of(p_wrong), others | failed, np.zeros((9, 9), bool), 0.0, failed, None, {}, None, again)


@pytest.mark.parametrize("name", ["spread", "lookahead", "entropy", "boundary"])
def test_a_failed_point_is_asked_for_again_only_where_it_may_be(name):
    mask = np.zeros((9, 9), bool)
    mask[4, 4] = True
    allowed, forbidden = (ask(name, failing_scene(again), 60).position_px.tolist() for again in (mask, None))
    assert [4, 4] in allowed
    assert [4, 4] not in forbidden


def test_a_repeat_counts_for_less_where_repeats_have_failed():
    q = np.tile([1.0, 0, 0, 0], (6, 1)).astype(np.float32)
    pixels = [(0, 0), (0, 0), (3, 3), (3, 3), (5, 5), (7, 7)]
    indexed = np.array([False, True, False, False, True, False])
    points = block(pixels, q).model_copy(update={"status": np.where(indexed, 1, 2).astype(np.uint8)})
    assert repeat_chance(points) == pytest.approx((1 + 1) / (2 + 2))
    assert repeat_chance(None) == 0.5
    scene = replace(failing_scene(None), points=points)
    assert scene.chance[4, 4] == 0.5
    assert scene.chance[1, 1] == 1


def test_a_spot_where_all_is_wrong_is_asked_for_first():
    p_wrong = np.full((30, 30), 0.01)
    p_wrong[20:25, 5:10] = 1
    scene = Scene(posterior_of(p_wrong), np.zeros((30, 30), bool), np.zeros((30, 30), bool), 0.0)
    first = ask("spread", scene, 1).position_px[0]
    assert 20 <= first[0] < 25
    assert 5 <= first[1] < 10


def test_points_are_not_spent_where_nothing_indexes():
    """A pore on the right half: its measured points failed, and P(wrong) is high all over it."""
    measured_px = np.zeros((40, 40), bool)
    measured_px[2::5, 2::5] = True
    failed = measured_px.copy()
    failed[:, :20] = False
    p_wrong = np.full((40, 40), 0.3)
    p_wrong[:, 20:] = 0.9
    blind = Scene(posterior_of(p_wrong), measured_px, np.zeros((40, 40), bool), 0.0)
    aware = Scene(blind.posterior, measured_px, blind.excluded, 0.0, failed)
    in_pore = [float(np.mean(ask("spread", scene, 60).position_px[:, 1] >= 22)) for scene in (blind, aware)]
    assert in_pore[0] > 0.8
    assert in_pore[1] < 0.2


def test_a_lone_failure_hardly_counts():
    measured_px = np.zeros((40, 40), bool)
    measured_px[2::5, 2::5] = True
    failed = np.zeros((40, 40), bool)
    failed[22, 22] = True
    scene = Scene(posterior_of(np.ones((40, 40))), measured_px, np.zeros((40, 40), bool), 0.0, failed)
    assert scene.indexable.min() > 0.75
    assert scene.indexable[:10, :10].min() > 0.98


@pytest.mark.parametrize(("spacing", "window"), [(20, 6.0), (10, 2.22), (5, 0.75)])
def test_a_point_counts_for_grains_where_points_are_few_and_for_pixels_where_they_are_many(spacing, window):
    scene = random_scene((120, 120), 0, taken=0)
    scene.measured[::spacing, ::spacing] = True
    assert Spread().window_px(scene) == pytest.approx(window, rel=0.01)


@pytest.mark.parametrize("name", NAMES)
def test_policies_that_say_that_they_fill_evenly_ask_for_the_same_whatever_the_posterior_is(name):
    first, second = real_scene(seed=0), real_scene(seed=1)
    assert np.array_equal(first.free, second.free)
    asked = [POLICIES[name](scene, 60, np.random.default_rng(5)).position_px.tolist() for scene in (first, second)]
    assert fills_evenly(POLICIES[name]) == (asked[0] == asked[1])
