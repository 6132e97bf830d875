"""Kernels are compiled once, by one process, with one set of types each; a run then compiles nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from grainloop.cli import main
from grainloop.cli.prepare import Prepared, preparing, stamp_here
from grainloop.cli.prepare.preparing import COMPILES, WAITS, prepare
from grainloop.cli.prepare.stamp import Stamp
from grainloop.cli.prepare.work import LIST
from grainloop.model.crystal import _grain_kernels
from grainloop.model.jit import cache_folder

ROOT = Path(__file__).resolve().parents[3]
LISTS = """
import json
from grainloop.cli.prepare.work import compiled_types, rehearse
compiled = []
rehearse(lambda said: compiled.append(said) if "compiles" in said else None)
print(json.dumps([compiled, compiled_types()]))
"""


@pytest.mark.timeout(600)
def test_what_is_compiled_is_written_down_and_nothing_twice() -> None:
    """Fails where a kernel is called with new types: run `python -m grainloop.cli.prepare.work --list`, and ask why."""
    done = subprocess.run([sys.executable, "-c", LISTS], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    compiled, called = json.loads(done.stdout.splitlines()[-1])
    assert compiled == [], "the tests were to prepare before"
    assert called == json.loads(LIST.read_text())
    assert {name for name, types in called.items() if len(types) > 1} == set()


def test_the_cache_is_beside_the_sources_whichever_path_they_are_seen_by() -> None:
    if "NUMBA_CACHE_DIR" in os.environ:
        pytest.skip("kernels are kept elsewhere")
    folder = cache_folder(_grain_kernels.label)
    assert folder is not None
    assert folder.resolve() == (ROOT / "model" / "crystal" / "__pycache__").resolve()
    assert "model" not in sys.modules


@pytest.fixture
def stamp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stamp:
    """The note of a new installation."""
    new = Stamp(tmp_path / "cache" / "prepared.json", "all")
    monkeypatch.setattr(preparing, "stamp_here", lambda: new)
    return new


@pytest.fixture
def rehearsed(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """How often something was compiled, without compiling."""
    times: list[int] = []

    def compile_quickly(_tell: object) -> Prepared:
        times.append(1)
        return Prepared(compiled=3)

    monkeypatch.setattr(preparing, "_rehearsed", compile_quickly)
    return times


def test_an_installation_is_prepared_once(stamp: Stamp, rehearsed: list[int]) -> None:
    said: list[str] = []
    assert prepare(say=said.append).compiled == 3
    assert prepare(say=said.append).compiled == 0
    assert (rehearsed, said) == ([1], [COMPILES])
    assert stamp.holds


def test_a_changed_kernel_is_prepared_for_again(stamp: Stamp, rehearsed: list[int]) -> None:
    prepare()
    stamp.path.write_text("another state of the files")
    prepare()
    assert rehearsed == [1, 1]


def test_who_comes_second_waits_and_compiles_nothing(stamp: Stamp, rehearsed: list[int]) -> None:
    said: list[str] = []
    stamp.path.parent.mkdir()
    with FileLock(stamp.lock):
        told = threading.Event()

        def hear(sentence: str) -> None:
            said.append(sentence)
            told.set()

        waiting = threading.Thread(target=prepare, kwargs={"say": hear})
        waiting.start()
        assert told.wait(60)
        stamp.write()  # as the first one does at its end
    waiting.join()
    assert (rehearsed, said) == ([], [WAITS])


def test_a_folder_that_cannot_be_written_is_told(
    stamp: Stamp, rehearsed: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert "cannot be written" in prepare().failed
    assert rehearsed == []


def test_a_process_that_dies_is_told_and_nothing_is_claimed(stamp: Stamp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    assert prepare().failed == "exit code 1"
    assert not stamp.holds


def test_the_note_depends_on_the_files_with_kernels() -> None:
    note = stamp_here()
    assert note is not None
    files = json.loads(note.text)["files"]
    assert {"model/crystal/_grain_kernels.py", "model/light/refine.py", "controller/geometry/_path_kernels.py"} <= set(
        files
    )
    assert "model/jit.py" not in files


def test_check_prepare_tells_what_it_did(
    stamp: Stamp, rehearsed: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", "--prepare"]) == 0
    heard = capsys.readouterr()
    assert heard.out.startswith("The kernels are compiled (3 now, ")
    assert COMPILES in heard.err
    assert main(["check", "--prepare", "--json"]) == 0
    heard = capsys.readouterr()
    assert (json.loads(heard.out)["compiled"], heard.err) == (0, "")
