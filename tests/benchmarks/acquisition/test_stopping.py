"""Where runs would have stopped, and what is told of it."""

import pytest

from benchmarks.acquisition.stopping import SYNTHETIC, cases
from benchmarks.acquisition.stopping_page import CORRECTED, SUMMED, ratios, stop, stops, told

RUN = {"specimen": "synthetic 1", "noisy": True, "light": True, "rows": [[10, 0.3, 0.25, 0.3], [20, 0.1, 0.08, 0.2]]}


def test_a_run_stops_at_the_first_prediction_below_the_tolerance():
    assert stop(RUN, 0.26, CORRECTED) == (0.25, 0.3)
    assert stop(RUN, 0.25, CORRECTED) == (0.08, 0.1)
    assert stop(RUN, 0.25, SUMMED) == (0.2, 0.1)
    assert stop(RUN, 0.05, CORRECTED) is None
    assert stops([RUN, RUN], 0.05, CORRECTED) == []
    assert told([]) == ("–", "–")


def test_bias_and_what_lies_within():
    found = [(0.20, 0.05), (0.10, 0.20), (0.10, 0.10)]
    assert ratios(found) == pytest.approx([4, 0.5, 1], rel=0.02)
    assert told(found) == ("+26%", "33%")


def test_specimens_are_played_with_and_without_noise_and_light():
    synthetic = [case for case in cases() if case.specimen.startswith("synthetic")]
    assert len(synthetic) == len(SYNTHETIC) >= 24
    assert {(case.noisy, case.light) for case in synthetic} == {(True, True), (False, True), (False, False)}
    assert len({case.key for case in cases()}) == len(list(cases()))
