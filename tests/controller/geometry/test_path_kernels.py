"""The compiled moves of a path, and what goes along with it."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from grainloop.controller.geometry._path_kernels import always_nearest, kick, measure, settle
from grainloop.controller.geometry.route import path_length
from grainloop.controller.geometry.tour import Tour, room_for, tour_of

PIXELS = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), min_size=10, max_size=60)


def whatever_follows_from_the_path_is_right(tour: Tour) -> None:
    """Position of each node and length of each edge, to the last bit."""
    assert sorted(tour.path.tolist()) == list(range(len(tour.nodes)))
    np.testing.assert_array_equal(tour.place[tour.path], np.arange(len(tour.nodes)))
    rows, columns = np.diff(tour.nodes[tour.path], axis=0).T
    np.testing.assert_array_equal(tour.edge, [0, *np.sqrt(rows**2 + columns**2), 0])


@given(pixels=PIXELS, fixed=st.integers(0, 1), seed=st.integers(0, 999))
@settings(deadline=None, max_examples=60)
def test_places_and_edges_go_along_with_the_path_and_a_kick_that_does_not_pay_leaves_no_trace(
    pixels: list[tuple[int, int]], fixed: int, seed: int
) -> None:
    nodes, span = np.array(pixels, np.float64), 3
    n = len(nodes)
    distance = np.linalg.norm(nodes[:, None] - nodes[None], axis=-1)
    near = np.array([[j for j in np.argsort(row, kind="stable") if j != i][:5] for i, row in enumerate(distance)])
    path = np.arange(n)
    always_nearest(nodes, path)
    tour, room = tour_of(nodes, near, path), room_for(n, span)
    measure(tour)
    whatever_follows_from_the_path_is_right(tour)
    settle(tour, room, fixed)
    whatever_follows_from_the_path_is_right(tour)
    lengths, kicks = [path_length(nodes, path), path_length(nodes, tour.path)], np.random.default_rng(seed)
    for _ in range(20):
        before = tour.path.copy()
        first = kicks.integers(fixed, n - 2 * span + 1, 1)
        kick(tour, room, fixed, first, kicks.integers(1, span + 1, (1, 2)))
        whatever_follows_from_the_path_is_right(tour)
        lengths.append(path_length(nodes, tour.path))
        assert np.array_equal(tour.path, before) or lengths[-1] < lengths[-2]
        assert not room.queue[n:].any()
    assert (np.diff(lengths) <= 1e-9).all()
    assert (tour.path[:fixed] == path[:fixed]).all()
