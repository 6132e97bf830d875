"""Points by the regions of PL."""

from dataclasses import replace

import numpy as np

from grainloop.model.acquire.segments import PER_SEGMENT, Segments, allot, place_in, segments_of
from tests.model.acquire.scenes import posterior_of, random_scene, real_scene
from tests.model.reconstruct.problems import voronoi


def halves():
    """Two regions of unlike size, a point in the larger one, doubt everywhere."""
    label = np.zeros((12, 12), int)
    label[:, 9:] = 1
    taken = np.zeros((12, 12), bool)
    taken[5, 4] = True
    scene = random_scene((12, 12), 0, taken=0, barred=0)
    return label, replace(scene, measured=taken, posterior=posterior_of(np.full((12, 12), 0.5)))


def test_every_region_gets_its_points_before_any_gets_more():
    label, scene = halves()
    given = [allot(label, scene, count).tolist() for count in (1, 2, 5)]
    assert given == [[0, 1], [1, 1], [PER_SEGMENT - 1, PER_SEGMENT]]
    many = allot(label, scene, 30)
    assert many.sum() == 30
    assert many[0] > 2 * many[1]  # by the doubt that is left


def test_no_region_gets_more_points_than_it_has_pixels():
    label, scene = halves()
    assert allot(label, scene, 10_000).tolist() == [9 * 12 - 1, 3 * 12]


def test_points_keep_off_borders_and_points():
    label, scene = halves()
    position = place_in(label, scene, np.array([2, 1]))
    assert len(position) == 3
    assert sorted(label[tuple(position.T)]) == [0, 0, 1]
    assert np.abs(position - [5, 4]).max(axis=1).min() >= 3
    assert position[label[tuple(position.T)] == 1][0, 1] in (9, 10)


def test_regions_of_pl_are_the_grains_that_it_tells_apart():
    _, grain = voronoi((60, 60), 12, 3)
    scene = real_scene((60, 60), 12, 0.01, 3, lit=True)
    label = segments_of(scene)
    pure = sum(np.bincount(grain[label == one]).max() for one in np.unique(label))
    assert pure / grain.size > 0.9
    assert len(np.unique(label)) < 80


def test_without_pl_the_grains_of_the_map_stand_in():
    scene = real_scene((40, 40), 12)
    label = segments_of(scene)
    assert len(np.unique(label)) == len(np.unique(scene.posterior.grain))
    found = Segments()(scene, 25, np.random.default_rng(0))
    assert len(found.position_px) == 25
    unseen = replace(scene, light=np.full((5, 40, 40), np.nan, np.float32))
    assert np.array_equal(segments_of(unseen), label)
