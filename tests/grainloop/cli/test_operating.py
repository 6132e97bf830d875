"""What commands show of a run: where it stands, lines for programs, and an end that is told once."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from rich.console import Console

from grainloop.cli.operate import conversation, progress
from grainloop.cli.operate.conversation import Controller, show_status, watch_run
from grainloop.protocols.messages import EventKind, RunEvent, RunFinished, RunStatus
from grainloop.protocols.states import FinishReason, RunState

AT = Controller("tcp://127.0.0.1:1")
ENDED = RunFinished(
    reason=FinishReason.COMPLETED,
    detail="the budget is spent",
    session_file="s/session.h5",
    points_measured=1,
    rounds=1,
    instrument_s=1,
    idle_s=0,
    wall_s=1,
)


def event(kind: EventKind, **fields: Any) -> RunEvent:
    told = {"sequence": 1, "state": RunState.RUNNING, "event": kind, "text": f"It is {kind}."}
    return RunEvent(**told | {"points_measured": 50, "points_budget": 200} | fields)


def answered(monkeypatch: pytest.MonkeyPatch, status: RunStatus) -> None:
    async def ask(*_arguments: object) -> RunStatus:
        return status

    monkeypatch.setattr(conversation, "_ask", ask)


def test_the_status_tells_folder_share_and_time_to_go(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    last = event(EventKind.BATCH_DONE, predicted_wrong=0.123, instrument_s=100.0)
    answered(monkeypatch, RunStatus(state=RunState.RUNNING, last=last, session="/data/monday"))
    show_status(AT, json=False)
    assert capsys.readouterr().out.splitlines() == [
        "The run is running.",
        "It is stored in /data/monday.",
        "50 of at most 200 points, predicted wrong: 12.3%, at most about 5 min of instrument time to go; last event: "
        "It is batch_done.",
    ]


@pytest.mark.parametrize("state", [RunState.FINISHED, RunState.PREPARING])
def test_nothing_is_said_of_time_where_nothing_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], state: RunState
) -> None:
    measured = 0 if state is RunState.PREPARING else 50
    answered(monkeypatch, RunStatus(state=state, last=event(EventKind.DESCRIBED, points_measured=measured)))
    show_status(AT, json=False)
    assert "to go" not in capsys.readouterr().out


class Told:
    """A connection over which a run tells its events; notes what was on stdout after each of them."""

    def __init__(self, events: list[RunEvent], seen: Callable[[], str]) -> None:
        self._events, self._seen, self.after = events, seen, list[str]()

    async def __aenter__(self) -> Told:
        return self

    async def __aexit__(self, *_: object) -> None: ...

    async def request(self, _message: object, *, on_progress: Callable[[RunEvent], None], **_: object) -> RunFinished:
        for one in self._events:
            on_progress(one)
            self.after.append(self._seen())
        return ENDED


def test_watching_as_json_is_a_line_at_once_for_each_event_and_one_for_the_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    events = [event(EventKind.RUNNING), event(EventKind.BATCH_DONE), event(EventKind.FINISHED)]
    told = Told(events, lambda: capsys.readouterr().out)
    monkeypatch.setattr(conversation, "_connected", lambda _controller: told)
    assert watch_run(AT, json=True) == 0
    assert [RunEvent.model_validate_json(line) for line in told.after] == events
    end = capsys.readouterr()
    assert RunFinished.model_validate(json.loads(end.out)) == ENDED
    assert (end.out.count("\n"), end.err) == (1, "")


def test_how_a_run_ended_is_told_once(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    said = io.StringIO()
    monkeypatch.setattr(progress, "Console", lambda **_: Console(file=said, width=200))
    text = "The run has completed: the budget is spent"
    told = Told([event(EventKind.RUNNING), event(EventKind.FINISHED, text=f"{text}.")], lambda: "")
    monkeypatch.setattr(conversation, "_connected", lambda _controller: told)
    assert watch_run(AT, json=False) == 0
    assert said.getvalue() == "It is running.\n"
    assert capsys.readouterr().out == f"{text}\n1 point in s/session.h5\n"
