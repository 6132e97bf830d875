"""Lessons are those of whole runs on specimens that are always the same for a number."""

from dataclasses import replace

import numpy as np
import pytest

from grainloop.evaluate.acquisition.lessons import EDGE_PX, heard, instrument, lessons_of
from grainloop.evaluate.acquisition.playing import set_up
from grainloop.instrument_sim.config import DetectorConfig, SimConfig
from grainloop.instrument_sim.synthetic import draw_specimen
from grainloop.model.diffusion.checkpoints.shipped import load_shipped
from grainloop.protocols.plan import Budget, RunPlan


@pytest.fixture(scope="module")
def trained():
    return replace(load_shipped("6/mmm"), share=None)


def test_instruments_range_from_exact_to_twice_the_usual_noise():
    assert instrument(1.0, lit=True) == SimConfig()
    assert instrument(0.0, lit=True).detector == DetectorConfig.none()
    assert instrument(2.0, lit=True).detector.lost_at_boundary == 2 * DetectorConfig().lost_at_boundary
    assert instrument(1.0, lit=False).light_kind is None


def test_a_run_teaches_at_every_answer(trained):
    truth = draw_specimen(np.random.default_rng(3), (40, 40))
    stage = set_up(truth, instrument(1.0, lit=False), 0)
    plan = RunPlan(budget=Budget(fraction=0.2), batches=3, seed=0)
    found = list(heard(stage, plan, trained))
    shares = [one.here.share for one in found]
    assert len(found) >= 3
    assert shares == sorted(shares)
    assert shares[-1] <= 0.2
    assert found[0].here.surprise == 0
    assert any(one.here.surprise for one in found[1:])
    for one in found:
        assert one.inferred.sum() + one.measured.sum() == pytest.approx(1)
        assert 0 <= one.measured_wrong <= one.here.share
    assert found[-1].inferred_wrong < found[0].inferred_wrong


def test_a_number_is_always_the_same_run(trained, monkeypatch):
    monkeypatch.setattr("grainloop.evaluate.acquisition.lessons.EDGE_PX", 32)
    assert EDGE_PX == 96
    first, second = (lessons_of(trained, 4) for _ in range(2))  # one regular grid
    assert [one.inferred_wrong for one in first] == [one.inferred_wrong for one in second]
    assert all(np.array_equal(a.inferred, b.inferred) for a, b in zip(first, second, strict=True))
    assert not any(one.here.surprise for one in first[:1])
