"""Registration by regions: labels, and a warp recovered where no regression on the target could hold."""

import numpy as np
import pytest

from grainloop.instrument_sim.warp import misregistration, similarity
from grainloop.model.light import UnfitPoints, Warp, label_regions, match_regions, mutual_information_warp
from grainloop.model.light.warp import grid_positions
from grainloop.model.microstructure import RECIPES, make_specimen

SHAPE = (150, 150)
NOMINAL = Warp.nominal(SHAPE, SHAPE, 1.0)


def test_labels_follow_steps_larger_than_the_tolerance():
    values = np.array([[0.0, 0.4, 5, 5], [0, 0.8, 5, 9], [0, 0, 5, 5]])
    assert label_regions(values, 0.5, 2).tolist() == [[0, 0, 1, 1], [0, 0, 1, -1], [0, 0, 1, 1]]
    assert label_regions(values, 10, 2).max() == 0
    assert (label_regions(values, 0.5, 99) == -1).all()


@pytest.fixture(scope="module")
def regions():
    """Grains of a synthetic section."""
    label = make_specimen(np.random.default_rng(3), SHAPE, RECIPES["equiaxed"]).label
    return np.unique(label, return_inverse=True)[1].reshape(SHAPE)


def coloured(regions, true, seed):
    """(3, h, w) image in which every region has a colour of its own, and the (n, 3) colours."""
    rng = np.random.default_rng(seed)
    colours = rng.normal(size=(regions.max() + 1, 3))
    at = np.clip(np.rint(true.inverse(grid_positions(SHAPE))).astype(int), 0, SHAPE[0] - 1)
    image = colours[regions[at[:, 0], at[:, 1]]].T.reshape(3, *SHAPE)
    return (image + rng.normal(scale=0.3, size=image.shape)).astype(np.float32), colours


def error_px(warp, true):
    wrong = warp(grid_positions(SHAPE)) - true(grid_positions(SHAPE))
    return np.sqrt(np.mean(np.sum(wrong**2, axis=1)))


@pytest.mark.parametrize("seed", [1, 2])
def test_regions_of_unknown_colour_register_the_image(regions, seed):
    true = misregistration(np.random.default_rng(seed), SHAPE, 3.0)
    match = match_regions(coloured(regions, true, seed)[0], regions, NOMINAL)
    assert error_px(match.warp, true) < 0.5
    assert np.median(np.hypot(*match.left_px.T)) < 0.5


def test_mutual_information_finds_an_offset_through_a_relation_it_does_not_know(regions):
    true = similarity(SHAPE, (9.0, -7.0), 3.0, 1.02)
    image, colours = coloured(regions, true, 4)
    found = mutual_information_warp(np.exp(colours[:, 0])[regions], image[0], NOMINAL)
    assert error_px(found, true) < 1.0


def test_one_region_matches_nothing_and_is_refused(regions):
    image = coloured(regions, similarity(SHAPE, (0.0, 0.0), 0.0, 1.0), 5)[0]
    with pytest.raises(UnfitPoints, match="windows"):
        match_regions(image, np.zeros(SHAPE, np.intp), NOMINAL)
