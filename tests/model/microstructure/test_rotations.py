"""Rotation builders against what defines them."""

import numpy as np
import pytest

from grainloop.model.crystal import rotate_vectors
from grainloop.model.microstructure.rotations import from_vector, onto, scatter, unit


def test_onto_takes_the_source_to_every_target_by_the_shortest_way() -> None:
    rng = np.random.default_rng(0)
    for source in (np.array([0.0, 0, 1]), unit(rng.standard_normal(3)), np.array([1.0, 0, 0])):
        target = np.concatenate([unit(rng.standard_normal((20, 3))), source[None], -source[None]])
        q = onto(source, target)
        assert rotate_vectors(q, source) == pytest.approx(target, abs=1e-9)
        assert np.linalg.norm(q, axis=1) == pytest.approx(1.0)
        angle = np.arccos(np.clip(target @ source, -1, 1))
        assert 2 * np.arccos(np.clip(q[:, 0], -1, 1)) == pytest.approx(angle, abs=1e-6)


def test_rotation_vectors_turn_about_themselves_by_their_length() -> None:
    vector = np.array([[0.0, 0, 0], [0, 0, np.pi / 2], [1e-9, 0, 0]])
    q = from_vector(vector)
    assert q[0] == pytest.approx([1, 0, 0, 0])
    assert rotate_vectors(q[1], np.array([1.0, 0, 0])) == pytest.approx([0, 1, 0])
    assert q[2, 1] == pytest.approx(0.5e-9, rel=1e-6)


def test_scatter_has_its_rms() -> None:
    q = scatter(np.random.default_rng(1), 20000, 3.0)
    assert np.degrees(np.sqrt(np.mean((2 * np.arccos(q[:, 0])) ** 2))) == pytest.approx(3.0, rel=0.02)
