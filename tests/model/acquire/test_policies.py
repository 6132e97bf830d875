import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.acquire import POLICIES, Scene
from protocols.messages import REASON_CODES, ProposalReason, Proposals
from tests.model.acquire.scenes import adjacent_share, posterior_of, random_scene, real_scene

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


@pytest.mark.parametrize("name", ["spread", "grid"])
@pytest.mark.parametrize("seed", range(4))
def test_picks_of_a_batch_are_not_adjacent(name, seed):
    found = ask(name, real_scene(seed=seed), 120, seed)
    assert adjacent_share(found.position_px) <= 0.05


def test_best_points_come_first():
    found = ask("spread", real_scene(), 80)
    assert np.all(np.diff(found.gain) <= 1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_reasons_are_those_of_the_protocol(name):
    found = ask(name, real_scene(), 60)
    reasons = {REASON_CODES[code] for code in found.reason}
    allowed = {
        "grid": {ProposalReason.SPACE_FILLING},
        "random": {ProposalReason.EXPLORATION},
        "spread": {
            ProposalReason.EXPLORATION,
            ProposalReason.NEVER_HIT_GRAIN,
            ProposalReason.BOUNDARY,
            ProposalReason.UNCERTAIN,
        },
    }
    assert reasons <= allowed[name]
    assert isinstance(found, Proposals)


@pytest.mark.parametrize("share", [0.0, 0.2, 1.0])
def test_the_exploration_share_is_kept(share):
    scene = real_scene(exploration_share=share)
    explored = [
        np.mean([REASON_CODES[c] is ProposalReason.EXPLORATION for c in ask("spread", scene, 100, s).reason])
        for s in range(8)
    ]
    assert np.mean(explored) == pytest.approx(share, abs=0.06)


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
