"""A decider driven as the loop drives it: budgets are kept, no point comes twice."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grainloop.controller.decide.decider import Decider
from grainloop.controller.decide.decision import Batch, Enough
from grainloop.controller.ledger.ledger import Ledger
from grainloop.controller.ledger.orders import Received
from grainloop.controller.plans import Terms
from grainloop.protocols.messages import ScanDone
from grainloop.protocols.plan import Budget, RunPlan
from grainloop.protocols.values import PointBlock
from tests.controller.fakes import TIMING, block_of, capabilities, reconstruction
from tests.controller.shaped import QUEUE, queue

SHAPE = (14, 11)


class Bench:
    """Drives a decider the way the loop does, with an instrument that takes `pace` times the declared time."""

    def __init__(self, plan: RunPlan, pace: float = 1.0, light_s: float = 0.0, **declared: Any) -> None:
        self.decider = Decider(Terms(plan, capabilities(SHAPE, **declared)), "run")
        self.decider.begin(light_s)
        self.sent: list[Batch] = []
        self.clock_s, self.pace = light_s, pace
        self._out: list[Batch] = []

    def run(self, fates: list[str], seconds: float = 0.3) -> None:
        """To the end; `fates` says what becomes of each decision and batch in turn."""
        fate = iter(fates + ["good"] * 10_000)
        while True:
            while len(self._out) < 2 and (batch := self._next(next(fate), seconds)) is not None:
                self._out.append(batch)
                self.sent.append(batch)
            if not self._out:
                return
            self._measure(self._out.pop(0), next(fate))

    def _next(self, fate: str, seconds: float) -> Batch | None:
        if (planned := self.decider.next_planned()) is not None:
            return planned
        question = self.decider.question()
        if question is None:
            return None
        answer = None if fate == "bad" else reconstruction(question, SHAPE)
        decided = self.decider.decide(answer, lambda: seconds)
        return None if isinstance(decided, Enough) else decided

    def _measure(self, batch: Batch, fate: str) -> None:
        request, ledger = batch.request, self.decider.ledger
        start = max(self.clock_s, request.not_before_s)
        block = block_of(request, 0.0)
        travel = 0.0 if not len(self.sent) else TIMING.travel_s_per_px * float(np.hypot(*SHAPE))
        times = start + travel + block.time_s * self.pace
        block = PointBlock(**{n: getattr(block, n) for n in PointBlock.model_fields if n != "time_s"}, time_s=times)
        if fate == "bad":
            block = block.select(slice(len(block) // 2))
        ledger.receive(request.batch, block)
        self.clock_s = float(times[-1])
        done = ScanDone(batch=request.batch, points=len(block), started_s=start, finished_s=self.clock_s)
        ledger.close(request.batch, None if fate == "bad" else done)


FATES = st.lists(st.sampled_from(["good", "bad"]), max_size=12)


PLANS = st.builds(
    RunPlan,
    budget=st.builds(
        Budget, fraction=st.floats(0.001, 1), points=st.none() | st.integers(1, 200), instrument_s=st.none()
    ),
    first_pass=st.floats(0.01, 1),
    first_pass_most=st.sampled_from([0.02, 0.3, 1.0]),
    batches=st.integers(1, 12),
)


@given(plan=PLANS, fates=FATES, most=st.sampled_from([3, 20, 1000]))
@settings(deadline=None, max_examples=80)
def test_the_budget_of_points_is_never_exceeded_and_no_point_comes_twice(
    plan: RunPlan, fates: list[str], most: int
) -> None:
    bench = Bench(plan, max_points_per_scan=most)
    bench.run(fates)
    pixels = np.concatenate([b.request.position_px for b in bench.sent])
    ids = np.concatenate([b.request.point_id for b in bench.sent])
    assert len(pixels) == plan.budget.max_points(SHAPE[0] * SHAPE[1])
    assert len(np.unique(pixels, axis=0)) == len(pixels)
    assert ((pixels >= 0) & (pixels < SHAPE)).all()
    assert ids.tolist() == list(range(len(ids)))
    assert all(len(b.request.point_id) <= most for b in bench.sent)
    assert all(len(b.why) == len(b.travel_px) == len(b.request.point_id) for b in bench.sent)


@given(
    plan=PLANS,
    fates=FATES,
    limit_s=st.floats(1.0, 12.0),
    pace=st.floats(0.3, 1.0),
    seconds=st.floats(0, 2),
    light_s=st.floats(0, 0.5),
)
@settings(deadline=None, max_examples=80)
def test_the_budget_of_instrument_time_is_never_exceeded(
    plan: RunPlan, fates: list[str], limit_s: float, pace: float, seconds: float, light_s: float
) -> None:
    """For an instrument that keeps to the cost that it declares; it may be faster, and batches may fail."""
    timing = TIMING.model_copy(update={"batch_overhead_s": TIMING.batch_overhead_s + 0.001 * float(np.hypot(*SHAPE))})
    budget = plan.budget.model_copy(update={"instrument_s": limit_s})
    bench = Bench(plan.model_copy(update={"budget": budget}), pace, light_s, timing=timing)
    bench.run(fates, seconds)
    assert bench.sent
    assert bench.clock_s <= limit_s + 1e-9


def test_a_short_time_still_gives_a_grid_over_the_whole_section() -> None:
    bench = Bench(RunPlan(budget=Budget(fraction=1.0, instrument_s=1.5)))
    bench.run([])
    first = bench.sent[0].request.position_px
    assert np.ptp(first[:, 0]) > SHAPE[0] / 2
    assert np.ptp(first[:, 1]) > SHAPE[1] / 2


def test_an_instrument_slower_than_declared_gets_fewer_points() -> None:
    plan = RunPlan(budget=Budget(fraction=0.5, instrument_s=3.0))
    fast, slow = Bench(plan), Bench(plan, pace=2.0)
    fast.run([])
    slow.run([])
    assert sum(len(b.request.point_id) for b in slow.sent) < sum(len(b.request.point_id) for b in fast.sent)


def test_the_model_is_told_to_keep_away_from_what_is_queued() -> None:
    decider = Decider(Terms(RunPlan(budget=Budget(fraction=0.2)), capabilities((40, 40))), "run")
    decider.begin(0.0)
    batch = decider.next_planned()
    assert batch is not None
    question = decider.question()
    assert question is not None
    assert question.propose is not None
    excluded = {tuple(p) for p in question.propose.excluded_px.tolist()}
    assert {tuple(p) for p in batch.request.position_px.tolist()} < excluded


def test_seeds_differ_between_questions_and_follow_the_plan() -> None:
    def seeds(seed: int) -> list[int]:
        decider = Decider(Terms(RunPlan(seed=seed), capabilities(SHAPE)), "run")
        decider.begin(0.0)
        return [question.seed for _ in range(3) if (question := decider.question()) is not None]

    assert len(set(seeds(5))) == 3
    assert seeds(5) == seeds(5)
    assert seeds(2**63 - 1)[0] == 0


@pytest.mark.parametrize("case", ["unknown", "before", "twice", "outside"])
def test_points_that_nobody_asked_for_are_told_and_the_others_kept(case: str) -> None:
    ledger, batch = begun(RunPlan(budget=Budget(fraction=0.3)))
    good = block_of(batch.request, 0.0)
    changed = {name: np.array(getattr(good, name)) for name in PointBlock.model_fields}
    if case == "unknown":
        changed["point_id"][1] += 1000
    if case == "outside":
        changed["position_px"][1] += 100
    if case == "before":
        assert ledger.receive(0, good.select([1])) == Received(good.select([1]), None)
    if case == "twice":
        changed["point_id"][1] = changed["point_id"][2]
    received = ledger.receive(0, PointBlock(**changed))
    assert received.fault is not None
    assert received.fault.startswith(f"Fake-1 reported point {changed['point_id'][1 if case != 'twice' else 2]}")
    others = [i for i in range(len(good)) if i != (2 if case == "twice" else 1)]
    assert received.kept == PointBlock(**changed).select(others)


def begun(plan: RunPlan, **declared: Any) -> tuple[Ledger, Batch]:
    """A ledger with the first batch out."""
    decider = Decider(Terms(plan, capabilities(SHAPE, **declared)), "run")
    decider.begin(0.0)
    batch = decider.next_planned()
    assert batch is not None
    return decider.ledger, batch


def test_the_model_is_asked_as_the_plan_says() -> None:
    decider = Bench(RunPlan(method="watershed", n_samples=4, steps=12, seed=7)).decider
    for number, question in enumerate((decider.question(), decider.final_question()), 1):
        assert question is not None
        assert (question.method, question.n_samples, question.steps, question.seed) == ("watershed", 4, 12, 7 + number)


class Failing(Bench):
    """A bench whose instrument indexes no point at the first try; `asked` counts what the model was allowed."""

    def __init__(self, plan: RunPlan) -> None:
        super().__init__(plan)
        self.allowed: list[int] = []

    def _next(self, fate: str, seconds: float) -> Batch | None:
        decider = self.decider
        if (planned := decider.next_planned()) is not None:
            return planned
        question = decider.question()
        if question is None or question.propose is None:
            return None
        again = question.propose.repeatable_px
        assert again is not None
        self.allowed.append(len(again))
        answer = reconstruction(question, SHAPE)
        assert answer.proposals is not None
        fields = {"position_px": again, "gain": np.ones(len(again), np.float32), "reason": np.full(len(again), 6, "u1")}
        proposals = answer.proposals.model_copy(update=fields)
        decided = decider.decide(answer.model_copy(update={"proposals": proposals}), lambda: seconds)
        return None if isinstance(decided, Enough) else decided

    def _measure(self, batch: Batch, fate: str) -> None:
        request = batch.request
        block = block_of(request, self.clock_s)
        seen = np.array([self.times(one) for one in request.position_px])
        status = np.where(seen > 1, 1, 2).astype(np.uint8)
        self.decider.ledger.receive(request.batch, block.model_copy(update={"status": status}))
        self.decider.ledger.close(request.batch, None)

    def times(self, pixel: Any) -> int:
        return sum(int((batch.request.position_px == pixel).all(axis=1).sum()) for batch in self.sent)


@pytest.mark.parametrize("repeats", [0, 1, 2])
def test_a_point_that_was_not_indexed_is_repeated_as_often_as_the_plan_says(repeats: int) -> None:
    bench = Failing(RunPlan(budget=Budget(fraction=0.9), first_pass=0.2, batches=4, repeats=repeats))
    bench.run([])
    asked = np.concatenate([batch.request.position_px for batch in bench.sent])
    _, times = np.unique(asked, axis=0, return_counts=True)
    assert times.max() == min(repeats, 1) + 1  # indexed at the second try
    assert (max(bench.allowed) > 0) == (repeats > 0)
    assert len(asked) == bench.decider.ledger.terms.max_points
    again = [batch for batch in bench.sent if (batch.why.reason == 6).any()]
    assert bool(again) == (repeats > 0)
    assert all(batch.reasons["retry"] == (batch.why.reason == 6).sum() for batch in again)


@pytest.mark.parametrize("shapes", [False, True])
def test_the_first_pass_leaves_out_what_points_beside_their_targets_have_shown(shapes: bool) -> None:
    skipping = queue(shapes=QUEUE.model_copy(update={"skips": True}), max_points_per_scan=200)
    declared = skipping if shapes else capabilities(SHAPE, max_points_per_scan=5)
    terms = Terms(RunPlan(budget=Budget(fraction=0.5)), declared)
    planned, decider = (Decider(terms, "run") for _ in range(2))
    planned.begin(0.0)
    decider.begin(0.0)
    first, second, *others = (batch.request for batch in iter(planned.next_planned, None))
    assert decider.next_planned() is not None
    shown = second.position_px[: len(first.point_id) // 3]
    beside = block_of(first, 0.0, slice(len(shown))).model_copy(update={"position_px": shown})
    decider.ledger.receive(first.batch, beside)
    decider.ledger.close(first.batch, None)
    rest = np.concatenate([batch.request.position_px for batch in iter(decider.next_planned, None)])
    expected = np.concatenate([second.position_px[len(shown) :], *(one.position_px for one in others)])
    assert sorted(rest.tolist()) == sorted(expected.tolist())


def test_a_batch_tells_why_and_how_far() -> None:
    bench = Bench(RunPlan(budget=Budget(fraction=0.5)))
    bench.run([])
    way = np.concatenate([batch.request.position_px for batch in bench.sent]).astype(float)
    travel = np.concatenate([batch.travel_px for batch in bench.sent])
    assert np.isnan(travel[0])
    np.testing.assert_allclose(travel[1:], np.hypot(*np.diff(way, axis=0).T), rtol=1e-6)
    assert bench.sent[0].reasons == {"first_pass": len(bench.sent[0].travel_px)}
    assert all(batch.gain_px == pytest.approx(batch.why.gain.sum(), abs=1e-3) for batch in bench.sent)


def test_what_the_model_tells_of_its_proposals_goes_with_the_points() -> None:
    decider = Decider(Terms(RunPlan(budget=Budget(fraction=1.0), first_pass=0.1), capabilities(SHAPE)), "run")
    decider.begin(0.0)
    while (first := decider.next_planned()) is not None:
        decider.ledger.receive(first.request.batch, block_of(first.request, 0.0))
        decider.ledger.close(first.request.batch, None)
    question = decider.question()
    assert question is not None
    answer = reconstruction(question, SHAPE)
    assert answer.proposals is not None
    number = np.arange(len(answer.proposals.gain))
    columns = {"p_wrong": number / 1000, "competing": number % 5, "misorientation_deg": number + 0.5}
    kinds = {"p_wrong": np.float32, "competing": np.uint8, "misorientation_deg": np.float32}
    told = answer.proposals.model_copy(update={name: columns[name].astype(kinds[name]) for name in columns})
    batch = decider.decide(answer.model_copy(update={"proposals": told}), lambda: 0.0)
    assert isinstance(batch, Batch)
    rows = {tuple(one): i for i, one in reversed(list(enumerate(told.position_px.tolist())))}  # the first counts
    order = [rows[tuple(one)] for one in batch.request.position_px.tolist()]
    np.testing.assert_array_equal(batch.why.misorientation_deg, columns["misorientation_deg"][order].astype(np.float32))
    np.testing.assert_array_equal(batch.why.competing, (number % 5)[order])
