"""What policies do where nothing is left, nothing is allowed, nothing is known or nothing is in doubt."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from grainloop.instrument_sim.presets import PRESETS
from grainloop.model.acquire import POLICIES, Scene, with_evidence
from grainloop.model.acquire.shape_proposals import shape_proposals
from grainloop.model.reconstruct import never, no_report
from grainloop.model.reconstruct.problem import nothing_known
from grainloop.model.service.reconstruction import reconstruct
from grainloop.model.service.sections import prepare
from grainloop.protocols.messages import ProposalRequest
from tests.model.acquire.scenes import posterior_of, real_scene
from tests.model.service.runs import asking, block, opening, section

ONE = (1, 1)
SHAPE = (30, 30)
EVERY = np.ones(SHAPE, np.bool_)


@cache
def usual(lit=False):
    return real_scene(SHAPE, 12, 0.05, lit=lit)


def nothing_left():
    return replace(usual(lit=True), measured=EVERY)


def all_forbidden():
    return replace(usual(lit=True), excluded=EVERY)


def five_left():
    return replace(usual(), excluded=np.cumsum(EVERY).reshape(EVERY.shape) > 5)


def no_doubt():
    """Every pixel belongs surely to the heaviest of its candidates."""
    scene = usual()
    found, zero = scene.posterior, np.zeros(EVERY.shape, np.float32)
    weight = np.zeros_like(found.candidates.weight)
    weight[..., 0] = 1
    sure = replace(found.candidates, weight=weight, free=zero)
    return replace(scene, posterior=replace(found, p_wrong=zero, boundary=zero, candidates=sure))


def none_indexed():
    scene = usual()
    failed = block(scene.points.position_px, scene.points.orientation, indexed=False)
    known = nothing_known(EVERY.shape)
    return replace(scene, posterior=known, points=failed, not_indexed=scene.measured)


def light_nowhere():
    scene = usual(lit=True)
    return replace(scene, light=np.full_like(scene.light, np.nan))


def one_pixel():
    return Scene(posterior_of(np.full(ONE, 0.5)), np.zeros(ONE, np.bool_), np.zeros(ONE, np.bool_))


def one_pixel_unknown():
    return replace(one_pixel(), posterior=nothing_known(ONE))


def one_pixel_taken():
    return replace(one_pixel(), measured=np.ones(ONE, np.bool_))


SCENES = (
    nothing_left,
    all_forbidden,
    five_left,
    no_doubt,
    none_indexed,
    light_nowhere,
    one_pixel,
    one_pixel_unknown,
    one_pixel_taken,
)


@pytest.mark.parametrize("make", SCENES)
@pytest.mark.parametrize("name", list(POLICIES))
def test_every_policy_asks_for_what_may_be_asked_for_and_no_more(name, make):
    scene = make()
    for count in (1, 50, 1000):
        found = POLICIES[name](scene, count, np.random.default_rng(0))
        told = with_evidence(scene, found)
        assert len(np.unique(found.position_px, axis=0)) == len(found.position_px) == min(count, int(scene.free.sum()))
        assert np.all(scene.free[tuple(found.position_px.T)])
        assert np.all(np.isfinite(told.gain) & (told.gain >= 0))
        assert len(told.gain) == len(told.reason) == len(told.p_wrong) == len(found.position_px)


@pytest.mark.parametrize("make", [scene for scene in SCENES if scene is not five_left])
@pytest.mark.parametrize("preset", list(PRESETS))
@pytest.mark.parametrize("looking", [True, False])
def test_shapes_expose_nothing_forbidden_and_nothing_where_nothing_is_to_be_won(make, preset, looking):
    scene = make()
    found = shape_proposals(scene, PRESETS[preset].means(0.1), 500, 200.0, looking)
    assert not np.any(scene.excluded[tuple(found.position_px.T)])
    assert np.all(np.isfinite(found.gain) & (found.gain > 0))
    if looking and make in (nothing_left, all_forbidden, no_doubt, one_pixel_taken):
        assert len(found.position_px) == 0


@pytest.mark.parametrize("policy", list(POLICIES))
@pytest.mark.parametrize("share", [0.0, 0.05, 1.0])
def test_the_service_proposes_where_no_point_is_indexed(policy, share):
    _, points = section()
    failed = block(points.position_px, points.orientation, indexed=False)
    asked = ProposalRequest(count=30, policy=policy, exploration_share=share, excluded_px=np.array([[1, 1]], np.int32))
    request = asking(failed).model_copy(update={"propose": asked})
    found = reconstruct(prepare(opening()), request, no_report, never)
    assert found.predicted_wrong == 1
    assert len(found.proposals.position_px) == 30
    assert not (found.proposals.position_px == 1).all(axis=1).any()


@pytest.mark.parametrize("policy", list(POLICIES))
def test_a_map_of_one_pixel_is_measured_and_then_nothing_is_left(policy):
    asked = ProposalRequest(count=3, policy=policy, excluded_px=np.empty((0, 2), np.int32))
    q = np.array([[1, 0, 0, 0]], np.float32)
    for points, left in ((block(np.empty((0, 2)), q[:0]), 1), (block([(0, 0)], q), 0)):
        request = asking(points).model_copy(update={"propose": asked})
        found = reconstruct(prepare(opening(ONE)), request, no_report, never)
        assert len(found.proposals.position_px) == left
