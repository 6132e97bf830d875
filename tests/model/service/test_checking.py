"""Doubt checked by the next points, and the correction of an answer by it."""

import numpy as np
import pytest

from grainloop.model.estimate.share import Checked, Line, ShareCorrection
from grainloop.model.reconstruct import METHODS, never, no_report
from grainloop.model.service.reconstruction import reconstruct
from grainloop.model.service.sections import prepare
from grainloop.protocols.values import PointBlock
from tests.model.service.runs import ALPHA, BETA, asking, block, opening, section

HALVED = ShareCorrection(Line((-0.7, 0.0, 0.0, 1.0, 0.0)), Line((-9.0, 0.0, 0.0, 0.0, 0.0)))


class Weights:
    sha256 = "0" * 64
    share = HALVED


class Trained:
    """A classical method that has weights for one Laue group."""

    name = "trained"

    def weights(self, group):
        if group != "6/mmm":
            raise ValueError("no weights")
        return Weights()

    def __call__(self, *given):
        return METHODS["pl_candidates"](*given)


def answer(held, points, method=None, propose=0):
    return reconstruct(held, asking(points, propose=propose, method="pl_candidates"), no_report, never, method)


def in_two_parts(share=0.15):
    truth, points = section(share=share)
    even = np.arange(len(points)) % 2 == 0
    return truth, points, points.select(even), points.select(~even)


def test_new_points_check_the_answer_before_them():
    _, points, first, second = in_two_parts()
    held = prepare(opening())
    before = answer(held, first)
    assert held.checked == Checked()
    answer(held, points)
    at = tuple(second.position_px.T)
    shown = before.orientation[at] @ np.ones(4)  # grains of this section share no orientation
    true = second.orientation @ np.ones(4)
    assert held.checked.forecast == pytest.approx(float(before.p_wrong[at].sum()), rel=1e-5)
    assert held.checked.found == pytest.approx(np.sum(np.abs(np.abs(shown) - np.abs(true)) > 1e-3), abs=1)
    assert held.checked.found > 0


def test_the_same_points_and_lost_ones_check_nothing():
    _, _, first, second = in_two_parts()
    held = prepare(opening())
    answer(held, first)
    answer(held, first)
    lost = block(second.position_px, second.orientation, indexed=False)
    answer(held, PointBlock.concatenate([first, lost]))
    assert held.checked == Checked()


@pytest.mark.parametrize("change", ["method", "points"])
def test_another_method_and_other_points_begin_anew(change):
    _, points, first, second = in_two_parts()
    held = prepare(opening())
    answer(held, first)
    answer(held, points)
    assert held.checked != Checked()
    if change == "method":
        answer(held, points, METHODS["nn"])
    else:
        answer(held, second)
    assert held.checked == Checked()


def test_a_map_of_the_wrong_phase_was_wrong():
    _, _, first, second = in_two_parts()
    held = prepare(opening(phases=(ALPHA, BETA)))
    answer(held, first)
    other = second.model_copy(update={"phase_id": np.full(len(second), 2, np.uint8)})
    answer(held, PointBlock.concatenate([first, other]))
    assert held.checked.found == len(second)


def test_doubt_is_corrected_apart_for_measured_pixels_and_the_share_is_its_mean():
    _, points = section()
    plain, told = answer(prepare(opening()), points), answer(prepare(opening()), points, Trained())
    measured = np.zeros((24, 24), bool)
    measured[tuple(points.position_px.T)] = True
    assert told.p_wrong[measured].max() < 0.01
    assert told.p_wrong[~measured].sum() == pytest.approx(0.6 * plain.p_wrong[~measured].sum(), rel=0.2)
    assert told.predicted_wrong == pytest.approx(float(told.p_wrong.mean()))
    assert np.array_equal(told.orientation, plain.orientation)
    assert np.array_equal(told.bound90_deg, plain.bound90_deg)


def test_points_are_proposed_from_the_doubt_as_it_was_calibrated():
    _, points = section()
    plain, told = (answer(prepare(opening()), points, one, propose=20) for one in (METHODS["pl_candidates"], Trained()))
    assert told.proposals == plain.proposals


def test_a_section_that_surprises_is_told_to_be_wrong_more_often():
    _, _, first, _ = in_two_parts()
    shares = []
    for surprise in (Checked(), Checked(10, 40)):
        held = prepare(opening())
        answer(held, first, Trained())
        held.checked = surprise
        shares.append(answer(held, first, Trained()).predicted_wrong)
    assert shares[1] > 1.5 * shares[0]


def test_a_phase_without_a_correction_keeps_its_doubt():
    _, points = section(share=0.1)
    phase = np.where(points.position_px[:, 1] < 12, 1, 2).astype(np.uint8)
    points = points.model_copy(update={"phase_id": phase})
    plain, told = (answer(prepare(opening(phases=(ALPHA, BETA))), points, one) for one in (None, Trained()))
    beta = told.phase_id == 2
    assert np.array_equal(told.p_wrong[beta], plain.p_wrong[beta])
    assert told.p_wrong[~beta].sum() < 0.8 * plain.p_wrong[~beta].sum()


def test_where_nothing_is_indexed_nothing_is_corrected():
    _, points = section()
    failed = block(points.position_px, points.orientation, indexed=False)
    held = prepare(opening())
    assert answer(held, failed, Trained()).predicted_wrong == 1
    answer(held, PointBlock.concatenate([failed, block([(3, 4)], points.orientation[:1])]), Trained())
    assert held.checked == Checked()


def test_the_default_method_has_a_correction_for_each_group_of_its_weights():
    from grainloop.model.service.methods import default_method, methods, share_correction, shipped_weights

    groups = [group for group, _ in shipped_weights()]
    assert groups
    assert all(share_correction(methods()[default_method()], group) is not None for group in groups)
    assert share_correction(methods()["nn"], groups[0]) is None
    assert share_correction(methods()[default_method()], "-1") is None
