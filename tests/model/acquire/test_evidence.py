"""Which grains compete for a pixel, and what is told of every proposed point."""

from dataclasses import replace

import numpy as np
import pytest

from grainloop.model.acquire import POLICIES, with_evidence
from grainloop.model.acquire.rivals import find_rivals
from grainloop.model.acquire.scene import proposals
from grainloop.model.crystal import disorientation_deg
from grainloop.model.reconstruct import Candidates
from grainloop.protocols.messages import REASON_CODES, ProposalReason
from tests.model.acquire.scenes import posterior_of, random_scene, real_scene
from tests.model.service.runs import block

TURN = 1 / np.sqrt(2)
FLAT, TILTED, NEARLY = [1, 0, 0, 0], [TURN, TURN, 0, 0], [np.cos(0.02), 0, 0, np.sin(0.02)]


def candidates(point, weight):
    point, weight = np.array(point, np.int32)[None], np.array(weight, np.float32)[None]
    return Candidates(point, weight, (1 - weight.sum(-1)).astype(np.float32))


def test_candidates_of_one_orientation_are_one_rival():
    points = block([(0, 0), (0, 9), (9, 0)], np.array([FLAT, NEARLY, TILTED], np.float32))
    rivals = find_rivals(candidates([[0, 1, 2]], [[0.3, 0.2, 0.4]]), points, {1: "6/mmm"})
    assert rivals.weight[0, 0] == pytest.approx([0.5, 0, 0.4])
    assert rivals.point[0, 0].tolist() == [0, -1, 2]
    assert rivals.grain[0, 0, 0] != rivals.grain[0, 0, 2]
    assert rivals.free[0, 0] == pytest.approx(0.1)
    assert rivals.all_weights[0, 0].sum() == pytest.approx(1)


def test_phases_are_never_one_rival():
    points = block([(0, 0), (0, 9)], np.array([FLAT, FLAT], np.float32))
    points = points.model_copy(update={"phase_id": np.array([1, 2], np.uint8)})
    rivals = find_rivals(candidates([[0, 1]], [[0.5, 0.5]]), points, {1: "6/mmm", 2: "m-3m"})
    assert rivals.weight[0, 0].tolist() == [0.5, 0.5]


def test_the_rivals_of_a_section_keep_its_probabilities():
    scene = real_scene()
    rivals, given = scene.rivals, scene.posterior.candidates
    assert rivals.weight.sum(-1) == pytest.approx(given.weight.sum(-1), abs=1e-5)
    pairs = [(i, j) for i in range(4) for j in range(i)]
    for i, j in pairs:
        one, other = rivals.point[..., i], rivals.point[..., j]
        both = (one >= 0) & (other >= 0)
        q = scene.points.orientation
        assert np.all(disorientation_deg(q[one[both]], q[other[both]], "6/mmm") > 5)


def test_what_is_told_of_a_pixel_between_two_grains():
    points = block([(0, 0), (0, 3)], np.array([FLAT, TILTED], np.float32))
    found = candidates([[0, 1], [0, 1], [0, 1], [0, 1]], [[1, 0], [0.6, 0.4], [0.98, 0.02], [0, 1]])
    p_wrong = np.array([[0.0, 0.4, 0.02, 0.0]])
    scene = random_scene((1, 4), 0, taken=0, barred=0)
    scene = replace(scene, posterior=replace(posterior_of(p_wrong), candidates=found), points=points)
    scene = replace(scene, measured=np.array([[True, False, False, True]]), laue_groups={1: "6/mmm"})
    told = with_evidence(scene, proposals("mine", np.array([[0, 1], [0, 2]]), np.array([7, 7]), np.array([2, 2])))
    assert told.competing.tolist() == [2, 1]
    assert told.misorientation_deg[0] == pytest.approx(
        disorientation_deg(points.orientation[0], points.orientation[1], "6/mmm")
    )
    assert np.isnan(told.misorientation_deg[1])
    assert told.p_wrong == pytest.approx([0.4, 0.02])
    assert 0.4 <= told.gain[0] <= 0.42
    assert told.reason.tolist() == [2, 2]
    assert told.policy == "mine"


def test_a_pixel_that_was_measured_is_a_repeat_whatever_the_policy_says():
    scene = random_scene((5, 5), 0, taken=1.0)
    told = with_evidence(scene, proposals("mine", np.array([[2, 2]]), np.array([3.0]), np.array([1])))
    assert REASON_CODES[told.reason[0]] is ProposalReason.RETRY
    assert told.gain[0] == 3  # the policy's own: nothing says which grains compete
    assert told.competing is None


@pytest.mark.parametrize("name", list(POLICIES))
def test_every_policy_can_be_told_with_evidence(name):
    scene = real_scene(lit=True)
    found = POLICIES[name](scene, 30, np.random.default_rng(0))
    told = with_evidence(scene, found)
    assert np.array_equal(told.position_px, found.position_px)
    columns = (told.gain, told.reason, told.p_wrong, told.competing, told.misorientation_deg)
    assert {len(column) for column in columns} == {30}
    compete = told.competing > 1
    assert np.all(np.isfinite(told.misorientation_deg) == compete)
    assert np.all(told.misorientation_deg[compete] > 5)
