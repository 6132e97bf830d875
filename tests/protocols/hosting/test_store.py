"""What the ledger keeps: any order of requests, deaths, failures, resends and acknowledgements, and what must hold."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from grainloop.protocols.capabilities import Capabilities
from grainloop.protocols.errors import DeviceFailed, OutOfLimits
from grainloop.protocols.hosting.id_ranges import inside, no_ids, with_ids
from grainloop.protocols.hosting.measuring import Measuring
from grainloop.protocols.hosting.spool import SUFFIX, SpoolFolder
from grainloop.protocols.hosting.store import BatchStore
from grainloop.protocols.messages import ScanRequest
from grainloop.protocols.values import PointBlock, PointStatus
from tests.protocols.hosting.bench import CAPABILITIES, scan

BATCH = 6
"""Points of a batch."""
NUMBERS = st.integers(0, 8)
"""So many that some were never asked for."""


class Died(BaseException):
    """The process ends here."""


@dataclass
class Exposing:
    """A driver that exposes one by one, yields blocks, and ends the process or fails before some exposure."""

    capabilities: Capabilities
    block: int
    exposed: list[int] = field(default_factory=list[int])
    die_in: int | None = None
    fail_in: int | None = None

    def scan(self, request: ScanRequest) -> Iterator[PointBlock]:
        held: list[PointBlock] = []
        for index, point in enumerate(request.point_id.tolist()):
            if self.fail_in == 0 and not held:
                raise DeviceFailed("The filament broke.")
            held.append(self._expose(request, index, point))
            if len(held) == self.block or index == len(request.point_id) - 1:
                yield PointBlock.concatenate(held)
                held = []

    def _expose(self, request: ScanRequest, index: int, point: int) -> PointBlock:
        if self.die_in == 0:
            raise Died
        self.die_in = None if self.die_in is None else self.die_in - 1
        self.fail_in = None if self.fail_in is None else max(0, self.fail_in - 1)
        self.exposed.append(point)
        time_s = 0.1 * len(self.exposed)
        return PointBlock.one(point, request.position_px[index], time_s=time_s, dwell_s=request.dwell_s)

    def light(self, section: int, angles_deg: tuple[float, ...]) -> np.ndarray:
        raise NotImplementedError

    def park(self) -> None:
        pass


class Service(RuleBasedStateMachine):
    """Requests, deaths, failures, resends and acknowledgements in any order, beside what must be true of them."""

    @initialize(ahead=st.sampled_from([None, 1, 2, 4]), block=st.integers(1, 4))
    def begin(self, ahead: int | None, block: int) -> None:
        self.folder = Path(tempfile.mkdtemp())
        block = block if ahead is None else min(block, ahead)
        self.device = Exposing(CAPABILITIES.model_copy(update={"exposes_ahead": ahead}), block)
        self.told: dict[int, PointBlock] = {}
        self.begun: set[int] = set()
        self.below = 0
        self._start()

    def _start(self) -> None:
        self.spool = SpoolFolder(self.folder, "bench SEM")
        self.ledger = BatchStore(self.spool)
        self.measuring = Measuring(self.device)

    def _stop(self) -> None:
        self.ledger.close()
        self.spool.close()

    def _request(self, number: int) -> ScanRequest:
        return scan(BATCH * number, BATCH, batch=number)

    def _scan(self, number: int) -> str:
        """How a request ended: done, failed, died, refused."""
        try:
            batch = self.ledger.claim(self._request(number))
        except OutOfLimits:
            return "refused"
        self.begun.add(number)
        end = "done"
        try:
            done = self.measuring.measure(batch, lambda: None, lambda: None)
            assert done.points == BATCH
        except DeviceFailed:
            end = "failed"
        except Died:
            end = "died"
        for one in batch.told:
            for index, point in enumerate(one.points.point_id.tolist()):
                told = one.points.select(slice(index, index + 1))
                assert self.told.setdefault(point, told) == told
        if end == "done":
            ids = np.concatenate([one.points.point_id for one in batch.told])
            assert sorted(ids.tolist()) == self._request(number).point_id.tolist()
        return end

    @rule(number=NUMBERS)
    def ask(self, number: int) -> None:
        self.device.die_in = self.device.fail_in = None
        assert self._scan(number) == ("refused" if number < self.below else "done")

    @rule(number=NUMBERS, after=st.integers(0, BATCH - 1), again=st.booleans())
    def die(self, number: int, after: int, again: bool) -> None:
        self.device.die_in, self.device.fail_in = after, None
        self._scan(number)
        self.restart()
        if again:
            self.ask(number)

    @rule(number=NUMBERS, after=st.integers(0, BATCH))
    def fail(self, number: int, after: int) -> None:
        self.device.die_in, self.device.fail_in = None, after
        self._scan(number)

    @rule()
    def restart(self) -> None:
        self._stop()
        self._start()

    @precondition(lambda self: self.begun)
    @rule(torn=st.binary(min_size=1, max_size=40))
    def restart_behind_a_torn_end(self, torn: bytes) -> None:
        self._stop()
        for path in self.folder.glob(f"*{SUFFIX}"):
            with path.open("ab") as file:
                file.write(torn)
        self._start()

    @rule(below=st.integers(0, 9), tidy=st.booleans())
    def store(self, below: int, tidy: bool) -> None:
        run = self.ledger.run("r1")
        run.drop(0, below, [])
        run._tidy_bytes = 0 if tidy else 10**9
        run.tidy()
        self.below = max(self.below, below)

    @invariant()
    def nothing_is_exposed_twice(self) -> None:
        assert len(set(self.device.exposed)) == len(self.device.exposed)

    @invariant()
    def what_is_told_was_exposed_or_is_a_failure_with_its_dose(self) -> None:
        for point, one in self.told.items():
            assert one.status[0] == PointStatus.FAILED or point in self.device.exposed
            assert one.dwell_s[0] == np.float32(0.1)

    def teardown(self) -> None:
        self._stop()
        shutil.rmtree(self.folder)


Service.TestCase.settings = settings(
    max_examples=40, stateful_step_count=12, deadline=None, suppress_health_check=list(HealthCheck)
)
TestService = Service.TestCase


@pytest.fixture(autouse=True)
def quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """No machine dies in these tests."""
    monkeypatch.setattr("grainloop.protocols.record_file.sync_data", lambda _descriptor: None)
    monkeypatch.setattr("os.fsync", lambda _descriptor: None)


@given(st.lists(st.lists(st.integers(0, 40), max_size=8), max_size=6))
def test_stretches_of_ids_are_sets(lists):
    ranges, expected = no_ids(), set()
    for ids in lists:
        ranges = with_ids(ranges, np.array(ids, np.int64))
        expected |= set(ids)
    everything = np.arange(-1, 43)
    assert set(everything[inside(ranges, everything)].tolist()) == expected
    assert (np.diff(ranges) > 0).all()


def test_old_runs_leave_the_memory_and_come_back_from_the_spool(tmp_path):
    spool = SpoolFolder(tmp_path, "bench SEM")
    device = Exposing(CAPABILITIES, 1)
    ledger, measuring = BatchStore(spool, max_points=20), Measuring(device)
    for run in ("a", "b", "c"):
        measuring.measure(ledger.claim(scan(run=run)), lambda: None, lambda: None)
    assert list(ledger._runs) == ["b", "c"]
    batch = ledger.claim(scan(run="a"))
    assert batch.done is not None
    assert len(device.exposed) == 30
    ledger.close()
    spool.close()


def test_a_device_that_exposes_farther_ahead_than_declared_is_told(tmp_path):
    spool = SpoolFolder(tmp_path, "bench SEM")
    ledger = BatchStore(spool)
    device = Exposing(CAPABILITIES.model_copy(update={"exposes_ahead": 2}), 4)
    batch = ledger.claim(scan())
    with pytest.raises(DeviceFailed, match=r"exposed point 2 of batch 0 more than exposes_ahead 2 points before its"):
        Measuring(device).measure(batch, lambda: None, lambda: None)
    assert [one.points.point_id.tolist() for one in batch.told] == [[0, 1, 2, 3]]
    ledger.close()
    spool.close()
