"""The share of wrong pixels of a section: corrections whose truth is drawn from a known law."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit

from grainloop.model.estimate.share import (
    FADE,
    MOST_LOST,
    Checked,
    Circumstances,
    Line,
    ShareCorrection,
    ShareError,
    lost_share,
    read_share_correction,
)
from grainloop.model.estimate.share_lessons import learn, lesson

HASH = "0" * 64
TRUE = ShareCorrection(Line((-0.5, -0.2, 0.4, 1.0, 0.3), 1.3), Line((-1.0, 0.0, 0.0, 0.5, 1.5), 1.1))


def drawn(rng, pixels=20_000):
    """A lesson whose pixels are wrong as `TRUE` says."""
    here = Circumstances(
        float(np.exp(rng.uniform(-4, -1))), bool(rng.random() < 0.5), rng.normal(0, 0.3), rng.uniform(0, MOST_LOST)
    )
    measured = rng.random(pixels) < here.share
    claimed = expit(rng.normal(-3, 1.5, pixels)).astype(np.float32)
    return lesson(claimed, rng.random(pixels) < TRUE(claimed, measured, here), measured, here)


def expected(correction, one):
    levels = np.linspace(logit(1e-5), -logit(1e-5), len(one.inferred))
    p_wrong = expit(levels)
    return sum(
        float((doubt * line(p_wrong, one.here)).sum())
        for line, doubt in ((correction.inferred, one.inferred), (correction.measured, one.measured))
    )


@pytest.fixture(scope="module")
def learnt():
    rng = np.random.default_rng(1)
    return learn([drawn(rng) for _ in range(150)])


def test_the_share_expected_of_new_sections_is_true(learnt):
    rng = np.random.default_rng(2)
    new = [drawn(rng) for _ in range(60)]
    true = [one.inferred_wrong + one.measured_wrong for one in new]
    told = [[expected(own, one) for one in new] for own in (ShareCorrection(), learnt)]
    before, after = np.log(np.array(told) / true)
    assert abs(after.mean()) < 0.05
    assert after.std() < 0.1
    assert np.abs(before).mean() > 4 * np.abs(after).mean()


def test_learning_needs_lessons():
    with pytest.raises(ValueError, match="needs lessons"):
        learn([])


@given(st.lists(st.floats(0, 1, width=32), min_size=1, max_size=40), st.integers(0, 2**32 - 1))
def test_probabilities_stay_such_and_keep_their_rank(p_wrong, seed):
    doubt = np.sort(np.array(p_wrong, np.float32))[None]
    measured = np.random.default_rng(seed).random(doubt.shape) < 0.5
    found = TRUE(doubt, measured, Circumstances(0.1, light_used=True, surprise=0.4, lost=0.05))
    assert np.all((found >= 0) & (found <= 1))
    assert np.all(np.diff(found[measured]) >= 0)
    assert np.all(np.diff(found[~measured]) >= 0)


def test_without_a_correction_nothing_changes():
    doubt = np.linspace(0.001, 0.999, 50, dtype=np.float32)[None]
    same = ShareCorrection()(doubt, doubt > 0.5, Circumstances(0.2, light_used=False, surprise=0.3))
    assert same == pytest.approx(doubt, abs=1e-6)


def test_a_section_that_surprises_is_wrong_more_often():
    doubt, nowhere = np.full((4, 4), 0.1, np.float32), np.zeros((4, 4), bool)
    usual = Circumstances(0.1, light_used=True)
    assert TRUE(doubt, nowhere, replace(usual, surprise=0.5)).mean() > TRUE(doubt, nowhere, usual).mean()


def test_checks_add_up_and_fade():
    assert Checked().surprise == 0
    once = Checked().then(10, 20)
    assert once.surprise == pytest.approx(np.log(30 / 20))
    assert Checked().then(10, 20).then(5, 0) == Checked(10 * FADE + 5, 20 * FADE)


def test_lost_points_count_where_those_around_are_indexed():
    position = np.argwhere(np.ones((10, 10))).astype(np.int32)
    lone, pore = np.ones(100, bool), np.ones(100, bool)
    lone[[22, 55, 71]] = False
    pore.reshape(10, 10)[2:8, 2:8] = False
    assert lost_share(position, lone) == pytest.approx(0.03)
    assert lost_share(position, pore) <= 0.04  # its corners at most
    assert lost_share(position, np.ones(100, bool)) == 0
    assert lost_share(position, np.zeros(100, bool)) == 0
    assert lost_share(position[:1], np.zeros(1, bool)) == 0
    assert lost_share(position, np.arange(100) % 3 > 0) == MOST_LOST


def test_it_is_read_as_it_was_written(learnt):
    assert read_share_correction(learnt.to_json(HASH), HASH) == learnt


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("", ""), "other weights"),
        (('"scheme": 1', '"scheme": 7'), "scheme 7"),
        (('"slope": 1.3', '"slope": NaN'), "finite"),
        (("-0.5,", ""), "5 finite shifts"),
        (("inferred", "other"), "inferred"),
    ],
)
def test_what_cannot_be_used_is_refused(change, words):
    text = TRUE.to_json(HASH).replace(*change) if change[0] else TRUE.to_json("1" * 64)
    with pytest.raises(ShareError, match=words):
        read_share_correction(text, HASH)
