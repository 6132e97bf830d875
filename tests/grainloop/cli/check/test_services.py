"""`grainloop check` of services: ports, declarations, keys, the small installation of an instrument PC."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from grainloop.cli.check import services
from grainloop.cli.check.findings import Finding, State
from grainloop.cli.serve.processes import free_endpoints
from grainloop.protocols.aio import Service, run
from grainloop.protocols.capabilities import Capabilities
from grainloop.protocols.messages import CheckHealth, Describe, Description, Health, InstrumentRequest
from grainloop.protocols.security import Access, KeyFolder, Role
from grainloop.protocols.shapes import ScanShape
from grainloop.protocols.values import Phase
from tests.controller import fakes
from tests.grainloop.cli.check.rows import found_by
from tests.patience import HANG_S


def test_a_port_nobody_uses_is_free_unless_somebody_was_expected() -> None:
    (endpoint,) = free_endpoints(1)
    assert [one.state for one in services.service(services.Place("model", endpoint))] == [State.OK]
    (one,) = services.service(services.Place("model", endpoint, asked_for=True))
    assert (one.state, one.do) == (State.FAIL, "Start it: grainloop serve model.")


def test_nothing_is_sent_to_another_machine_without_keys() -> None:
    (one,) = services.service(services.Place("instrument", "tcp://192.0.2.1:5701", asked_for=True))
    assert (one.state, one.what) == (State.FAIL, "encryption to the instrument")


@contextmanager
def listening() -> Generator[str]:
    """A program that takes connections, and answers as a web server would."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        yield f"tcp://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_another_program_on_the_port_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "ANSWER_S", 1.0)
    with listening() as endpoint:
        (one,) = services.service(services.Place("model", endpoint))
    assert one.state is State.FAIL
    assert endpoint in one.found


@contextmanager
def instrument(declared: Capabilities, access: Access | None = None, **promised: Any) -> Generator[str]:
    """A service with the given declaration, in a thread with a loop of its own."""

    async def describe(_request: Describe, _call: object) -> Description:
        return Description(capabilities=declared, **promised)

    async def health(_request: CheckHealth, _call: object) -> Health:
        return Health(service="instrument", version="0.0", ok=False, detail="The stage does not answer.")

    (endpoint,), ready, loops = free_endpoints(1), threading.Event(), list[Any]()

    async def serve() -> None:
        stop = asyncio.Event()
        loops.extend([asyncio.get_running_loop(), stop])
        service = Service("instrument", InstrumentRequest, {Describe: describe, CheckHealth: health})
        await service.run(endpoint, ready=ready.set, stop=stop, access=access)

    thread = threading.Thread(target=lambda: run(serve()))
    thread.start()
    assert ready.wait(HANG_S)
    try:
        yield endpoint
    finally:
        loops[0].call_soon_threadsafe(loops[1].set)
        thread.join()


def test_what_an_instrument_declares_is_judged() -> None:
    phase = Phase(phase_id=1, name="Quartz", point_group="-3m")
    shapes = {"shapes": fakes.capabilities().shapes.model_copy(update={"accepted": (ScanShape.RECTANGLES,)})}
    timing = {"timing": type(fakes.TIMING)()}
    declared = fakes.capabilities(light=False, simulated=False, phases=(phase,), **shapes, **timing)
    with instrument(declared, spools=False, dead_man_s=0.0) as endpoint:
        rows = found_by(services.service(services.Place("instrument", endpoint)))
        elsewhere = found_by(services.service(services.Place("model", endpoint)))
    states = {what: one.state for what, one in rows.items()}
    assert states == {
        "instrument service": State.OK,
        "capabilities": State.OK,
        "shapes": State.WARN,
        "timing": State.WARN,
        "phase Quartz": State.WARN,
        "PL": State.WARN,
        "spool of the instrument": State.FAIL,
        "dead-man timer": State.WARN,
        "instrument health": State.FAIL,
        "instrument version": State.WARN,
    }
    assert rows["instrument health"].found == "The stage does not answer."
    assert elsewhere["model service"].do == "Another service of grainloop listens there: look at the ports."


def test_the_small_install_of_an_instrument_pc_is_no_fault() -> None:
    """In a process of its own, which must not find what only other machines have."""
    lacking = ["torch", "numba", "scipy", "h5py", "orix", "matplotlib", "skimage", "SimpleITK", "prometheus_client"]
    blind = f"import sys; sys.modules.update(dict.fromkeys({lacking!r}))"
    code = f"{blind}; from grainloop.cli import main; sys.exit(main())"
    with instrument(fakes.capabilities(), spools=True, dead_man_s=30.0) as endpoint:
        command = [sys.executable, "-c", code, "check", "--json", "--instrument", endpoint]
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=HANG_S)
    assert done.stderr == ""
    told = json.loads(done.stdout)["findings"]
    rows = found_by(Finding(**row | {"state": State(row["state"])}) for row in told)
    assert [what for what, one in rows.items() if one.state is State.FAIL] == ["instrument health"]
    assert rows["phase Ti"].found == "6/mmm, with trained weights"
    assert "no package numba" in rows["kernels"].found


def test_a_service_that_asks_for_keys_is_looked_at_with_a_key_it_knows(tmp_path: Path) -> None:
    folder = KeyFolder(tmp_path / "keys")
    for name in ("instrument", "viewer", "stranger"):
        folder.create(name)
    folder.authorise(folder.public("viewer"), Role.VIEWER, "viewer")
    with instrument(fakes.capabilities(), folder.access("instrument"), dead_man_s=30.0) as endpoint:
        rows = {
            who: found_by(
                services.service(services.Place("instrument", endpoint, True, folder.credentials(who, "instrument")))
            )
            for who in ("viewer", "stranger")
        }
        plain = found_by(services.service(services.Place("instrument", endpoint)))
    assert rows["viewer"]["encryption to the instrument"].found == "on, as viewer"
    assert rows["viewer"]["capabilities"].state is State.OK
    assert rows["viewer"]["instrument health"].found == "not asked for: the key may only look"
    assert rows["stranger"]["instrument service"].state is State.FAIL
    assert "does not know the key stranger" in rows["stranger"]["instrument service"].found
    assert "talks only to keys" in plain["instrument service"].found


def test_a_simulated_instrument_needs_no_spool() -> None:
    with instrument(fakes.capabilities(), dead_man_s=30.0) as endpoint:
        rows = found_by(services.service(services.Place("instrument", endpoint)))
    assert {rows[what].state for what in ("spool of the instrument", "dead-man timer", "phase Ti")} == {State.OK}
