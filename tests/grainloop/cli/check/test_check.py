"""`grainloop check`: every fault is a row of its own that says what to do, and none hides another."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from grainloop.cli import extras
from grainloop.cli.check import machine, recorded, security, software
from grainloop.cli.check.findings import Finding, State, doubtful, gather, good
from grainloop.controller.record.recording import JOURNAL_NAME, SESSION_NAME
from grainloop.controller.run.run import Run
from grainloop.protocols.errors import BadInput
from grainloop.protocols.plan import Budget, RunPlan
from grainloop.protocols.security import KeyFolder, Role
from grainloop.protocols.version import grainloop_version, install_command
from tests.controller import fakes
from tests.controller.virtual_time import in_virtual_time
from tests.grainloop.cli.check.rows import found_by


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
    monkeypatch.setattr(extras, "requires", lambda _name: asked)
    rows = found_by(software.packages())
    assert (rows["packages"].state, "numpy" in rows["packages"].found) == (State.FAIL, True)
    assert "(needs 9999.0)" in rows["packages"].found
    assert rows["packages of the model"].state is State.WARN
    assert rows["packages of the model"].do.endswith(install_command("model"))
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
    await Run(plan, folder, fakes.FakeInstrument(), fakes.FakeModel()).execute()


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
    assert "session.h5 holds no point that the journal lacks" in rows[1].do


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
