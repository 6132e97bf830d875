"""Three services that ask for keys, as processes: what each role can do at the command line, revocation, junk."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Generator
from pathlib import Path

import numpy as np
import pytest

from grainloop.protocols.aio import Client
from grainloop.protocols.errors import ErrorCode, NotPermitted, RemoteError
from grainloop.protocols.messages import (
    CheckHealth,
    Command,
    ControlReply,
    Describe,
    FollowRun,
    InstrumentReply,
    LightRequest,
    Park,
    RunCommand,
    RunEvent,
    RunRequest,
    ScanRequest,
)
from grainloop.protocols.plan import Budget, RunPlan
from grainloop.protocols.security import Role
from grainloop.protocols.states import FinishReason
from tests.integration.guarded import NAMES, Guarded, guarded
from tests.integration.junk import throw_junk
from tests.integration.processes import grainloop
from tests.patience import HANG_S

PLAN = RunPlan(budget=Budget(fraction=0.04), batches=2)
SCAN = ScanRequest(batch=0, point_id=np.arange(1), position_px=np.zeros((1, 2), np.int32), dwell_s=0.02)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Generator[Guarded]:
    with guarded(tmp_path_factory.mktemp("lab")) as running:
        yield running


async def test_an_operator_measures_a_viewer_watches_and_an_owner_stores_where_she_likes(
    lab: Guarded, tmp_path: Path
) -> None:
    at, events = lab.at["controller"], list[RunEvent]()
    operator, viewer, owner = (
        Client(at, ControlReply, service="controller", credentials=lab.credentials(role, "controller"))
        for role in (Role.OPERATOR, Role.VIEWER, Role.OWNER)
    )
    async with operator, viewer, owner:
        elsewhere = RunRequest(plan=PLAN, session_dir=str(tmp_path / "elsewhere"))
        with pytest.raises(RemoteError, match="Only an owner may store a session in"):
            await operator.request(elsewhere, deadline_s=10)
        began = asyncio.Event()
        run = operator.request(
            RunRequest(plan=PLAN, session_dir="first"), deadline_s=HANG_S, on_progress=lambda _: began.set()
        )
        running = asyncio.create_task(run)
        await began.wait()
        watched = await viewer.request(FollowRun(after=0), deadline_s=HANG_S, on_progress=events.append)
        finished = await running
        assert watched == finished
        assert finished.reason is FinishReason.COMPLETED
        assert [event.sequence for event in events] == list(range(1, len(events) + 1))
        assert Path(finished.session_file).is_relative_to(lab.sessions)
        with grainloop("watch", "--json", *lab.options(Role.VIEWER), cwd=tmp_path) as watch:
            code, out, err = await asyncio.to_thread(watch.finish)
        assert (code, json.loads(out.splitlines()[-1])["kind"]) == (0, "run_finished"), err
        assert (await owner.request(elsewhere, deadline_s=HANG_S)).reason is FinishReason.COMPLETED


async def test_a_viewer_cannot_scan_move_or_stop_whatever_she_connects_to(lab: Guarded) -> None:
    to_instrument = lab.credentials(Role.VIEWER, "instrument")
    async with Client(lab.at["instrument"], InstrumentReply, service="instrument", credentials=to_instrument) as client:
        assert (await client.request(Describe(), deadline_s=10)).capabilities.simulated
        for request in (SCAN, LightRequest(), Park(), CheckHealth()):
            with pytest.raises(RemoteError, match="needs the role operator") as caught:
                await client.request(request, deadline_s=10)
            assert caught.value.code is ErrorCode.NOT_PERMITTED
    to_controller = lab.credentials(Role.VIEWER, "controller")
    async with Client(lab.at["controller"], ControlReply, service="controller", credentials=to_controller) as client:
        for request in (*(Command(command=word) for word in RunCommand), RunRequest(plan=PLAN, session_dir="x")):
            with pytest.raises(RemoteError, match="needs the role operator"):
                await client.request(request, deadline_s=10)


def test_the_command_line_says_in_one_sentence_what_is_wrong(lab: Guarded, tmp_path: Path) -> None:
    at = lab.at["controller"]
    told = {
        ("status", "--json", *lab.options(Role.VIEWER)): (0, ""),
        ("abort", *lab.options(Role.VIEWER)): (1, "controller refuses command: it needs the role operator"),
        ("status", *lab.options("stranger")): (1, "does not know the key stranger; it is let in there by:"),
        ("status", "--controller", at): (1, "talks only to keys"),
    }
    for arguments, (expected, words) in told.items():
        with grainloop(*arguments, cwd=tmp_path) as one:
            code, out, err = one.finish()
        assert code == expected, err
        assert words in err
        if code == 0:
            assert json.loads(out)["state"] in ("idle", "finished")
        else:
            assert err.count("\n") == 1


async def test_a_revoked_key_is_refused_without_a_restart(lab: Guarded) -> None:
    proof = lab.credentials(Role.OPERATOR, "model")
    assert await lab.health("model", Role.OPERATOR)
    lab.keys.revoke(Role.OPERATOR)
    try:
        with pytest.raises(NotPermitted, match="does not know the key operator"):
            await lab.health("model", Role.OPERATOR)
    finally:
        lab.keys.authorise(proof.own.public, Role.OPERATOR, Role.OPERATOR)
    assert await lab.health("model", Role.OPERATOR)


async def test_junk_on_every_port_leaves_every_service_serving(lab: Guarded) -> None:
    """The long form is `make fuzz`."""
    seed = random.randrange(2**32)  # noqa: S311
    print("seed", seed)  # noqa: T201
    rng = random.Random(seed)  # noqa: S311
    thrown = await asyncio.to_thread(throw_junk, list(lab.at.values()), 3.0, rng)
    assert thrown > 30
    assert [await lab.health(name) for name in NAMES] == [True] * 3
