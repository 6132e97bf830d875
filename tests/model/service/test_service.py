"""The model service over a socket: sections, health by work, withdrawals, deadlines."""

import asyncio
import threading
from dataclasses import dataclass, field

import pytest

from grainloop.model.reconstruct import NearestNeighbour
from grainloop.model.service.methods import methods
from grainloop.model.service.sections import BYTES_PER_PIXEL
from grainloop.model.weights import weights_files
from grainloop.protocols.errors import DeadlineExceeded, ErrorCode, RemoteError
from grainloop.protocols.messages import CheckHealth, CloseSection, DescribeModel
from tests.model.service.fakes import SOON_S, happens
from tests.model.service.runs import asking, connection, opening, running, section, serving


@dataclass
class Patient:
    """A method that waits in its worker thread until it is let go, or cancelled."""

    name: str = "patient"
    entered: threading.Event = field(default_factory=threading.Event)
    leave: threading.Event = field(default_factory=threading.Event)
    saw_cancel: threading.Event = field(default_factory=threading.Event)

    def __call__(self, problem, options, report, cancelled):
        self.entered.set()
        while not self.leave.wait(0.01):
            if cancelled():
                self.saw_cancel.set()
                break
        return NearestNeighbour()(problem, options, report, cancelled)


@pytest.fixture
def patient(monkeypatch):
    method = Patient()
    monkeypatch.setitem(methods(), "patient", method)
    yield method
    method.leave.set()


async def test_a_section_is_opened_reconstructed_and_closed_over_a_socket():
    truth, points = section()
    async with serving() as endpoint, connection(endpoint) as model:
        opened = await model.request(opening(), deadline_s=SOON_S)
        assert not opened.light_usable
        stages = []
        found = await model.request(asking(points, propose=12), deadline_s=SOON_S, on_progress=stages.append)
        assert found.orientation.shape == truth.shape
        assert len(found.proposals.gain) == 12
        assert [s.stage for s in stages][:2] == ["registration", "phases"]
        assert stages[-1].stage == "proposals"
        assert (await model.request(CloseSection(section_key="s"), deadline_s=SOON_S)).section_key == "s"
        with pytest.raises(RemoteError) as refused:
            await model.request(asking(points), deadline_s=SOON_S)
        assert refused.value.code is ErrorCode.UNKNOWN_SECTION
        assert refused.value.field == "section_key"


async def test_health_is_proved_by_a_reconstruction_even_while_the_worker_is_busy(patient):
    _, points = section()
    async with serving() as endpoint, connection(endpoint) as model:
        await model.request(opening(), deadline_s=SOON_S)
        busy = asyncio.create_task(model.request(asking(points, method="patient"), deadline_s=SOON_S))
        await happens(patient.entered)
        health = await model.request(CheckHealth(), deadline_s=SOON_S)
        assert health.ok
        assert "16×16" in health.detail
        assert not busy.done()
        patient.leave.set()
        assert (await busy).method == "patient"


async def test_the_service_says_what_it_offers():
    async with serving() as endpoint, connection(endpoint) as model:
        said = await model.request(DescribeModel(), deadline_s=SOON_S)
    assert said.default_method in said.methods
    assert {"nn", "pl_watershed", "pl_candidates"} <= set(said.methods)
    assert said.default_policy in said.policies
    assert {"grid", "random", "spread"} <= set(said.policies)
    assert {"6/mmm", "m-3m"} <= set(said.point_groups)
    assert dict(said.weights_sha256) == {group: file.sha256 for group, file in weights_files().items()}


async def test_a_withdrawn_request_stops_the_work_and_the_next_one_is_served(patient):
    _, points = section()
    async with serving() as endpoint, connection(endpoint) as model:
        await model.request(opening(), deadline_s=SOON_S)
        doomed = asyncio.create_task(model.request(asking(points, method="patient"), deadline_s=SOON_S))
        await happens(patient.entered)
        doomed.cancel()
        await happens(patient.saw_cancel)
        assert (await model.request(asking(points), deadline_s=SOON_S)).predicted_wrong < 1


async def test_a_deadline_stops_the_work(patient):
    _, points = section()
    async with serving() as endpoint, connection(endpoint) as model:
        await model.request(opening(), deadline_s=SOON_S)
        with pytest.raises((DeadlineExceeded, RemoteError)) as late:
            await model.request(asking(points, method="patient"), deadline_s=0.5)
        assert late.value.code is ErrorCode.DEADLINE_EXCEEDED
        await happens(patient.saw_cancel)


async def test_the_service_forgets_the_oldest_section_when_memory_is_needed():
    _, points = section()
    async with serving(memory_bytes=24 * 24 * BYTES_PER_PIXEL) as endpoint, connection(endpoint) as model:
        await model.request(opening(key="old"), deadline_s=SOON_S)
        await model.request(opening(key="new"), deadline_s=SOON_S)
        with pytest.raises(RemoteError) as forgotten:
            await model.request(asking(points, key="old"), deadline_s=SOON_S)
        assert forgotten.value.code is ErrorCode.UNKNOWN_SECTION
        assert (await model.request(asking(points, key="new"), deadline_s=SOON_S)).section_key == "new"


async def test_a_faulty_request_is_a_sentence_and_the_service_lives_on():
    _, points = section()
    async with serving() as endpoint, connection(endpoint) as model:
        await model.request(opening(), deadline_s=SOON_S)
        with pytest.raises(RemoteError, match="no method 'magic'") as refused:
            await model.request(asking(points, method="magic"), deadline_s=SOON_S)
        assert refused.value.code is ErrorCode.BAD_INPUT
        assert (await model.request(asking(points), deadline_s=SOON_S)).predicted_wrong < 1


async def test_a_stop_in_the_middle_of_work_ends_the_service(patient):
    _, points = section()
    async with running() as (endpoint, stop, task), connection(endpoint) as model:
        await model.request(opening(), deadline_s=SOON_S)
        busy = asyncio.create_task(model.request(asking(points, method="patient"), deadline_s=SOON_S))
        await happens(patient.entered)
        stop.set()
        with pytest.raises(RemoteError) as ended:
            await busy
        assert ended.value.code is ErrorCode.UNAVAILABLE
        await asyncio.wait_for(task, SOON_S)
    assert patient.saw_cancel.is_set()
    assert not [t for t in threading.enumerate() if t.name.startswith("model work")]
