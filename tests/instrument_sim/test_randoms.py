"""Random numbers of places and exposures: independent, and what they say they are."""

import numpy as np
from scipy import stats

from grainloop.instrument_sim.randoms import keys, normals, uniforms

ROW, COL = (a.ravel() for a in np.mgrid[:200, :200])


def test_numbers_depend_on_seed_place_and_exposure_only():
    first = uniforms(keys(5, ROW, COL, 0 * ROW), 4)
    order = np.random.default_rng(0).permutation(len(ROW))
    np.testing.assert_array_equal(uniforms(keys(5, ROW[order], COL[order], 0 * ROW), 4), first[:, order])
    for other in (keys(6, ROW, COL, 0 * ROW), keys(5, ROW, COL, 0 * ROW + 1), keys(5, COL, ROW, 0 * ROW)):
        assert np.mean(np.abs(uniforms(other, 4) - first) < 1e-6) < 0.02


def test_uniform_and_normal_numbers_are_what_they_say():
    random = uniforms(keys(1, ROW, COL, 0 * ROW), 8)
    assert 0 < random.min() < random.max() < 1
    for row in random:
        assert stats.kstest(row, "uniform").pvalue > 1e-4
    gauss = normals(random)
    for row in gauss:
        assert stats.kstest(row, "norm").pvalue > 1e-4
    mixed = np.concatenate([random, gauss])
    assert np.abs(np.corrcoef(mixed[:8])[np.triu_indices(8, 1)]).max() < 0.025
    assert np.abs(np.corrcoef(mixed[8:])[np.triu_indices(8, 1)]).max() < 0.025


def test_neighbouring_places_are_independent():
    image = uniforms(keys(3, ROW, COL, 0 * ROW), 1)[0].reshape(200, 200)
    for shift in ((0, 1), (1, 0), (1, 1)):
        assert abs(np.corrcoef(image.ravel(), np.roll(image, shift, (0, 1)).ravel())[0, 1]) < 0.025
