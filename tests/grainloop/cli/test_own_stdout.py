"""What a driver prints, or writes past Python, does not reach the stdout of the service that its parent listens to."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from grainloop.cli.serve.processes import free_endpoints
from grainloop.cli.serve.stdout import own_stdout
from grainloop.protocols.aio import Client, run
from grainloop.protocols.messages import CheckHealth, InstrumentReply
from tests.protocols.hosting.bench import Asker, refused, scan

LIMIT_S = 120.0
NOISY = """
import ctypes, os, sys, threading
from tests.protocols.hosting.bench import Bench

def shout(what):
    print("ready instrument tcp://1.2.3.4:5", what)
    sys.stdout.write("half a line")
    os.write(1, b"ready instrument past Python\\n")
    ctypes.CDLL(None).puts(b"ready instrument by the C library")

shout("import")

class Noisy(Bench):
    def __init__(self):
        super().__init__()
        shout("init")

    def scan(self, request):
        shout("scan")
        thread = threading.Thread(target=sys.exit, args=(5,))
        thread.start()
        thread.join()
        yield from super().scan(request)
        raise SystemExit("caf\\udce9")

    def park(self):
        shout("park")
"""
LEAVING = {
    "import": "import sys; sys.exit()",
    "init": "class Noisy:\n    def __init__(self): raise KeyboardInterrupt",
    "capabilities": "class Noisy:\n    scan = light = park = print\n    @property\n    def capabilities(self): exit(0)",
}


def command(driver: Path, endpoint: str) -> list[str]:
    options = ["--driver", f"{driver}:Noisy", "--endpoint", endpoint, "--until-stdin-ends", "--log-text"]
    return [sys.executable, "-m", "grainloop", "serve", "instrument", *options]


async def measure(endpoint: str) -> str:
    async with Client(endpoint, InstrumentReply, service="instrument") as client:
        asker = Asker(client)
        told = str(await refused(asker, scan()))
        assert asker.points == [*range(10)]
        assert (await asker.ask(CheckHealth())).ok
        return told


@pytest.mark.skipif(os.name != "posix", reason="the C library of POSIX")
def test_stdout_holds_one_line_whatever_a_driver_writes(tmp_path: Path) -> None:
    driver, [endpoint] = tmp_path / "noisy.py", free_endpoints(1)
    driver.write_text(NOISY)
    with (tmp_path / "stderr").open("wb") as stderr:
        process = subprocess.Popen(
            command(driver, endpoint), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr
        )
        assert process.stdout is not None
        try:
            first = process.stdout.readline()
            told = run(measure(endpoint))
        finally:
            rest, _ = process.communicate(timeout=LIMIT_S)
    assert (first, rest) == (f"ready instrument {endpoint}\n".encode(), b"")
    assert "failed in scan: SystemExit: caf\\udce9" in told
    assert process.returncode == 0
    said = (tmp_path / "stderr").read_bytes()
    assert b"past Python" in said


@pytest.mark.parametrize("where", LEAVING)
def test_a_driver_that_leaves_while_it_is_loaded_is_one_sentence(tmp_path: Path, where: str) -> None:
    driver = tmp_path / "leaving.py"
    driver.write_text(LEAVING[where])
    done = subprocess.run(
        command(driver, "tcp://127.0.0.1:1"),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=LIMIT_S,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1), done.stderr
    assert done.stderr.startswith("grainloop: ")


def test_stdout_is_back_afterwards(capfd: pytest.CaptureFixture[str]) -> None:
    with own_stdout() as out:
        sys.stdout.write("aside\n")
        os.write(1, b"past\n")
        out.write("told\n")
    sys.stdout.write("after\n")
    said, aside = capfd.readouterr()
    assert said == "told\nafter\n"
    assert "past" in aside
