"""A run goes on after its controller died, at any moment: nothing stored is lost, nothing is exposed twice."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from grainloop.controller.journal.reading import read_journal
from grainloop.controller.journal.replay import replay
from grainloop.controller.ledger.ledger import Ledger
from grainloop.controller.plans import Terms
from grainloop.controller.record.recording import JOURNAL_NAME, SESSION_NAME
from grainloop.controller.run.run import Run
from grainloop.controller.session.reader import load_session
from grainloop.protocols.errors import BadInput, GrainloopError, OutOfLimits, Unavailable, UnknownKind
from grainloop.protocols.messages import (
    Describe,
    Description,
    PointsMeasured,
    RunFinished,
    ScanDone,
    ScanRequest,
    Withdraw,
)
from grainloop.protocols.plan import Budget, RunPlan
from grainloop.protocols.states import FinishReason
from tests.controller.dying import cut_at, record_ends
from tests.controller.fakes import FakeInstrument, FakeModel, block_of, capabilities
from tests.controller.virtual_time import run

PLAN = RunPlan(budget=Budget(fraction=0.25), batches=4)
MOMENTS, SEED = 12, 20261128


def _unheard(_message: Any) -> None: ...


class Remembering(FakeInstrument):
    """Answers a batch that it has exposed with what it kept.

    Args:
        spools: whether it says that it remembers.
        known: requests that it has exposed already.
    """

    def __init__(self, spools: bool = True, known: tuple[ScanRequest, ...] = (), **options: Any) -> None:
        super().__init__(**options)
        self.spools = spools
        self.exposed = Counter[int]()
        self._kept: dict[int, tuple[ScanRequest, Any]] = {}
        for request in known:
            asyncio.run(super()._scan(request, _unheard))
            self._keep(request)

    def _keep(self, request: ScanRequest) -> None:
        self.exposed.update(request.point_id.tolist())
        block = block_of(request, self.clock_s)
        self._kept[request.batch] = request, block

    async def request(self, message: Any, *, deadline_s: float, on_progress: Any = None) -> Any:
        if isinstance(message, Describe):
            return Description(capabilities=self.capabilities, spools=self.spools)
        if isinstance(message, Withdraw):
            raise UnknownKind("The instrument does not serve withdraw.")
        return await super().request(message, deadline_s=deadline_s, on_progress=on_progress)

    async def _scan(self, request: ScanRequest, on_progress: Any) -> ScanDone:
        if request.batch in self._kept:
            before, block = self._kept[request.batch]
            assert before == request
            on_progress(PointsMeasured(batch=request.batch, points=block))
            end = float(block.time_s[-1])
            return ScanDone(batch=request.batch, points=len(block), started_s=end, finished_s=end)
        done = await super()._scan(request, on_progress)
        self._keep(request)
        return done


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that was not disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    run(Run(PLAN, folder, Remembering(), FakeModel()).execute())
    return folder


def died(whole: Path, folder: Path, size: int) -> tuple[ScanRequest, ...]:
    """The folder as a controller left it that died when its journal had a size; the requests that it had sent."""
    cut_at(whole, folder, size)
    entries = read_journal(folder / JOURNAL_NAME).entries
    return tuple(batch.request for batch in replay(entries).sent.values())


def moments(whole: Path) -> list[int]:
    """Sizes of the journal at which the controller dies: within or behind records, evenly over these."""
    ends = record_ends(whole)
    rng = np.random.default_rng(SEED)
    chosen = np.linspace(1, len(ends) - 2, MOMENTS).astype(int)
    return [int(rng.integers(ends[n], ends[n + 1], endpoint=True)) for n in chosen]


def go_on(folder: Path, instrument: Any) -> RunFinished:
    return run(Run.taken_up(folder, instrument, FakeModel()).execute())


@pytest.mark.parametrize("moment", range(MOMENTS))
@pytest.mark.parametrize("spools", [True, False])
def test_a_run_goes_on_from_any_moment(whole: Path, tmp_path: Path, moment: int, spools: bool) -> None:
    size = moments(whole)[moment]
    out = died(whole, tmp_path, size)
    before = _points(tmp_path)
    instrument = Remembering(spools, out if spools else ())
    finished = go_on(tmp_path, instrument)
    assert finished.reason is FinishReason.COMPLETED, f"seed {SEED}, {size} bytes"
    assert max(instrument.exposed.values(), default=1) == 1
    stored = _points(tmp_path)
    assert len(stored) == len(set(stored))
    assert set(before) <= set(stored)
    given_up = 0 if spools else sum(len(request.point_id) for request in out)
    assert 120 - given_up <= len(stored) <= 120
    session = load_session(tmp_path / SESSION_NAME)
    assert session.points.point_id.tolist() == stored
    assert [event.sequence for event in session.events] == list(range(1, len(session.events) + 1))
    assert len(np.unique(session.points.position_px, axis=0)) == len(stored)
    again = replay(read_journal(tmp_path / JOURNAL_NAME).entries)
    assert again.difference is None
    assert not again.notes


def test_a_run_goes_on_from_every_record_before_its_first_batch(whole: Path, tmp_path: Path) -> None:
    """PL that was stored is not taken once more, also where nothing else is known of it."""
    ends = record_ends(whole)
    kinds = [entry.kind for entry in read_journal(whole / JOURNAL_NAME).entries]
    first, light = kinds.index("decided"), kinds.index("light")
    assert 0 < light < kinds.index("started") < first
    for number in range(1, first + 1):
        folder = tmp_path / f"{number}"
        died(whole, folder, ends[number - 1])
        taken: list[int] = []

        async def take(number: int = number, taken: list[int] = taken) -> None:
            taken.append(number)

        assert go_on(folder, Remembering(light=take)).reason is FinishReason.COMPLETED, number
        assert len(_points(folder)) == 120
        assert len(taken) == int(number <= light), number
        assert [entry.kind for entry in read_journal(folder / JOURNAL_NAME).entries].count("light") == 1


def _points(folder: Path) -> list[int]:
    """Ids of the points in the journal."""
    entries = read_journal(folder / JOURNAL_NAME).entries
    return [point for entry in entries if entry.kind == "points" for point in entry.points.point_id.tolist()]


def refused(folder: Path, instrument: Any) -> GrainloopError:
    with pytest.raises(GrainloopError) as error:
        go_on(folder, instrument)
    return error.value


def test_what_was_completed_is_not_gone_on_with(whole: Path) -> None:
    error = refused(whole, Remembering())
    assert isinstance(error, BadInput)
    assert "was completed: the budget is spent." in str(error)


def test_another_instrument_is_refused(whole: Path, tmp_path: Path) -> None:
    died(whole, tmp_path, moments(whole)[5])
    error = refused(tmp_path, Remembering(declared=capabilities((24, 21))))
    assert isinstance(error, OutOfLimits)
    assert "The run was measured with another grid" in str(error)


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    assert "There is no journal in" in str(refused(tmp_path, Remembering()))


def test_all_that_was_out_stays_open_when_an_instrument_that_remembers_is_gone(tmp_path: Path) -> None:
    """The first batch finds nobody; the second one is at an instrument that was started anew."""

    async def nobody(request: ScanRequest) -> None:
        if request.batch == 0:
            raise Unavailable("The instrument service closed the connection.")
        await asyncio.Event().wait()

    declared = capabilities(simulated=False)
    before = Remembering(declared=declared, hold=nobody)
    finished = run(Run(PLAN, tmp_path, before, FakeModel()).execute())
    assert finished.reason is FinishReason.FAILED
    finished = go_on(tmp_path, Remembering(declared=declared))
    assert finished.reason is FinishReason.COMPLETED
    assert len(_points(tmp_path)) == 120


def test_of_a_clock_that_began_anew_no_time_before_its_beginning_is_asked_for() -> None:
    """An instrument that was started again is quicker on its new clock than the run expected."""
    ledger = Ledger(Terms(PLAN, capabilities()), "run")
    ledger.begin(9.0)
    ledger.meet_again()
    first = ledger.order(np.array([[0, 0]], np.int32), 9.0)
    ledger.receive(first.batch, block_of(first, 0.0))
    assert ledger.order(np.array([[0, 1]], np.int32), 8.5).not_before_s == 0.0
