"""`--driver` finds a driver and its neighbours, and nothing that lies about stands before what is installed."""

from __future__ import annotations

import sys
from collections.abc import Generator
from pathlib import Path

import pytest

from grainloop.protocols.errors import BadInput
from grainloop.protocols.hosting.loading import load_driver

DRIVER = """
from __future__ import annotations
from dataclasses import dataclass
{imports}
from grainloop.protocols.capabilities import Capabilities


@dataclass
class Microscope:
    told: str = {told}
    capabilities: Capabilities = Capabilities.model_construct(name="lab", phases=())

    async def scan(self, batch, scan): ...
    async def light(self, request): ...
    async def park(self): ...
"""


@pytest.fixture(autouse=True)
def forgotten() -> Generator[None]:
    """What a driver brings into the process is gone after its test."""
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        del sys.modules[name]


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


def driver(imports: str = "", told: str = "'here'") -> str:
    return DRIVER.format(imports=imports, told=told)


LABS = {
    "alone": ("my_lab", driver(), {}),
    "a second file": ("my_lab", driver("import lab_stage", "lab_stage.NAME"), {"lab_stage.py": "NAME = 'here'"}),
    "a package": (
        "my_lab",
        driver("from lab_parts.stage import NAME", "NAME"),
        {"lab_parts/__init__.py": "", "lab_parts/stage.py": "NAME = 'here'"},
    ),
    "a folder without __init__": (
        "my_lab",
        driver("from lab_bits.stage import NAME", "NAME"),
        {"lab_bits/stage.py": "NAME = 'here'"},
    ),
    "inside a package": (
        "lab_house.my_lab",
        driver("from .stage import NAME", "NAME"),
        {"lab_house/__init__.py": "", "lab_house/stage.py": "NAME = 'here'"},
    ),
    "inside a package of a package": (
        "lab_house.upper.my_lab",
        driver("from ..stage import NAME", "NAME"),
        {"lab_house/__init__.py": "", "lab_house/upper/__init__.py": "", "lab_house/stage.py": "NAME = 'here'"},
    ),
}


@pytest.fixture(params=LABS.values(), ids=LABS.keys())
def lab(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Path]:
    module, text, files = request.param
    own = f"{module.replace('.', '/')}.py"
    write(tmp_path / "lab", {own: text, **files})
    return module, tmp_path / "lab" / own


def test_a_file_finds_its_neighbours_from_anywhere(
    lab: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert load_driver(f"{lab[1]}:Microscope").told == "here"


def test_a_file_beside_us_may_be_named_shortly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, {"my_lab.py": driver("import lab_stage", "lab_stage.NAME"), "lab_stage.py": "NAME = 'here'"})
    monkeypatch.chdir(tmp_path)
    assert load_driver("my_lab.py:Microscope").told == "here"


def test_a_module_is_found_in_the_folder_where_we_are(lab: tuple[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    module, _ = lab
    monkeypatch.chdir(lab[1].parents[module.count(".")])
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])  # as a console script has it
    assert load_driver(f"{module}:Microscope").told == "here"


def test_files_of_the_laboratory_shadow_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The standard library, what is installed, and grainloop go before; the driver gets those too."""
    taken = dict.fromkeys(["colorsys.py", "numpy.py", "grainloop/__init__.py"], "raise SystemExit('the wrong one')")
    write(tmp_path, taken | {"my_lab.py": driver("import colorsys, numpy, grainloop.model.maps", "colorsys.__file__")})
    monkeypatch.chdir(tmp_path)
    for name in ("my_lab.py", "my_lab"):
        assert not load_driver(f"{name}:Microscope").told.startswith(str(tmp_path))
    assert sys.path[-1] == str(tmp_path)


@pytest.mark.parametrize("name", ["colorsys", "numpy", "grainloop"])
def test_a_driver_file_may_be_called_like_something_installed(tmp_path: Path, name: str) -> None:
    write(tmp_path, {f"{name}.py": driver()})
    assert load_driver(f"{tmp_path}/{name}.py:Microscope").told == "here"
    __import__(name)
    assert not str(sys.modules[name].__file__).startswith(str(tmp_path))


def test_two_files_of_one_name_are_two_drivers(tmp_path: Path) -> None:
    for number in "123":
        write(tmp_path / number, {"my_lab.py": driver(told=f"'{number}'")})
    assert [load_driver(f"{tmp_path}/{number}/my_lab.py:Microscope").told for number in "1231"] == list("1231")


def test_a_neighbour_that_something_installed_hides_is_named(tmp_path: Path) -> None:
    write(tmp_path, {"my_lab.py": driver("from colorsys import STAGE"), "colorsys.py": "STAGE = 1"})
    with pytest.raises(BadInput, match=r"Another module colorsys is installed .*: give the one in .* another name\."):
        load_driver(f"{tmp_path}/my_lab.py:Microscope")


def test_a_package_that_something_installed_hides_is_named(tmp_path: Path) -> None:
    write(tmp_path, {"numpy/__init__.py": "", "numpy/my_lab.py": driver()})
    with pytest.raises(BadInput, match="another package numpy is installed; give the folder another name"):
        load_driver(f"{tmp_path}/numpy/my_lab.py:Microscope")


def test_a_missing_object_says_where_was_looked() -> None:
    with pytest.raises(BadInput, match=r"colorsys \(.*colorsys\.py\) has no object Microscope"):
        load_driver("colorsys:Microscope")


def test_a_broken_file_can_be_mended_and_loaded_again(tmp_path: Path) -> None:
    write(tmp_path, {"numpy.py": "1/0"})
    with pytest.raises(BadInput, match="ZeroDivisionError"):
        load_driver(f"{tmp_path}/numpy.py:Microscope")
    write(tmp_path, {"numpy.py": driver()})
    assert load_driver(f"{tmp_path}/numpy.py:Microscope").told == "here"
