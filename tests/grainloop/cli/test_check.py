"""`grainloop check`: every fault is a row of its own that says what to do, and none hides another."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from grainloop.cli.check import machine, recorded, security, services, software
from grainloop.cli.check.findings import Finding, State, doubtful, gather, good
from grainloop.cli.serve.processes import free_endpoints
from grainloop.controller.record.recording import JOURNAL_NAME, SESSION_NAME
from grainloop.controller.run.run import Run
from grainloop.protocols.aio import Service, run
from grainloop.protocols.capabilities import Capabilities
from grainloop.protocols.errors import BadInput
from grainloop.protocols.messages import CheckHealth, Describe, Description, Health, InstrumentRequest
from grainloop.protocols.plan import Budget, RunPlan
from grainloop.protocols.security import Access, KeyFolder, Role
from grainloop.protocols.shapes import ScanShape
from grainloop.protocols.values import Phase
from grainloop.protocols.version import grainloop_version
from tests.controller import fakes
from tests.controller.virtual_time import in_virtual_time


def found_by(check: Iterable[Finding]) -> dict[str, Finding]:
    """Findings by what they are about, the worst of each."""
    rows: dict[str, Finding] = {}
    for one in check:
        assert bool(one.do) is (one.state is not State.OK), one
        if one.what not in rows or list(State).index(one.state) > list(State).index(rows[one.what].state):
            rows[one.what] = one
    return rows


def test_a_check_that_breaks_hides_no_other() -> None:
    def refused() -> Iterator[Finding]:
        yield good("first", "fine")
        raise BadInput("The file x cannot be read.")

    def broken() -> Iterator[Finding]:
        yield from ()
        raise ZeroDivisionError("oh")

    def lacking() -> Iterator[Finding]:
        yield from ()
        import no_such_package  # pyright: ignore[reportMissingImports]  # noqa: F401

    rows = list(gather([("a", refused), ("b", broken), ("c", lacking), ("d", lambda: [doubtful("d", "x", "y.")])]))
    assert [(one.what, one.state) for one in rows] == [
        ("first", State.OK),
        ("a", State.FAIL),
        ("b", State.FAIL),
        ("c", State.WARN),
        ("d", State.WARN),
    ]
    assert "ZeroDivisionError: oh" in rows[2].found
    assert "no_such_package" in rows[3].found


def test_this_machine_can_run_grainloop(tmp_path: Path) -> None:
    checks = [software.python, software.packages, software.weights, machine.clock, lambda: machine.disk(tmp_path)]
    rows = found_by(gather([("?", check) for check in checks]))
    assert not [one for one in rows.values() if one.state is State.FAIL]
    assert rows["grainloop"].found == grainloop_version()
    assert "numpy" in rows["packages"].found
    assert list(tmp_path.iterdir()) == []


def test_packages_that_are_missing_or_too_old_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = [
        "numpy>=9999.0",
        "msgpack>=1.0",
        "no-such-package>=1.0; extra == 'model'",
        "h5py>=3.0; extra == 'controller'",
    ]
    monkeypatch.setattr(software, "requires", lambda _name: asked)
    rows = found_by(software.packages())
    assert (rows["packages"].state, "numpy" in rows["packages"].found) == (State.FAIL, True)
    assert "(needs 9999.0)" in rows["packages"].found
    assert rows["packages of the model"].state is State.WARN
    assert "pip install --upgrade 'grainloop[model]'" in rows["packages of the model"].do
    assert rows["packages of the controller"].state is State.OK


def test_weights_that_were_altered_or_are_missing_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from grainloop.model import weights
    from grainloop.model.weights import WeightsFile

    (tmp_path / "a.safetensors").write_bytes(b"other bytes")
    files = {
        "6/mmm": WeightsFile(tmp_path / "a.safetensors", "0" * 64),
        "m-3m": WeightsFile(tmp_path / "b.safetensors", "0" * 64),
    }
    monkeypatch.setattr(weights, "weights_files", lambda: files)
    rows = found_by(software.weights())
    assert {one.state for one in rows.values()} == {State.FAIL}
    assert "was altered" in rows["weights for 6/mmm"].do
    assert "b.safetensors is missing" in rows["weights for m-3m"].found
    monkeypatch.setattr(weights, "weights_files", dict)
    assert found_by(software.weights())["weights"].state is State.FAIL


class Usage(NamedTuple):
    total: int
    used: int
    free: int


@pytest.mark.parametrize(("free", "state"), [(1e6, State.FAIL), (1e9, State.WARN), (1e10, State.OK)])
def test_a_disk_that_is_nearly_full_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: float, state: State
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: Usage(10**11, 0, int(free)))
    rows = [one for one in machine.disk(tmp_path / "to" / "come") if "free" in one.found]
    assert [one.state for one in rows] == [state]


def test_a_folder_that_cannot_be_written_fails() -> None:
    rows = list(machine.disk(Path("/proc/self")))
    assert rows[-1].state is State.FAIL
    assert "/proc/self cannot be written" in rows[-1].found


def test_keys_are_looked_at_one_by_one(tmp_path: Path) -> None:
    folder = KeyFolder(tmp_path / "keys")
    assert found_by(security.keys(folder))["keys"].state is State.OK
    folder.create("anna")
    folder.create("open")
    rows = found_by(security.keys(folder))
    assert (rows["keys"].state, rows["key anna"].state, rows["allowed keys"].state) == (State.OK, State.OK, State.WARN)
    folder.authorise(folder.public("anna"), Role.VIEWER, "anna")
    (folder.path / "open.key").chmod(0o644)
    rows = found_by(security.keys(folder))
    assert (rows["key anna"].state, rows["key open"].state) == (State.OK, State.FAIL)
    assert rows["allowed keys"].found == "1 viewer"
    assert folder.key("anna").secret not in str(rows)
    folder.allowed_path.chmod(0o666)
    assert found_by(security.keys(folder))["allowed keys"].state is State.FAIL
    folder.path.chmod(0o755)
    assert {one.state for one in security.keys(folder)} == {State.FAIL}


@in_virtual_time
async def _measured(folder: Path) -> None:
    plan = RunPlan(budget=Budget(fraction=0.1), batches=2)
    await Run(plan, folder, fakes.FakeInstrument(), fakes.FakeModel(), lambda _event: None).execute()


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("measured")
    _measured(folder)
    return folder


@pytest.fixture
def session(measured: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(measured, tmp_path / "session"))


def test_a_whole_session_is_well(session: Path) -> None:
    assert {one.state for one in recorded.session(session)} == {State.OK}
    assert {one.state for one in recorded.session(session / SESSION_NAME)} == {State.OK}


def test_a_run_that_did_not_end_is_to_be_gone_on_with(session: Path) -> None:
    journal = session / JOURNAL_NAME / "000.journal"
    data = journal.read_bytes()
    journal.write_bytes(data[:-20])
    rows = list(recorded.session(session))
    assert [one.state for one in rows] == [State.WARN, State.WARN, State.OK]
    assert f"grainloop resume {session}" in rows[0].do
    assert "nothing that counted is lost" in rows[1].do


def test_damage_is_told_and_what_mends_it(session: Path) -> None:
    journal = session / JOURNAL_NAME / "000.journal"
    data = bytearray(journal.read_bytes())
    data[len(data) // 2] ^= 1
    journal.write_bytes(data)
    (session / SESSION_NAME).write_bytes(b"no HDF5")
    rows = list(recorded.session(session))
    assert [one.state for one in rows][-2:] == [State.FAIL, State.FAIL]
    assert "grainloop repair" in rows[-1].do
    shutil.rmtree(session / JOURNAL_NAME)
    assert "There is no journal" in next(iter(recorded.session(session))).found


def test_a_map_is_read(tmp_path: Path) -> None:
    (one,) = recorded.map_file("ti64")
    assert (one.state, "6/mmm" in one.found) == (State.OK, True)
    rows = list(gather([("map", lambda: recorded.map_file(str(tmp_path / "x.ang")))]))
    assert (rows[0].state, "There is no map file" in rows[0].found) == (State.FAIL, True)


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
    assert ready.wait(30)
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
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=100)
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
