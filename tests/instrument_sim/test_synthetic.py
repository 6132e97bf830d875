"""Synthetic specimens as maps that an instrument takes."""

import numpy as np
import pytest

from grainloop.instrument_sim.config import SimConfig
from grainloop.instrument_sim.driver import SimulatedInstrument
from grainloop.instrument_sim.synthetic import PHASES, draw_specimen


@pytest.mark.parametrize("group", list(PHASES))
def test_a_specimen_is_a_map_of_one_phase_and_always_the_same(group):
    first, second = (draw_specimen(np.random.default_rng(5), (40, 30), group) for _ in range(2))
    assert first.shape_px == (40, 30)
    assert first.phases == (PHASES[group],)
    assert np.array_equal(first.orientation, second.orientation)
    assert np.linalg.norm(first.orientation, axis=-1) == pytest.approx(1, abs=1e-5)
    assert set(np.unique(first.phase_id)) <= {0, 1}
    config = SimConfig() if group == "6/mmm" else SimConfig(light_kind=None)
    assert SimulatedInstrument(first, config, 0).capabilities.grid.shape_px == (40, 30)
