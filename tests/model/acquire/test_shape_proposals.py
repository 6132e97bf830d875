"""Shapes as a message: complete, best first, with gains that add up."""

import numpy as np
import pytest

from grainloop.instrument_sim.presets import EXTERNAL_CONTROL, MAP_QUEUE
from grainloop.model.acquire.shape_proposals import asks_for_shapes, shape_proposals
from grainloop.model.acquire.shaped import propose_shapes, stake_of
from grainloop.protocols.capabilities import ScanMeans
from grainloop.protocols.messages import REASON_CODES, ProposalReason
from grainloop.protocols.shapes import decode_pieces, parts
from tests.model.acquire.scenes import real_scene

MEANS = MAP_QUEUE.means(0.2)


def test_the_message_holds_what_was_chosen():
    scene = real_scene()
    found = shape_proposals(scene, MEANS, 5000, 90.0, True)
    chosen = propose_shapes(stake_of(scene), MEANS, 90.0, 5000)
    pieces = decode_pieces(found.pieces, len(found.position_px))
    assert pieces == [one.piece for one in chosen]
    assert len(chosen) > 1
    for (_, where), one in zip(parts(pieces), chosen, strict=True):
        assert np.array_equal(found.position_px[where], one.position_px)
        assert found.gain[where].sum() == pytest.approx(one.gain, rel=1e-3)
    assert {REASON_CODES[code] for code in found.reason} <= {
        ProposalReason.NEVER_HIT_GRAIN,
        ProposalReason.BOUNDARY,
        ProposalReason.UNCERTAIN,
    }


@pytest.mark.parametrize("count", [64, 200])
def test_points_are_limited_too(count):
    assert 0 < len(shape_proposals(real_scene(), MEANS, count, None, True).position_px) <= count


def test_nothing_affordable_is_an_empty_message():
    found = shape_proposals(real_scene(), MEANS, 1000, 0.1, True)
    assert len(found.position_px) == len(found.gain) == len(found.reason) == 0
    assert found.pieces.shape == (0, 10)


def test_without_a_look_at_the_posterior_the_section_is_filled_evenly():
    scene = real_scene()
    scene.posterior.p_wrong[:, 30:] = 0
    shares = []
    for looks in (True, False):
        position = shape_proposals(scene, EXTERNAL_CONTROL.means(0.1), 200, None, looks).position_px
        shares.append(np.mean(position[:, 1] >= 30))
    assert shares[0] < 0.2
    assert 0.4 < shares[1] < 0.6


def test_only_instruments_with_shapes_are_asked_for_shapes():
    assert asks_for_shapes(MEANS)
    assert not asks_for_shapes(ScanMeans(dwell_s=0.1))
    assert not asks_for_shapes(None)
