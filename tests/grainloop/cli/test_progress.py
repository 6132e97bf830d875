"""What of a run stays on the terminal above the bar: what went otherwise than planned, what was lost in red."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from grainloop.cli.operate import progress
from grainloop.protocols.messages import EventKind, RunEvent, Severity
from grainloop.protocols.states import RunState


def event(kind: EventKind) -> RunEvent:
    return RunEvent(
        sequence=1, state=RunState.RUNNING, event=kind, text=f"It is {kind}.", points_measured=1, points_budget=2
    )


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=200, color_system="standard", legacy_windows=False)
    monkeypatch.setattr(progress, "Console", lambda **_: console)
    return out


def test_a_terminal_keeps_what_an_operator_should_see(terminal: io.StringIO) -> None:
    with progress.show_events() as heard:
        for kind in EventKind:
            heard(event(kind))
    lines = terminal.getvalue().splitlines()
    shown = {kind for kind in EventKind if any(f"It is {kind}." in line for line in lines)}
    assert shown == {kind for kind in EventKind if kind.severity >= Severity.WARNING}
    (lost,) = (line for line in lines if "It is points_lost." in line)
    (drift,) = (line for line in lines if "It is drift." in line)
    assert "\x1b[1;31m" in lost
    assert "\x1b[33m" in drift
