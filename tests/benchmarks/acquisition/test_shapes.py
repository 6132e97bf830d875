"""The rasters of the shapes benchmark: even margins, and no longer than the time there is."""

import numpy as np
import pytest

from benchmarks.acquisition.shapes import CASES, coarse, first_raster, seconds_of, smallest_s
from grainloop.protocols.shapes import ScanShape

MEANS = CASES[0].preset.means(0.02)


@pytest.mark.parametrize("shape", [(60, 80), (61, 47)])
@pytest.mark.parametrize("steps", [(1, 1), (2, 3), (7, 5)])
def test_a_coarse_raster_lies_evenly_on_the_map(shape, steps):
    route = coarse(shape, *steps, MEANS)
    low, high = route.position_px.min(axis=0), route.position_px.max(axis=0)
    assert (low >= 0).all()
    assert (high < shape).all()
    assert np.abs((np.array(shape) - 1 - high) - low).max() <= 1
    assert (low < steps).all()
    assert len(np.unique(route.position_px, axis=0)) == len(route.position_px)


@pytest.mark.parametrize("budget_s", [3.0, 20.0, 500.0])
def test_the_first_raster_is_the_densest_that_fits(budget_s):
    route = first_raster((60, 80), budget_s, MEANS)
    assert seconds_of(route, MEANS) <= budget_s + 0.001
    if len(route.index) < 60 * 80:
        assert seconds_of(route, MEANS) > 0.5 * budget_s


def test_no_raster_fits_into_no_time():
    assert first_raster((60, 80), 0.05, MEANS) is None


def test_shapes_wait_longer_in_a_queue():
    waiting = [smallest_s(case, (ScanShape.RECTANGLES,))[0] for case in CASES]
    assert waiting[0] < 0.01
    assert waiting[-1] > 10
