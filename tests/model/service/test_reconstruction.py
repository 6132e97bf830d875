"""Answers of the model service keep the shapes, shares and exclusions that they promise."""

from dataclasses import replace

import numpy as np
import pytest

from grainloop.instrument_sim import specimens
from grainloop.instrument_sim.driver import SimulatedInstrument
from grainloop.instrument_sim.presets import MAP_QUEUE
from grainloop.model.crystal import disorientation_deg, to_euler_frame
from grainloop.model.reconstruct import never, no_report
from grainloop.model.service.reconstruction import reconstruct
from grainloop.model.service.sections import prepare
from grainloop.protocols.errors import BadInput, Cancelled
from grainloop.protocols.messages import ProposalRequest, ScanRequest
from grainloop.protocols.shapes import ScanShape, decode_pieces
from grainloop.protocols.values import FramePreset, LightImages, LightKind, PointBlock
from tests.model.reconstruct.problems import grid_pixels
from tests.model.service.runs import BETA, asking, block, opening, section

ANGLES = tuple(float(a) for a in range(0, 180, 10))


def solve(opened, request):
    return reconstruct(prepare(opened), request, no_report, never)


def wrong(found, truth, group="6/mmm"):
    return float(np.mean(disorientation_deg(found.orientation, truth, group) > 5))


def test_the_answer_has_the_shapes_and_the_share_it_promises():
    truth, points = section()
    found = solve(opening(), asking(points, propose=30, method="nn"))
    assert found.orientation.shape == (24, 24, 4)
    assert found.method == "nn"
    assert found.predicted_wrong == pytest.approx(float(found.p_wrong.mean()))
    assert set(np.unique(found.phase_id)) == {1}
    assert len(found.proposals.gain) == 30
    assert found.light_features is None
    assert not found.light.used
    assert found.light.notes == ("There is no PL of this section.",)
    assert wrong(found, truth) < 0.4


def test_the_same_request_gets_the_same_answer():
    _, points = section()
    first, second = (solve(opening(), asking(points, propose=20, seed=5)) for _ in range(2))
    assert first.model_copy(update={"seconds": 0.0}) == second.model_copy(update={"seconds": 0.0})


def test_measured_and_excluded_pixels_are_not_proposed():
    _, points = section()
    excluded = np.argwhere(np.indices((24, 24))[0] < 20).astype(np.int32)
    request = asking(points).model_copy(update={"propose": ProposalRequest(count=500, excluded_px=excluded)})
    found = solve(opening(), request)
    pixels = {tuple(p) for p in found.proposals.position_px.tolist()}
    assert pixels
    assert not pixels & {tuple(p) for p in points.position_px.tolist()}
    assert min(r for r, _ in pixels) >= 20


@pytest.mark.parametrize("policy", ["spread", "grid"])
def test_an_instrument_of_a_map_queue_is_proposed_shapes(policy):
    _, points = section()
    means = MAP_QUEUE.means(0.5)
    asked = ProposalRequest(count=400, policy=policy, excluded_px=np.empty((0, 2), np.int32), means=means, budget_s=90)
    found = solve(opening(), asking(points).model_copy(update={"propose": asked})).proposals
    pieces = decode_pieces(found.pieces, len(found.position_px))
    assert pieces
    assert {piece.shape for piece in pieces} <= {ScanShape.LINES, ScanShape.RECTANGLES}
    assert 0 < len(found.gain) <= 400


@pytest.mark.parametrize("frame", [f for f in FramePreset if f is not FramePreset.IDENTITY])
def test_the_frame_changes_nothing_without_light(frame):
    truth, points = section()
    turned = points.model_copy(update={"orientation": to_euler_frame(points.orientation, frame)})
    here, there = solve(opening(), asking(points)), solve(opening(frame=frame), asking(turned))
    assert disorientation_deg(to_euler_frame(here.orientation, frame), there.orientation, "6/mmm").max() < 0.01
    assert there.p_wrong == pytest.approx(here.p_wrong, abs=1e-4)
    assert wrong(there, to_euler_frame(truth, frame)) == wrong(here, truth)


@pytest.mark.parametrize("points", [PointBlock.empty(), block([(1, 1), (5, 5)], [[1, 0, 0, 0]] * 2, indexed=False)])
def test_without_an_indexed_point_nothing_is_claimed_and_points_are_still_proposed(points):
    found = solve(opening(), asking(points, propose=10))
    assert np.all(found.phase_id == 0)
    assert found.predicted_wrong == 1
    assert len(found.proposals.gain) == 10
    assert "No measured point is indexed" in found.degraded[0]


def test_what_does_not_belong_to_the_section_is_refused():
    q = [[1, 0, 0, 0]]
    for points, words in (
        (block([(24, 0)], q), "off the 24×24 grid"),
        (block([(0, 0)], [[np.nan, 0, 0, 0]]), "norm nan"),
        (block([(0, 0)], q, phase=9), "phase 9"),
    ):
        with pytest.raises(BadInput, match=words):
            solve(opening(), asking(points))


def test_unknown_names_are_answered_with_the_known_ones():
    _, points = section()
    with pytest.raises(BadInput, match=r"no method 'magic'; known are .*pl_candidates"):
        solve(opening(), asking(points, method="magic"))
    request = asking(points).model_copy(
        update={"propose": ProposalRequest(count=1, policy="guess", excluded_px=np.empty((0, 2), np.int32))}
    )
    with pytest.raises(BadInput, match="no policy 'guess'; known are spread"):
        solve(opening(), request)


