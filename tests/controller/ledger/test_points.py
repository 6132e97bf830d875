"""The store of points: it grows, and views of it stay as they were."""

from __future__ import annotations

from grainloop.controller.ledger.points import PointStore
from grainloop.protocols.plan import Budget, RunPlan
from grainloop.protocols.values import PointBlock
from tests.controller.decide.test_decider import Bench
from tests.controller.fakes import block_of


def test_the_point_store_grows_and_its_views_stay_as_they_were() -> None:
    request = Bench(RunPlan(budget=Budget(fraction=1.0))).decider.next_planned()
    assert request is not None
    block, store = block_of(request.request, 0.0), PointStore()
    for count in range(1, 60):
        before = store.block()
        store.append(block)
        assert len(store) == count * len(block)
        assert len(before) == (count - 1) * len(block)
    assert store.block() == PointBlock.concatenate([block] * 59)
    assert not store.block().orientation.flags.writeable
