"""Commands where nothing can be written, read or finished: one sentence and an exit code, never a traceback."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from grainloop import cli
from grainloop.cli import main
from grainloop.cli.folders import make_folder
from grainloop.cli.operate import conversation
from grainloop.controller.record import JOURNAL_NAME, SESSION_NAME
from grainloop.protocols.aio import run
from grainloop.protocols.errors import BadInput
from grainloop.protocols.messages import RunFinished
from grainloop.protocols.states import FinishReason
from tests.controller.recorded.test_retell import SAMPLE
from tests.patience import HANG_S

QUOTA = """
import resource, sys
from pathlib import Path
from matplotlib.figure import Figure
from grainloop.cli.folders import drawing, make_folder
from grainloop.controller.figures.layout import save
from grainloop.protocols.errors import BadInput
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
out = Path(sys.argv[1])
with drawing(out, out / "session.h5"):
    save(Figure(), out / "x.png")
try:
    make_folder(out)
except BadInput as error:
    print(error)
"""
MOUNTED = Path(__file__).with_name("mounted.py")


def sample(folder: Path) -> Path:
    (folder / JOURNAL_NAME).mkdir(parents=True)
    for path in (SAMPLE / JOURNAL_NAME).iterdir():
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        (folder / JOURNAL_NAME / path.name.removesuffix(".gz")).write_bytes(data)
    (folder / SESSION_NAME).write_bytes(gzip.decompress((SAMPLE / f"{SESSION_NAME}.gz").read_bytes()))
    return folder


def may_mount() -> bool:
    asked = ["unshare", "-m", "sh", "-c", "mount -t tmpfs tmpfs /tmp"]
    return (
        shutil.which("unshare") is not None and subprocess.run(asked, check=False, capture_output=True).returncode == 0
    )


@pytest.mark.parametrize("wrong", ["read-only", "no inodes", "no room"])
def test_each_command_that_writes_says_that_it_cannot(tmp_path: Path, wrong: str) -> None:
    if not may_mount():
        pytest.skip("nobody may mount a file system here")
    (tmp_path / "disk").mkdir()
    command = ["unshare", "-m", sys.executable, str(MOUNTED), wrong, "disk", str(sample(tmp_path / "session"))]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=HANG_S, cwd=tmp_path)
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(told) >= 10, done.stderr
    reason = "Read-only file system" if wrong == "read-only" else "No space left on device"
    for one in told:
        assert one["said"].startswith("grainloop: "), one
        assert one["said"].count("\n") == 1, one
        assert reason in one["said"], one
        assert one["code"] == (0 if one["command"] == "figures" else 1), one


@pytest.mark.parametrize("out", ["file/out", "file", "/proc/nowhere", "a\x1b[31mb", "x" * 300, "loop"])
def test_a_folder_that_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(BadInput, match=r"[Ff]older .*cannot be (made|called)") as caught:
        make_folder(Path(out))
    assert str(caught.value).isprintable()


def test_figures_that_find_no_room_leave_the_run_what_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    session = sample(tmp_path) / SESSION_NAME
    ended = RunFinished(
        reason=FinishReason.COMPLETED,
        detail="the budget is spent",
        session_file=str(session),
        points_measured=1,
        rounds=1,
        instrument_s=1,
        idle_s=0,
        wall_s=1,
    )
    (tmp_path / "light_points.png").mkdir()

    async def finished(*_arguments: object) -> RunFinished:
        return ended

    monkeypatch.setattr(conversation, "_run_request", finished)
    assert conversation.run_plan(None, conversation.Controller("tcp://127.0.0.1:1"), tmp_path, json=False) == 0
    said = capsys.readouterr()
    assert said.out == f"The run has completed: the budget is spent\n1 point in {session}\n"
    assert said.err == (
        f"grainloop: The figures in {tmp_path} cannot be written: it is a folder, and only a regular file is used. "
        f"The run itself is whole: {session}.\n"
    )


@pytest.mark.skipif(os.name != "posix", reason="limits of a process")
def test_a_quota_of_bytes(tmp_path: Path) -> None:
    command = [sys.executable, "-c", QUOTA, str(tmp_path)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=HANG_S)
    assert done.returncode == 0, done.stderr
    assert "cannot be written: File too large. The run itself is whole" in done.stderr
    assert done.stdout == f"The folder {tmp_path} cannot be written: File too large.\n"


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (OSError(28, "No space left on device"), "The operating system refuses: No space left on device."),
        (PermissionError(13, "Permission denied", "a/b"), "a/b cannot be used: Permission denied."),
        (OSError("a library said\nso"), "The operating system refuses: a library said so."),
        (MemoryError(), "There is not enough memory for this."),
    ],
)
def test_what_the_world_does_is_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception, sentence: str
) -> None:
    def fails(_words: object) -> None:
        raise error

    monkeypatch.setattr(cli, "_require_extras_of", fails)
    assert main(["check"]) == 1
    assert capsys.readouterr().err == f"grainloop: {sentence}\n"


def test_a_bug_of_ours_is_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_words: object) -> None:
        raise KeyError("a bug")

    monkeypatch.setattr(cli, "_require_extras_of", fails)
    with pytest.raises(KeyError):
        main(["check"])


def test_ctrl_c_while_everything_is_imported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(_words: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_require_extras_of", interrupted)
    assert main(["check"]) == 130
    assert capsys.readouterr().err == "grainloop: interrupted.\n"


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_ctrl_c_again_and_again_leaves_no_task_behind(capsys: pytest.CaptureFixture[str]) -> None:
    """The second one ends the loop, the third one comes while tasks are being told to end."""
    ended = list[str]()

    async def stays() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            signal.raise_signal(signal.SIGINT)
            await asyncio.sleep(0)
            ended.append("in order")

    async def work() -> None:
        other = asyncio.create_task(stays())
        await asyncio.sleep(0)
        assert not other.done()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(work())
    assert ended == ["in order"]
    assert capsys.readouterr().err == ""


def test_an_empty_name_of_a_map(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--map", ""]) == 1
    assert capsys.readouterr().err == "grainloop: --map is empty: give a map file or the name of a specimen.\n"


def test_a_map_begins_the_sentence_about_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty.ang").touch()
    assert main(["demo", "--map", str(tmp_path / "empty.ang")]) == 1
    assert capsys.readouterr().err == f"grainloop: The map {tmp_path}/empty.ang is empty.\n"
