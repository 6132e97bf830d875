"""Small problems for the tests of reconstruction: specimens made of straight or Voronoi grains."""

import numpy as np

from grainloop.model.crystal import random_quaternions
from grainloop.model.light import predict_light
from grainloop.model.reconstruct import Problem, RegisteredLight, SparsePoints


def voronoi(shape, grains, seed):
    """(h, w, 4) orientations and (h, w) labels of a Voronoi section."""
    rng = np.random.default_rng(seed)
    centres = rng.uniform((0, 0), shape, size=(grains, 2))
    pixels = np.indices(shape).transpose(1, 2, 0)
    label = ((pixels[:, :, None] - centres) ** 2).sum(-1).argmin(-1)
    return random_quaternions(grains, rng).astype(np.float32)[label], label


def measured(truth, position, indexed=None):
    """Points read off the truth."""
    position = np.asarray(position, dtype=np.int32).reshape(-1, 2)
    indexed = np.ones(len(position), dtype=bool) if indexed is None else np.asarray(indexed)
    return SparsePoints(position, truth[tuple(position.T)], indexed)


def some_pixels(shape, count, seed):
    """Distinct random pixels."""
    rng = np.random.default_rng(seed)
    return np.argwhere(np.ones(shape))[rng.permutation(shape[0] * shape[1])[:count]]


def grid_pixels(shape, share):
    """A regular grid with about `share` of the pixels."""
    rows, cols = (np.floor((np.arange(n) + 0.5) * s / n).astype(int) for s, n in _counts(shape, share))
    return np.stack(np.meshgrid(rows, cols, indexing="ij"), axis=-1).reshape(-1, 2)


def _counts(shape, share):
    return [(s, max(1, round(s * np.sqrt(share)))) for s in shape]


def perfect_light(truth, noise, seed=0):
    """PL predicted from the truth plus white noise of known level."""
    features = np.moveaxis(predict_light(truth), -1, 0)
    features = features + np.random.default_rng(seed).normal(scale=noise, size=features.shape)
    return RegisteredLight(features.astype(np.float32), np.full(features.shape, noise, dtype=np.float32), 0.2)


def problem(truth, position, *, group="6/mmm", light=None, indexed=None):
    return Problem(truth.shape[:2], group, measured(truth, position, indexed), light)
