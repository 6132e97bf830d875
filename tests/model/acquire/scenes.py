"""Scenes for the tests of acquisition."""

import numpy as np

from grainloop.model.acquire import Scene
from grainloop.model.reconstruct import METHODS, Options, Posterior, Problem, never, no_report
from tests.model.reconstruct.problems import grid_pixels, measured, perfect_light, voronoi
from tests.model.service.runs import block


def posterior_of(p_wrong):
    """A posterior of which only P(wrong) is known."""
    h, w = p_wrong.shape
    zero = np.zeros((h, w), np.float32)
    return Posterior(
        orientation=np.tile(np.array([1, 0, 0, 0], np.float32), (h, w, 1)),
        expected_error_deg=zero,
        p_wrong=p_wrong.astype(np.float32),
        boundary=zero,
        grain=np.ones((h, w), np.int32),
    )


def random_scene(shape, seed, taken=0.1, barred=0.1, exploration_share=0.0):
    rng = np.random.default_rng(seed)
    measured_px, excluded = rng.random(shape) < taken, rng.random(shape) < barred
    return Scene(posterior_of(rng.random(shape)), measured_px, excluded, exploration_share)


def real_scene(shape=(60, 60), grains=40, share=0.03, seed=0, exploration_share=0.1, lit=False):
    """A section of grains after a first pass, with or without PL."""
    truth, _ = voronoi(shape, grains, seed)
    position = grid_pixels(shape, share)
    light = perfect_light(truth, 0.1) if lit else None
    task = Problem(shape, "6/mmm", measured(truth, position), light)
    found = METHODS["pl_candidates"](task, Options(), no_report, never)
    taken = np.zeros(shape, bool)
    taken[tuple(position.T)] = True
    points = block(position, truth[tuple(position.T)])
    features = None if light is None else light.features
    nothing = np.zeros(shape, bool)
    return Scene(found, taken, nothing, exploration_share, None, points, {1: "6/mmm"}, features)


def adjacent_share(position):
    """Share of the points that touch another one, corners included."""
    away = np.abs(position[:, None].astype(int) - position[None]).max(-1)
    np.fill_diagonal(away, 99)
    return float(np.mean(away.min(axis=1) <= 1))
