"""Lookahead against enumeration of what a measurement can show, and its gain against what points put right."""

from dataclasses import replace

import numpy as np
import pytest

from grainloop.model.acquire import Lookahead
from grainloop.model.acquire import _lookahead_kernels as kernels
from grainloop.model.acquire.lookahead import bond_lengths_px, influence, predicted_gain
from grainloop.model.crystal import disorientation_deg
from grainloop.model.reconstruct import METHODS, Options, Problem, never, no_report
from tests.model.acquire.scenes import posterior_of, random_scene, real_scene
from tests.model.reconstruct.problems import measured, voronoi


def draw(rng, known):
    weight = rng.dirichlet(np.full(known + 1, 0.6), size=(1, 2)).astype(np.float32)
    grain = np.stack([rng.permutation(6)[:known] for _ in range(2)])[None].astype(np.int32)
    return weight, grain


def by_enumeration(weight, grain, bond):
    """Share of the doubt at pixel 1 that measuring pixel 0 removes, over all pairs of outcomes."""
    known, free = grain.shape[-1], -1
    here, there = (
        {**dict(zip(grain[0, x], weight[0, x, :known], strict=True)), free: weight[0, x, known]} for x in (0, 1)
    )
    names = sorted(set(here) | set(there))
    p, q = (np.array([one.get(name, 0.0) for name in names], float) for one in (there, here))
    both = np.diag(np.minimum(p, q))
    more, less = np.maximum(p - q, 0), np.maximum(q - p, 0)
    coupled = both + (np.outer(more, less) / more.sum() if more.sum() > 0 else 0)
    shown = [names.index(name) for name in grain[0, 1]]
    right = 0.0
    for b, name in enumerate(names):
        joint = bond * coupled[:, b] + (1 - bond) * p * q[b]
        options = [joint[a] for a in shown]
        if name == free:
            options.append(bond * coupled[b, b])  # the new grain that the measurement showed
        right += max(options)
    before = weight[0, 1, :known].max()
    return (right - before) / (1 - before)


@pytest.mark.parametrize("seed", range(40))
def test_the_gain_is_that_of_enumeration(seed):
    rng = np.random.default_rng(seed)
    weight, grain = draw(rng, known=3)
    length = np.full((1, 2), rng.uniform(0.5, 6), np.float32)
    windows = np.zeros((1, 3, 3), np.float32)
    kernels.influence(weight, grain, length, np.array([[0, 0]]), windows)
    expected = by_enumeration(weight, grain, np.exp(-1 / length[0, 0]))
    assert windows[0, 1, 1] == 1
    assert windows[0, 1, 2] == pytest.approx(np.clip(expected, 0, 1), abs=2e-4)


def of_the_first(weight):
    """Windows of the first of two pixels with one candidate, the same for both."""
    windows = np.zeros((1, 3, 3), np.float32)
    grain, length = np.zeros((1, 2, 1), np.int32), np.full((1, 2), 2, np.float32)
    kernels.influence(weight, grain, length, np.array([[0, 0]]), windows)
    return windows


def test_a_measurement_of_a_grain_never_hit_tells_all_of_it():
    """Two pixels that surely belong to new grains: they are right afterwards as often as they belong together."""
    weight = np.array([[[0.0, 1.0], [0.0, 1.0]]], np.float32)
    windows = np.zeros((1, 3, 3), np.float32)
    kernels.influence(
        weight, np.zeros((1, 2, 1), np.int32), np.full((1, 2), 2, np.float32), np.array([[0, 0]]), windows
    )
    assert windows[0, 1, 2] == pytest.approx(np.exp(-0.5), abs=1e-5)


def test_pixels_that_are_certain_tell_nothing():
    weight = np.array([[[1.0, 0.0], [0.5, 0.5]]], np.float32)
    windows = np.zeros((1, 3, 3), np.float32)
    kernels.influence(
        weight, np.zeros((1, 2, 1), np.int32), np.full((1, 2), 2, np.float32), np.array([[0, 0]]), windows
    )
    assert windows[0, 1, 2] == 0


def test_bonds_are_shorter_where_points_lie_closer():
    taken = np.zeros((60, 60), bool)
    taken[::8, ::8] = True
    taken[:, 30:] |= np.indices((60, 30)).sum(axis=0) % 3 == 0
    length = bond_lengths_px(taken, 100.0)
    assert length[:, :15].mean() > 2 * length[:, 45:].mean()
    assert bond_lengths_px(taken, 2.0).max() <= 2


def test_without_candidates_there_is_no_forecast():
    scene = random_scene((8, 8), 0)
    assert predicted_gain(scene, np.array([[1, 1]])) is None
    with pytest.raises(ValueError, match="does not say which grains compete"):
        influence(scene, np.array([[1, 1]]))


def test_picks_one_after_the_other_share_the_doubt():
    scene = real_scene(exploration_share=0.0)
    at = np.argwhere(scene.free)
    gain = predicted_gain(scene, at)
    assert gain.min() >= 0
    assert gain.sum() <= scene.doubt.sum() * 1.001
    alone = np.array([predicted_gain(scene, at[i : i + 1])[0] for i in (0, 100, 500)])
    assert np.all(alone >= gain[[0, 100, 500]] - 1e-5)


def test_the_forecast_is_what_points_put_right_on_average():
    """Two lone points added to each of many sections: what all of them put right, beside the sum of the forecasts."""
    made = [put_right(grains, share, seed) for grains in (12, 25, 45) for share in (0.02, 0.06) for seed in range(20)]
    true, told = np.sum(made, axis=0)
    print(f"put right: {true:.0f}, told: {told:.0f}")  # noqa: T201
    assert 0.5 < told / true < 2


def put_right(grains, share, seed, shape=(50, 50)):
    """Pixels that two points, drawn where doubt is, put right, and the forecast."""
    scene, (truth, _) = real_scene(shape, grains, share, seed), voronoi(shape, grains, seed)
    chance = scene.doubt.ravel() / scene.doubt.sum()
    first = np.array(divmod(int(np.random.default_rng(seed).choice(truth[..., 0].size, p=chance)), shape[1]))
    lone = np.stack([first, (first + 25) % 50])
    lone = lone[scene.free[tuple(lone.T)]]
    task = Problem(shape, "6/mmm", measured(truth, np.concatenate([scene.points.position_px, lone])))
    after = METHODS["pl_candidates"](task, Options(), no_report, never)
    before, now = (disorientation_deg(one.orientation, truth, "6/mmm") < 5 for one in (scene.posterior, after))
    return int(now.sum() - before.sum()), float(predicted_gain(scene, lone).sum())


def test_a_posterior_without_candidates_is_still_good_for_lookahead():
    p_wrong = np.full((20, 20), 0.01)
    p_wrong[5, 5] = 0.9
    scene = random_scene((20, 20), 0, taken=0, barred=0)
    found = Lookahead()(replace(scene, posterior=posterior_of(p_wrong)), 1, np.random.default_rng(0))
    assert found.position_px.tolist() == [[5, 5]]
