"""What goes to a method and what comes back: the prior and the frame, denoised maps, samples, and what is left out."""

from functools import partial

import numpy as np
import pytest

from grainloop.model.crystal import multiply, to_euler_frame
from grainloop.model.reconstruct import never, no_report
from grainloop.model.service.methods import methods
from grainloop.model.service.reconstruction import reconstruct
from grainloop.model.service.sections import prepare
from grainloop.protocols.messages import PriorMap
from grainloop.protocols.values import FramePreset, Grid
from tests.model.service.fakes import Spy
from tests.model.service.runs import ALPHA, BETA, asking, block, opening, section

FRAME = FramePreset.EDAX_1
TURN = np.array([np.cos(0.3), 0, 0, np.sin(0.3)], np.float32)


@pytest.fixture
def spy(monkeypatch):
    method = Spy()
    monkeypatch.setitem(methods(), "spy", method)
    return method


def solve(opened, points, **fields):
    return reconstruct(prepare(opened), asking(points, method="spy", **fields), no_report, never)


def prior(orientation, phase_id, spacing_um=3.0):
    return PriorMap(orientation=orientation.astype(np.float32), phase_id=phase_id, spacing_um=spacing_um)


def two_phases():
    """Points of α on the left and β on the right."""
    position = np.argwhere(np.ones((6, 6))) * 4 + 1
    return block(position, np.tile([1.0, 0, 0, 0], (36, 1)), phase=np.where(position[:, 1] < 12, 1, 2))


def test_the_prior_comes_in_the_map_frame_and_in_steps_of_the_grid(spy):
    truth, points = section()
    phase_id = np.zeros((24, 24), np.uint8)
    phase_id[:10] = 1
    told = to_euler_frame(truth, FRAME)
    told[10:] = np.nan
    opened = opening(frame=FRAME).model_copy(update={"grid": Grid(shape_px=(24, 24), step_um=0.5)})
    solve(opened, points, prior=prior(told, phase_id))
    given = spy.problems[0].prior
    assert given.spacing_px == 6
    assert np.array_equal(given.known, phase_id == 1)
    assert given.orientation[:10] == pytest.approx(truth[:10], abs=1e-6)
    assert np.isfinite(given.orientation).all()
    assert given.orientation.dtype == np.float32


def test_each_phase_is_given_its_own_part_of_the_prior(spy):
    phase_id = np.ones((24, 24), np.uint8)
    solve(opening(phases=(ALPHA, BETA)), two_phases(), prior=prior(np.tile(TURN, (24, 24, 1)), phase_id))
    alpha, beta = (problem.prior for problem in spy.problems)
    assert alpha.known.all()
    assert beta is None


def test_a_prior_that_a_method_does_not_look_at_is_told(spy):
    truth, points = section()
    ask = partial(solve, opening(), points, prior=prior(truth, np.ones((24, 24), np.uint8)))
    told = "The prior section is not used: the method 'spy' does not look at it."
    assert told in ask().degraded
    spy.more["prior_used"] = lambda found: True
    assert not [note for note in ask().degraded if "prior" in note]
    spy.more = {"degraded": lambda found: ("The prior section is not used: for a reason.",)}
    assert ask().degraded == ("The prior section is not used: for a reason.",)


def test_a_prior_of_other_phases_is_told(spy):
    truth, points = section()
    found = solve(opening(phases=(ALPHA, BETA)), points, prior=prior(truth, np.full((24, 24), 2, np.uint8)))
    assert "The prior map is not used: it shows none of the phases that are measured here." in found.degraded


def test_without_a_prior_methods_are_given_none(spy):
    solve(opening(), section()[1], n_samples=5, steps=9, seed=4)
    assert spy.problems[0].prior is None
    options = spy.options[0]
    assert (options.members, options.steps, options.seed, options.denoised) == (5, 9, 4, False)
    solve(opening(), section()[1], want_denoised=True)
    assert spy.options[1].denoised


def test_denoised_maps_come_back_in_the_euler_frame_if_asked_for(spy):
    truth, points = section()
    spy.more["denoised"] = lambda found: multiply(TURN, found.orientation)
    spy.more["light"] = lambda found: np.full((5, 24, 24), 0.25, np.float32)
    points = points.model_copy(update={"orientation": to_euler_frame(points.orientation, FRAME)})
    ask = partial(solve, opening(frame=FRAME), points)
    plain, denoised = ask(), ask(want_denoised=True)
    assert (plain.denoised, plain.light_denoised) == (None, None)
    expected = to_euler_frame(multiply(TURN, truth), FRAME)
    pixel = tuple(points.position_px[0])
    assert denoised.denoised[pixel] == pytest.approx(expected[pixel], abs=1e-6)
    assert np.array_equal(denoised.orientation, plain.orientation)
    assert (denoised.light_denoised == np.float32(0.25)).all()
    assert denoised.degraded == plain.degraded


def test_what_a_method_cannot_do_is_said(spy):
    found = solve(opening(), section()[1], n_samples=3, want_denoised=True)
    assert "The method 'spy' drew 0 of 3 posterior samples." in found.degraded
    assert "The method 'spy' takes no noise out of the map." in found.degraded
    assert (found.samples, found.steps) == (0, None)
    assert solve(opening(), section()[1]).degraded == found.degraded[:-2]


def test_a_method_without_a_bound_claims_none(spy):
    spy.more["bound90_deg"] = lambda found: None
    assert (solve(opening(), section()[1]).bound90_deg == 180).all()


def test_of_several_phases_no_samples_are_drawn_and_light_belongs_to_one(spy):
    spy.more["light"] = lambda found: np.full((5, 24, 24), 0.25, np.float32) if len(spy.problems) == 1 else None
    spy.more["denoised"] = lambda found: found.orientation
    found = solve(opening(phases=(ALPHA, BETA)), two_phases(), n_samples=3, want_denoised=True)
    assert [options.members for options in spy.options] == [0, 0]
    assert found.samples == 0
    assert "Posterior samples are drawn of sections of one phase only: 0 of 3 posterior samples." in found.degraded
    assert np.array_equal(np.isfinite(found.light_denoised[0]), found.phase_id == 1)
    assert np.array_equal(found.denoised, found.orientation)
