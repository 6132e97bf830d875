"""Drivers by name: the example, those of the documentation, and what is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from grainloop.protocols.aio import Client
from grainloop.protocols.capabilities import Capabilities
from grainloop.protocols.driver_service import DriverService
from grainloop.protocols.errors import BadInput
from grainloop.protocols.hosting.loading import load_driver, require_driver
from grainloop.protocols.messages import (
    CheckHealth,
    InstrumentReply,
)
from grainloop.protocols.values import PointBlock
from tests.protocols.aio.services import running
from tests.protocols.hosting.bench import CAPABILITIES, Asker, Bench, scan

EXAMPLE = Path(__file__).parents[3] / "examples" / "toy_driver.py"


async def test_the_example_driver_is_short_and_complete():
    async with (
        running(DriverService(load_driver(f"{EXAMPLE}:ToyDriver"))) as endpoint,
        Client(endpoint, InstrumentReply, service="instrument") as it,
    ):
        asker = Asker(it)
        assert (await asker.ask(CheckHealth())).ok
        assert (await asker.ask(scan(dwell_s=0.01))).points == 10
        assert asker.points == [*range(10)]
    body = EXAMPLE.read_text().partition("class ToyDriver:")[2]
    statements = [line for line in body.splitlines() if line.strip() and '"""' not in line]
    assert len(statements) <= 15


class NoDriver:
    scan = light = park = print
    capabilities = "many"


class Breaks:
    def __init__(self) -> None:
        raise OSError("no such port")


HERE = __name__


LOADING = {
    "no colon": ("mylab", "does not name a driver as module:object"),
    "no object": (f"{HERE}:", "does not name a driver"),
    "no module": ("no_such_lab:Driver", "no_such_lab cannot be loaded: ModuleNotFoundError"),
    "no file": ("no/such/file.py:Driver", "There is no driver file"),
    "no attribute": (f"{HERE}:Missing", "has no object Missing"),
    "no methods": (f"{HERE}:CAPABILITIES", "is no driver: it lacks scan, light, park"),
    "no capabilities": (f"{HERE}:NoDriver", "its capabilities are str"),
    "no start": (f"{HERE}:Breaks", "cannot be started: OSError: no such port"),
}


@pytest.mark.parametrize(("name", "sentence"), LOADING.values(), ids=LOADING.keys())
def test_what_is_no_driver_is_bad_input(name, sentence):
    with pytest.raises(BadInput, match=sentence.replace(":", ".")):
        load_driver(name)


def test_a_broken_file_is_bad_input(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("1/0")
    with pytest.raises(BadInput, match="ZeroDivisionError"):
        load_driver(f"{path}:Driver")


def test_a_class_an_instance_and_a_factory_load():
    for name in ("Bench", "INSTANCE", "make"):
        assert isinstance(load_driver(f"{HERE}:{name}"), Bench)


INSTANCE = Bench()


def make() -> Bench:
    return Bench()


def test_the_driver_in_the_documentation_works():
    text = (EXAMPLE.parents[1] / "docs" / "drivers.md").read_text(encoding="utf-8")
    code = text.partition("```python\n")[2].partition("```")[0]
    names: dict[str, Any] = {
        "Capabilities": Capabilities,
        "PointBlock": PointBlock,
        "GRID": CAPABILITIES.grid,
        "PHASES": CAPABILITIES.phases,
    }
    exec(code, names)  # noqa: S102
    blocks = list(names["ToyDriver"]().scan(scan(dwell_s=0.01)))
    assert PointBlock.concatenate(blocks).point_id.tolist() == [*range(10)]


@pytest.mark.parametrize("what", ["its", "a phase's"])
def test_names_that_a_terminal_obeys_are_refused(what):
    red = "\x1b[31mSEM"
    phase = CAPABILITIES.phases[0].model_copy(update={"name": red})
    changes = {"its": {"name": red}, "a phase's": {"phases": (phase,)}}
    with pytest.raises(BadInput, match=f"{what} name holds control characters") as caught:
        require_driver(Bench(CAPABILITIES.model_copy(update=changes[what])), "lab:SEM")
    assert str(caught.value).isprintable()
