"""From a posterior to proposals: evidence, repeats, and what policies of other packages must not do."""

import numpy as np
import pytest

from grainloop.instrument_sim.presets import MAP_QUEUE
from grainloop.model.acquire import POLICIES
from grainloop.model.acquire.scene import proposals
from grainloop.model.reconstruct import never, no_report
from grainloop.model.service import proposing
from grainloop.model.service.reconstruction import reconstruct
from grainloop.model.service.sections import prepare
from grainloop.protocols.errors import BadInput
from grainloop.protocols.messages import REASON_CODES, ProposalReason, ProposalRequest
from grainloop.protocols.values import PointBlock
from tests.model.service.runs import ALPHA, BETA, asking, block, opening, section

NOTHING = np.empty((0, 2), np.int32)


def proposed(points, opened=None, **fields):
    asked = ProposalRequest(**{"count": 20, "excluded_px": NOTHING, "exploration_share": 0.0} | fields)
    request = asking(points).model_copy(update={"propose": asked})
    return reconstruct(prepare(opened or opening()), request, no_report, never).proposals


@pytest.mark.parametrize("policy", list(POLICIES))
def test_every_policy_tells_its_evidence(policy):
    _, points = section()
    found = proposed(points, policy=policy)
    assert found.policy == policy
    assert len(found.position_px) == len(found.competing) == len(found.misorientation_deg) == len(found.p_wrong) == 20
    assert np.all((found.p_wrong >= 0) & (found.p_wrong <= 1))
    assert np.all(found.gain >= 0)
    assert np.any(found.competing > 1)


def test_the_evidence_of_a_section_of_two_phases_is_that_of_its_phases():
    _, points = section(share=0.1)
    phase = np.where(points.position_px[:, 1] < 12, 1, 2).astype(np.uint8)
    points = points.model_copy(update={"phase_id": phase})
    found = proposed(points, opening(phases=(ALPHA, BETA)), count=100)
    left = found.position_px[:, 1] < 8
    several = found.competing > 1
    assert np.all(found.misorientation_deg[left & several] <= 93.9)  # the largest angle of 6/mmm
    assert np.all(found.misorientation_deg[(found.position_px[:, 1] > 15) & several] <= 62.9)  # and of m-3m


def failing():
    _, points = section(share=0.1)
    status = points.status.copy()
    status[10] = 2
    failed = points.model_copy(
        update={"status": status, "phase_id": np.where(status == 1, points.phase_id, 0).astype(np.uint8)}
    )
    return failed, points.position_px[10]


def test_a_failed_point_is_proposed_again_where_that_is_allowed():
    points, place = failing()
    often = {"count": 576, "policy": "spread"}
    again = proposed(points, repeatable_px=place[None], **often)
    once = proposed(points, **often)
    where = np.flatnonzero((again.position_px == place).all(axis=1))
    assert len(where) == 1
    assert REASON_CODES[again.reason[where[0]]] is ProposalReason.RETRY
    assert not (once.position_px == place).all(axis=1).any()
    assert all(REASON_CODES[code] is not ProposalReason.RETRY for code in once.reason)


def test_only_failed_points_are_proposed_again():
    points, place = failing()
    found = proposed(points, repeatable_px=points.position_px, count=576, policy="spread")
    taken = {tuple(one) for one in points.position_px.tolist()}
    assert {tuple(one) for one in found.position_px.tolist()} & taken == {tuple(place)}


def test_a_point_that_was_indexed_at_the_second_try_is_not_proposed_again():
    points, place = failing()
    second = block([place], [[1, 0, 0, 0]])
    both = PointBlock.concatenate([points, second])
    found = proposed(both, repeatable_px=place[None], count=400, policy="spread")
    assert not (found.position_px == place).all(axis=1).any()


def test_repeatable_pixels_off_the_grid_are_refused():
    _, points = section()
    with pytest.raises(BadInput, match=r"\(0, 99\) is off"):
        proposed(points, repeatable_px=np.array([[0, 99]], np.int32))


def test_what_a_policy_must_not_ask_for_is_left_out(monkeypatch):
    _, points = section()

    class Careless:
        name = "careless"

        def __call__(self, scene, count, rng):
            taken = np.argwhere(scene.measured)[:3]
            position = np.concatenate([taken, [[-1, 0], [0, 99], [3, 4], [3, 4], [5, 6]], np.argwhere(scene.free)[50:]])
            return proposals(self.name, position, np.ones(len(position)), np.zeros(len(position)))

    monkeypatch.setitem(POLICIES, "careless", Careless())
    found = proposed(points, policy="careless", count=5)
    assert found.position_px.tolist()[:2] == [[3, 4], [5, 6]]
    assert len(found.position_px) == len(found.gain) == 5


def test_why_a_policy_of_a_package_cannot_be_used_is_told(monkeypatch):
    fault = "The policy 'lost' of the package other (a:b) cannot be loaded: ImportError: gone."
    monkeypatch.setattr(proposing, "POLICY_FAULTS", (fault, "The policy 'x' is another."))
    with pytest.raises(
        BadInput, match=r"There is no policy 'lost'; known are spread, .*\. The policy 'lost' of .*gone\."
    ):
        proposing.policy_named("lost")
    assert proposing.policy_named(None) == next(iter(POLICIES))


@pytest.mark.parametrize("evenly", [True, False])
def test_a_policy_of_a_package_says_itself_whether_shapes_fill_the_section_evenly(monkeypatch, evenly):
    """In the place of points; the policies that ship say so by the same word."""
    _, points = section()

    class Mine:
        name = "mine"
        fills_evenly = evenly

        def __call__(self, scene, count, rng):
            raise AssertionError("it is asked for no points")

    monkeypatch.setitem(POLICIES, "mine", Mine())
    looked = []
    monkeypatch.setattr(proposing, "shape_proposals", lambda *_, looks_at_posterior: looked.append(looks_at_posterior))
    asked = ProposalRequest(count=20, excluded_px=NOTHING, means=MAP_QUEUE.means(0.1))
    request = asking(points).model_copy(update={"propose": asked.model_copy(update={"policy": "mine"})})
    reconstruct(prepare(opening()), request, no_report, never)
    assert looked == [not evenly]
