"""Three services started by hand over TCP, as in three terminals."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path

import pytest

from grainloop.cli.serve.processes import Children, free_endpoints, healthy
from grainloop.controller.session.reader import load_session
from grainloop.protocols.aio import Client
from grainloop.protocols.errors import Unavailable
from grainloop.protocols.messages import ControlReply, InstrumentReply, RunEvent, RunRequest
from grainloop.protocols.plan import Budget, RunPlan
from grainloop.protocols.states import FinishReason
from tests.integration.processes import cropped, grainloop, services, written
from tests.patience import HANG_S

PLAN = "batches = 2\n[budget]\nfraction = 0.04\n"
LONG = "batches = 40\n[budget]\nfraction = 1.0\n"
"""So much that something is left whenever somebody gets round to stopping it."""


@pytest.fixture(scope="module")
def titanium(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(cropped(), tmp_path_factory.mktemp("maps") / "crop.ang")


def test_run_and_status_with_services_started_by_hand(titanium: Path, tmp_path: Path) -> None:
    (tmp_path / "plan.toml").write_text(PLAN)
    (tmp_path / "long.toml").write_text(LONG)
    with services(titanium, tmp_path) as (running, at):
        options = ("--controller", at["controller"])
        with grainloop("status", "--json", *options, cwd=tmp_path) as status:
            assert json.loads(status.finish()[1])["state"] == "idle"
        with grainloop("pause", *options, cwd=tmp_path) as pause:
            assert pause.finish() == (1, "", "grainloop: There is no run to pause.\n")
        with grainloop("run", "--plan", "plan.toml", "--out", "out", *options, cwd=tmp_path) as run:
            code, stdout, stderr = run.finish()
            assert code == 0, stderr
            assert "The run has completed: the budget is spent" in stdout
        with grainloop("run", "--plan", "plan.toml", "--out", "out", *options, cwd=tmp_path) as again:
            code, _, stderr = again.finish()
            assert code == 1
            assert "session.h5 exists already" in stderr
        with grainloop("run", "--plan", "long.toml", "--out", "stopped", *options, cwd=tmp_path) as stopped:
            stopped.wait_for("Batch 0: ")
            stopped.process.send_signal(signal.SIGINT)
            code, stdout, stderr = stopped.finish()
            assert code == 0, stderr
            assert "The run has stopped: the operator stopped the run" in stdout
        with grainloop("status", *options, cwd=tmp_path) as status:
            assert "The run is finished." in status.finish()[1]
        with grainloop("serve", "model", "--endpoint", at["model"], cwd=tmp_path) as second:
            code, _, stderr = second.finish()
            assert code == 1
            assert stderr == (
                f"grainloop: The model service cannot listen on {at['model']}: "
                f"port {at['model'].rpartition(':')[2]} is already in use.\n"
            )
        for one in running.values():
            one.process.send_signal(signal.SIGINT)
        assert {name: one.finish()[0] for name, one in running.items()} == dict.fromkeys(running, 0)
    assert len(load_session(tmp_path / "out" / "session.h5").points) == 92
    assert (tmp_path / "out" / "orientation.png").exists()


async def test_an_instrument_killed_in_the_middle_loses_no_acknowledged_point(titanium: Path, tmp_path: Path) -> None:
    plan, acknowledged = RunPlan(budget=Budget(fraction=1.0), batches=40, fill_in=False), 0
    with services(titanium, tmp_path) as (running, at):

        def heard(event: RunEvent) -> None:
            nonlocal acknowledged
            acknowledged = max(acknowledged, event.points_measured)
            if event.event == "decided" and running["instrument"].process.poll() is None:
                os.kill(running["instrument"].process.pid, signal.SIGKILL)

        async with Client(at["controller"], ControlReply, service="controller") as client:
            request = RunRequest(plan=plan, session_dir=str(tmp_path / "out"))
            finished = await client.request(request, deadline_s=HANG_S, on_progress=heard)
    assert finished.reason is FinishReason.FAILED
    assert "The instrument service" in finished.detail
    session = load_session(Path(finished.session_file))
    assert len(session.points) >= acknowledged >= 90
    assert session.finish_reason == "failed"


async def test_a_model_killed_in_the_middle_is_replaced_by_space_filling(titanium: Path, tmp_path: Path) -> None:
    plan = RunPlan(budget=Budget(fraction=0.06), batches=6, model_deadline_s=HANG_S, fill_in=False)
    events: list[RunEvent] = []
    with services(titanium, tmp_path) as (running, at):

        def heard(event: RunEvent) -> None:
            events.append(event)
            if event.event == "decided" and running["model"].process.poll() is None:
                os.kill(running["model"].process.pid, signal.SIGKILL)

        async with Client(at["controller"], ControlReply, service="controller") as client:
            request = RunRequest(plan=plan, session_dir=str(tmp_path / "out"))
            finished = await client.request(request, deadline_s=HANG_S, on_progress=heard)
    assert finished.reason is FinishReason.COMPLETED
    assert finished.points_measured == 138
    session = load_session(Path(finished.session_file))
    filled = [decision["decided_by"] == "space_filling" for decision in session.decisions[2:]]
    assert filled == sorted(filled)
    assert not filled[0]
    assert filled[-1]
    assert [e.event for e in events].count("model_failed") == sum(filled)
    assert session.final is None
    assert session.latest is not None


async def test_a_service_that_dies_at_the_start_is_named_with_its_last_words(tmp_path: Path) -> None:
    async with Children(tmp_path / "logs") as children:
        (endpoint,) = free_endpoints(1)
        child = children.start("instrument", endpoint, ["--driver", "no_such_module:driver"])
        with pytest.raises(Unavailable, match=r"The instrument service died \(exit code 1\): .*no_such_module"):
            await healthy(child, InstrumentReply)
    await asyncio.sleep(0)


def test_without_a_controller_the_commands_say_how_to_start_one(tmp_path: Path) -> None:
    (endpoint,) = free_endpoints(1)
    with grainloop("status", "--controller", endpoint, cwd=tmp_path) as status:
        code, stdout, stderr = status.finish()
    assert (code, stdout) == (1, "")
    assert f"No controller service answers at {endpoint}; start it with: grainloop serve controller." in stderr
