"""While a long run is decided again, to be gone on with, its controller answers; an abort leaves nothing locked."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from grainloop.controller.journal.writing import Journal
from grainloop.controller.record.recording import JOURNAL_NAME, Recording
from grainloop.protocols.errors import RemoteError
from grainloop.protocols.messages import Command, GetStatus, ResumeRequest, RunCommand, RunEvent, RunRequest
from grainloop.protocols.states import FinishReason
from tests.controller.serve.test_service import PLAN, Lab, ask


class Slow:
    """In the place of `Recording.take_up`: takes until it may go on."""

    def __init__(self) -> None:
        self.begun, self.may_go_on = threading.Event(), threading.Event()
        self._take_up = Recording.take_up

    def __call__(self, *about: Any) -> Any:
        self.begun.set()
        assert self.may_go_on.wait(60)
        return self._take_up(*about)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[Slow]:
    slow = Slow()
    monkeypatch.setattr(Recording, "take_up", slow)
    yield slow
    slow.may_go_on.set()


async def stopped_run(client: Any, folder: Path) -> None:
    """A run that is over before its budget is spent."""

    def heard(event: RunEvent) -> None:
        if event.event == "batch_done" and not told:
            told.append(asyncio.create_task(ask(client, Command(command=RunCommand.STOP))))

    told = list[asyncio.Task[Any]]()
    finished = await ask(client, RunRequest(plan=PLAN, session_dir=str(folder)), heard)
    await asyncio.wait(told)
    assert finished.reason is FinishReason.STOPPED


async def test_the_controller_answers_meanwhile(tmp_path: Path, slow: Slow) -> None:
    async with Lab().open() as client:
        await stopped_run(client, tmp_path)
        going_on = asyncio.create_task(ask(client, ResumeRequest(session_dir=str(tmp_path))))
        await asyncio.to_thread(slow.begun.wait)
        assert (await ask(client, GetStatus())).state == "preparing"
        slow.may_go_on.set()
        assert (await going_on).reason is FinishReason.COMPLETED


async def test_an_abort_meanwhile_lets_go_of_the_journal(tmp_path: Path, slow: Slow) -> None:
    async with Lab().open() as client:
        await stopped_run(client, tmp_path)
        going_on = asyncio.create_task(ask(client, ResumeRequest(session_dir=str(tmp_path))))
        await asyncio.to_thread(slow.begun.wait)
        aborting = asyncio.create_task(ask(client, Command(command=RunCommand.ABORT)))
        await ask(client, GetStatus())  # answered behind the abort, so that has come
        slow.may_go_on.set()
        await asyncio.wait([going_on, aborting])
        reply = going_on.exception() or going_on.result()
        assert isinstance(reply, RemoteError) or reply.reason is FinishReason.ABORTED
    Journal(tmp_path / JOURNAL_NAME).close()
