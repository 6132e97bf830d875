"""Runs played without services: the same decisions, the declared times, and what they come to."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from grainloop.controller.decide.decider import Decider
from grainloop.controller.geometry.grid import adjacent_share
from grainloop.controller.plans import Terms
from grainloop.evaluate.acquisition.curves import Played, curve, mean_sd, to_json
from grainloop.evaluate.acquisition.playing import Moment, batches_of, play, set_up
from grainloop.evaluate.figures_of_merit import figures_of_merit
from grainloop.instrument_sim.config import SimConfig
from grainloop.instrument_sim.driver import SimulatedInstrument
from grainloop.model.reconstruct import never, no_report
from grainloop.model.service.reconstruction import reconstruct
from grainloop.protocols.errors import BadInput
from grainloop.protocols.messages import ReconstructRequest, ScanRequest
from grainloop.protocols.plan import Budget, RunPlan
from grainloop.protocols.values import PointBlock
from tests.grainloop.small_maps import chessboard, two_phases

PLAN = RunPlan(budget=Budget(fraction=0.08), batches=3, method="pl_candidates", policy="spread")


class Watched:
    """Notes down what an instrument was asked for and what it brought."""

    def __init__(self, instrument: SimulatedInstrument, monkeypatch: pytest.MonkeyPatch) -> None:
        self.requests: list[ScanRequest] = []
        self.blocks: list[PointBlock] = []
        self._scan = instrument.scan
        monkeypatch.setattr(instrument, "scan", self.scan)

    def scan(self, request: ScanRequest) -> Iterator[PointBlock]:
        self.requests.append(request)
        for block in self._scan(request):
            self.blocks.append(block)
            yield block

    @property
    def points(self) -> PointBlock:
        return PointBlock.concatenate(self.blocks)


@pytest.mark.parametrize("depth", [1, 2])
def test_a_run_spends_its_budget_and_ends_with_the_map_of_all_its_points(
    depth: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_light = SimConfig(light_kind=None)
    stage = set_up(chessboard(), without_light, seed=1)
    seen = Watched(stage.instrument, monkeypatch)
    moments = list(play(stage, PLAN, depth))
    points, pixels = seen.points, stage.truth.phase_id.size
    assert len(points) == moments[-1].points == int(0.08 * pixels)
    assert len(np.unique(points.position_px, axis=0)) == len(points)
    assert [m.asked > 0 for m in moments] == [True] * PLAN.batches + [False]
    again = ReconstructRequest(section_key="played", points=points, method=PLAN.method)
    measured = np.zeros(stage.truth.shape_px, bool)
    measured[tuple(points.position_px.T)] = True
    reply = reconstruct(set_up(chessboard(), without_light).section, again, no_report, never)
    assert moments[-1].figures == figures_of_merit(reply, stage.truth, measured)
    assert moments[-1].figures.error_over_5deg < moments[0].figures.error_over_5deg


def test_with_one_batch_out_a_decision_knows_all_points_and_with_two_it_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known: dict[int, list[int]] = {}
    asked: dict[int, list[int]] = {}
    for depth in (1, 2):
        stage = set_up(chessboard())
        seen = Watched(stage.instrument, monkeypatch)
        known[depth] = [moment.points for moment in play(stage, PLAN, depth)]
        asked[depth] = np.cumsum([len(request.point_id) for request in seen.requests]).tolist()
    first_parts = len(asked[1]) - PLAN.batches
    assert known[1] == asked[1][first_parts - 1 :]
    assert known[2][:-1] == asked[2][first_parts - 2 : -2]


def test_instrument_time_is_what_the_instrument_declares(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = set_up(chessboard())
    seen = Watched(stage.instrument, monkeypatch)
    moments = list(play(stage, PLAN, depth=1))
    timing, beam = stage.instrument.config.timing, None
    expected = 18 * stage.instrument.config.seconds_per_image
    for request in seen.requests:
        way = request.position_px if beam is None else np.vstack([beam, request.position_px])
        travel = float(np.hypot(*np.diff(way.astype(float), axis=0).T).sum()) * timing.travel_s_per_px
        expected += timing.batch_overhead_s + travel + len(request.point_id) * (timing.settle_s + request.dwell_s)
        beam = request.position_px[-1]
    assert moments[-1].instrument_s == pytest.approx(expected, abs=1e-3)


def test_the_batches_of_a_run_are_those_of_the_core(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replies to the questions of a second core, in the same order, lead to the same requests."""
    stage = set_up(chessboard(), seed=3)
    seen = Watched(stage.instrument, monkeypatch)
    moments = list(play(stage, PLAN, depth=1))
    other = set_up(chessboard(), seed=3)
    decider = Decider(Terms(PLAN, other.instrument.capabilities), "played")
    decider.begin(other.light_s)
    for request in seen.requests:
        batch = decider.next_planned()
        if batch is None:
            question = decider.question()
            assert question is not None
            batch = decider.decide(reconstruct(other.section, question, no_report, never), lambda: 0.0)
        np.testing.assert_array_equal(batch.request.position_px, request.position_px)
        for block in other.instrument.scan(batch.request):
            decider.ledger.receive(batch.request.batch, block)
        decider.ledger.close(batch.request.batch, None)
    assert moments[-1].points == len(decider.ledger.points)