def test_excluded_pixels_off_the_grid_are_refused():
    _, points = section()
    request = asking(points).model_copy(
        update={"propose": ProposalRequest(count=1, excluded_px=np.array([[0, 99]], np.int32))}
    )
    with pytest.raises(BadInput, match=r"\(0, 99\) is off"):
        solve(opening(), request)


def test_cancelling_is_noticed_between_the_stages():
    _, points = section()
    stages = []
    with pytest.raises(Cancelled, match="before the stage 'proposals'"):
        reconstruct(prepare(opening()), asking(points), lambda _, stage: stages.append(stage), lambda: "map" in stages)
    assert stages[:2] == ["registration", "phases"]


def test_progress_runs_from_start_to_end_over_two_phases():
    _, points = two_phases()
    fractions = []
    reconstruct(prepare(opening(phases=two_phases()[0])), asking(points), lambda f, _: fractions.append(f), never)
    assert fractions == sorted(fractions)
    assert fractions[0] == 0
    assert 0.85 < fractions[-1] < 1


def two_phases():
    """α on the left, β on the right of column 12, each one grain."""
    position = grid_pixels((24, 24), 0.1)
    left = position[:, 1] < 12
    turn = np.radians(15)
    orientation = np.where(left[:, None], [1, 0, 0, 0], [np.cos(turn), 0, np.sin(turn), 0])
    return (opening().phases[0], BETA), block(position, orientation, phase=np.where(left, 1, 2))


def test_each_phase_lies_where_its_points_lie():
    phases, points = two_phases()
    found = solve(opening(phases=phases), asking(points))
    columns = np.arange(24)
    assert np.all(found.phase_id[:, columns < 10] == 1)
    assert np.all(found.phase_id[:, columns > 13] == 2)
    assert np.all(found.orientation[:, columns < 10] == points.orientation[0])
    boundary = np.argwhere(np.diff(found.phase_id.astype(int), axis=1))
    assert np.all(found.boundary[tuple(boundary.T)] == 1)
    assert set(np.unique(found.grain[:, 0])).isdisjoint(np.unique(found.grain[:, -1]))
    middle, edge = found.p_wrong[:, 11:13].mean(), found.p_wrong[:, :3].mean()
    assert middle > 2 * edge


@pytest.fixture(scope="module")
def twins():
    instrument = SimulatedInstrument(specimens.load("mg-twins"), seed=4)
    caps = instrument.capabilities
    position = grid_pixels(caps.grid.shape_px, 0.04).astype(np.int32)
    request = ScanRequest(batch=0, point_id=np.arange(len(position)), position_px=position, dwell_s=0.02)
    points = PointBlock.concatenate(list(instrument.scan(request)))
    light = LightImages(
        kind=LightKind.ROTATION_STACK,
        angles_deg=ANGLES,
        images=instrument.light(0, ANGLES),
        pixel_um=caps.light.pixel_um,
    )
    opened = opening(shape=caps.grid.shape_px, light=light).model_copy(
        update={"grid": caps.grid, "phases": caps.phases}
    )
    return instrument.sections[0].truth, opened, points


def test_light_is_registered_used_and_diagnosed(twins):
    truth, opened, points = twins
    section_ = prepare(opened)
    found = reconstruct(section_, asking(points, want_light=True), no_report, never)
    blind = solve(opened.model_copy(update={"light": None}), asking(points))
    assert found.light.used
    assert 0.5 < found.light.explained_variance <= 1
    assert found.light.registration_px == pytest.approx(3, abs=0.6)
    assert found.light.registration_residual_px < 0.4
    assert found.light_features.shape == (5, *truth.shape_px)
    assert found.degraded == ()
    inside = truth.indexed
    seen, unseen = (
        np.mean(disorientation_deg(f.orientation, truth.orientation, "6/mmm")[inside] > 5) for f in (found, blind)
    )
    assert seen < 0.6 * unseen
    again = reconstruct(section_, asking(points), no_report, never)
    assert again.light.registration_px == pytest.approx(found.light.registration_px, abs=0.2)


def test_light_of_another_specimen_is_left_out_and_said(twins):
    truth, opened, points = twins
    mirrored = opened.light.model_copy(update={"images": opened.light.images[:, ::-1, ::-1].copy()})
    found = solve(opened.model_copy(update={"light": mirrored}), asking(points))
    blind = solve(opened.model_copy(update={"light": None}), asking(points))
    assert not found.light.used
    assert found.degraded
    assert wrong(found, truth.orientation) <= 1.05 * wrong(blind, truth.orientation)


@pytest.mark.parametrize(("times", "recovers"), [(1.5, False), (2.5, True)])
def test_a_wrong_registration_is_searched_again_when_the_points_have_doubled(twins, times, recovers):
    _, opened, points = twins
    one = prepare(opened)
    request = asking(points, method="nn")
    reconstruct(one, request, no_report, never)
    right = one.alignment.warp
    astray = np.zeros_like(right.coefficients)
    astray[:, 0] = 9.0
    one.alignment = replace(one.alignment, warp=right.moved(astray))
    one.searched_with = int(points.indexed.sum() / times)
    reconstruct(one, request, no_report, never)
    off = float(np.linalg.norm((one.alignment.warp.coefficients - right.coefficients)[:, 0]))
    assert (off < 0.3) if recovers else (off > 2)
