"""Rows shared among threads: each is worked on once, and errors are raised."""

import threading

import numpy as np
import pytest

from grainloop.model.reconstruct.bands import in_bands


@pytest.mark.parametrize("pixels", [1, 30, 60, 10_000])
def test_every_row_is_worked_on_once(pixels):
    visits = np.zeros((17, 6), int)

    def work(rows):
        visits[rows] += 1

    in_bands(work, visits.shape, pixels)
    assert (visits == 1).all()


def test_a_small_map_stays_in_the_thread_that_asks():
    used = []
    in_bands(lambda rows: used.append(threading.current_thread()), (64, 64), 64 * 64)
    assert used == [threading.current_thread()]


def test_an_error_in_a_thread_is_raised():
    def work(rows):
        raise ValueError("no such row")

    with pytest.raises(ValueError, match="no such row"):
        in_bands(work, (8, 8), 8)