def test_a_run_is_the_same_for_a_seed() -> None:
    plan = PLAN.model_copy(update={"seed": 7})
    first, second = ([replace(m, decision_s=0.0) for m in play(set_up(chessboard(), seed=7), plan)] for _ in range(2))
    assert repr(first) == repr(second)  # NaN is not equal to itself


def test_without_pl_with_wrong_pl_noise_and_two_phases() -> None:
    no_light = SimConfig(light_kind=None)
    specimen = chessboard(seed=2)
    for stage in (set_up(specimen, no_light), set_up(specimen, lit=chessboard(seed=3)), set_up(two_phases())):
        assert list(play(stage, PLAN))[-1].points == int(0.08 * stage.truth.phase_id.size)


def test_an_unknown_policy_is_refused() -> None:
    with pytest.raises(BadInput, match="no policy 'magic'"):
        list(play(set_up(chessboard()), PLAN.model_copy(update={"policy": "magic"})))


@pytest.mark.parametrize("size", [1, 10, 47])
def test_batches_of_so_many_points(size: int) -> None:
    stage = set_up(chessboard(2, 3), SimConfig(light_kind=None))
    budgeted = PLAN.model_copy(update={"policy": "grid", "budget": Budget(fraction=0.2)})
    plan = budgeted.model_copy(update={"batches": batches_of(budgeted, stage, size)})
    asked = [moment.asked for moment in play(stage, plan, depth=1)][:-1]
    assert max(asked) <= size + 1
    points = int(0.2 * stage.truth.phase_id.size)
    coarse = PLAN.first_pass_points(points, stage.truth.phase_id.size, light=False)
    assert sum(asked) == pytest.approx(points - coarse, abs=8)


@pytest.mark.parametrize("seed", range(4))
def test_adjacent_share_counts_touching_points(seed: int) -> None:
    pixels = np.argwhere(np.random.default_rng(seed).random((15, 20)) < 0.1)
    away = np.abs(pixels[:, None] - pixels[None]).max(axis=-1) + 9 * np.eye(len(pixels), dtype=int)
    assert adjacent_share(pixels.astype(np.int32)) == pytest.approx(np.mean(away.min(axis=1) <= 1))
    assert adjacent_share(pixels[:1].astype(np.int32)) == 0
    assert math.isnan(adjacent_share(pixels[:0].astype(np.int32)))


def moment(points: int, wrong: float, asked: int = 0, adjacent: float = math.nan, seconds: float = 1.0) -> Moment:
    figures = figures_stub(wrong)
    return Moment(points, 2.0 * points, seconds, asked, 3.0 * asked, adjacent, "spread" if asked else "", figures)


def figures_stub(wrong: float) -> object:
    from grainloop.evaluate.figures_of_merit import FiguresOfMerit

    return FiguresOfMerit(1.0, wrong, 0.9, 0.8, 0.9, 0.9, wrong / 2, 1.0, 0.1)


def test_figures_are_those_of_the_end_and_decisions_those_after_the_first() -> None:
    one = (moment(10, 0.5, 4, 0.5, seconds=9.0), moment(14, 0.4, 6, 0.0, seconds=1.0), moment(20, 0.3, seconds=2.0))
    two = (moment(10, 0.3, 10, 0.1, seconds=9.0), moment(20, 0.1, seconds=4.0))
    told = to_json(Played("here.ang", 0.05, (one, two)))
    assert told["map"] == "here.ang"
    assert told["policy"] == "spread"
    assert told["error_over_5deg"] == {"mean": 0.2, "sd": pytest.approx(0.2 / math.sqrt(2), abs=1e-5)}
    assert told["points_measured"] == {"mean": 20, "sd": 0}
    assert told["instrument_s"]["mean"] == 40
    assert told["decision_s"]["mean"] == pytest.approx((1.5 + 4.0) / 2)
    assert told["adjacent_share"]["mean"] == pytest.approx((0.2 + 0.1) / 2)
    assert [step["points"]["mean"] for step in told["curve"]] == [10, 17, 20]
    assert [step["gain_px"]["mean"] for step in told["curve"]] == [21, 9, 0]
    assert told["curve"][-1]["adjacent_share"] == {"mean": None, "sd": None}


def test_a_run_of_the_first_pass_alone_has_no_policy() -> None:
    played = Played("x", 0.01, ((moment(5, 0.5, seconds=3.0),),))
    assert to_json(played)["policy"] == ""
    assert to_json(played)["decision_s"]["mean"] == 3.0
    assert to_json(played)["adjacent_share"] == {"mean": None, "sd": None}
    assert len(curve(played)) == 1
    assert mean_sd([]) == {"mean": None, "sd": None}
