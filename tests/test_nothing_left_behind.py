"""The guard in `conftest.py` itself: each kind of remnant fails its test, clean tests pass."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

GUARD = Path(__file__).with_name("conftest.py")
LEAVING = """
import asyncio, subprocess, sys, threading, zmq
import pytest

kept = []
release = threading.Event()

async def test_task():
    kept.append(asyncio.create_task(asyncio.Event().wait()))

def test_thread():
    threading.Thread(target=lambda: release.wait(10)).start()

def test_process():
    kept.append(subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE))

def test_context():
    kept.append(zmq.Context())

def test_file(tmp_path):
    kept.append(open(tmp_path / "left", "w"))

@pytest.fixture
async def working():
    kept.append(asyncio.create_task(asyncio.Event().wait()))

async def test_task_of_a_fixture(working):
    pass
"""
CLEAN = """
import asyncio, subprocess, sys, zmq
import pytest

@pytest.fixture(scope="module")
def module_file(tmp_path_factory):
    with open(tmp_path_factory.mktemp("m") / "held", "w") as file:
        yield file

@pytest.fixture
async def working():
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(asyncio.Event().wait())
        yield
        task.cancel()

async def test_task(working):
    await asyncio.to_thread(int)

def test_file(module_file):
    pass

def test_process():
    subprocess.run([sys.executable, "-c", ""], check=True)

def test_context():
    with zmq.Context() as context, context.socket(zmq.PUB) as socket:
        socket.send(b"x" * 100_000, copy=False)
"""


def run(pytester: pytest.Pytester, tests: str) -> pytest.RunResult:
    pytester.makeini("[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\n")
    pytester.makeconftest(GUARD.read_text().replace("THREAD_GRACE_S = 60.0", "THREAD_GRACE_S = 0.5"))
    pytester.makepyfile(tests)
    return pytester.runpytest_subprocess("-q")


def test_whatever_is_left_fails_its_test(pytester):
    result = run(pytester, LEAVING)
    result.assert_outcomes(passed=6, errors=6)
    for kind in ("asyncio tasks behind", "'threads'", "'processes'", "'zmq contexts'", "'files'"):
        assert kind in result.stdout.str()


def test_what_is_put_away_does_not(pytester):
    run(pytester, CLEAN).assert_outcomes(passed=4)
