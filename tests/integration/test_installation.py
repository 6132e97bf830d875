"""An installation holds one name, every file, and nothing of the checkout it came from."""

from __future__ import annotations

import json
import re
import shutil
import stat
import subprocess
import sys
import textwrap
import tomllib
from email import message_from_string
from pathlib import Path, PurePosixPath
from zipfile import ZipFile

import pytest

from tests.integration.installation import (
    ROOMS,
    ROOT,
    Built,
    Environment,
    build,
    hatch,
    make_environment,
    names,
    run,
    tracked,
)

pytestmark = pytest.mark.timeout(600)
WINDOWS_PREFIX = r"C:\Users\somebody.longnamed\AppData\Local\Programs\Python\Python311\Lib\site-packages" + "\\"
WINDOWS_LONGEST = 259
COMPILED = "__pycache__/.cpython-311.opt-1.pyc.140234567890123"  # a module while Python writes its cache
WINDOWS_REFUSED = re.compile(r'[<>:"|?*\\\x00-\x1f]|[ .]$|^(con|prn|aux|nul|com\d|lpt\d)(\.|$)', re.IGNORECASE)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return build(tmp_path_factory.mktemp("built"))


@pytest.fixture(scope="module")
def environment(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    made = make_environment(tmp_path_factory.mktemp("installed") / "venv")
    made.install(built.wheel, built.data)
    return made


@pytest.fixture(scope="module")
def files() -> set[str]:
    found = tracked()
    if found is None:
        pytest.skip("no checkout of git to compare with")
    return found


def is_link(name: str) -> bool:
    return name in {f"grainloop/{room}" for room in ROOMS}


def test_a_source_distribution_holds_every_file(built: Built, files: set[str]) -> None:
    """But the links: its root is enough to find the rooms."""
    assert {name for name in files if not is_link(name)} - built.source_files == set()
    assert built.source_files - files == {"PKG-INFO"}


def test_the_two_wheels_share_out_every_file(built: Built, files: set[str]) -> None:
    code, data = names(built.wheel), names(built.data)
    assert code & data == set()
    expected = {f"grainloop/{name}" for name in files if name.startswith(ROOMS)}
    expected |= {name for name in files if name.startswith("grainloop/") and not is_link(name)}
    found = {name for name in code | data if ".dist-info/" not in name}
    assert found == {name for name in expected if not PurePosixPath(name).name.startswith(".")}
    assert not [name for name in data if name.endswith(".py")]
    assert max(ZipFile(built.wheel).infolist(), key=lambda one: one.file_size).file_size < 200_000


def test_only_one_name_is_installed(built: Built) -> None:
    for wheel in (built.wheel, built.data):
        tops = {name.partition("/")[0] for name in names(wheel)}
        assert {name for name in tops if not name.endswith(".dist-info")} == {"grainloop"}
    assert "grainloop/py.typed" in names(built.wheel)


def test_windows_takes_every_file_of_a_wheel(built: Built) -> None:
    both = names(built.wheel) | names(built.data)
    assert len({name.casefold() for name in both}) == len(both)
    assert [name for name in both if any(WINDOWS_REFUSED.search(part) for part in name.split("/"))] == []
    longest = max(both, key=len)
    assert len(WINDOWS_PREFIX) + len(longest) + len(COMPILED) <= WINDOWS_LONGEST, longest
    for wheel in (built.wheel, built.data):
        assert wheel.name.endswith("-py3-none-any.whl")
        with ZipFile(wheel) as archive:
            assert not [one.filename for one in archive.infolist() if stat.S_ISLNK(one.external_attr >> 16)]


def test_both_are_of_one_version_and_licensed(built: Built) -> None:
    with ZipFile(built.wheel) as code, ZipFile(built.data) as data:
        told, of_data = (
            message_from_string(one.read(next(name for name in one.namelist() if name.endswith("METADATA"))).decode())
            for one in (code, data)
        )
    assert told["Version"] == of_data["Version"]
    wanted = [line for line in told.get_all("Requires-Dist") or [] if line.startswith("grainloop-data")]
    assert {line.partition(";")[0].strip() for line in wanted} == {f"grainloop-data=={told['Version']}"}
    assert {re.findall(r"'(\w+)'", line)[0] for line in wanted} == {"sim", "model", "all"}
    assert of_data["License-Expression"] == "GPL-3.0-or-later AND MIT AND Apache-2.0"
    licences = {name for name in names(built.data) if "licences/" in name or name.endswith("licenses/LICENSE")}
    assert len(licences) == 4


def test_a_wheel_from_a_checkout_is_that_from_the_source_distribution(built: Built, tmp_path: Path) -> None:
    assert names(hatch(ROOT, "wheel", tmp_path / "code")) == names(built.wheel)
    assert names(hatch(ROOT / "data", "wheel", tmp_path / "data")) == names(built.data)


LAB = ("model.py", "protocols.py", "queue.py", "typing.py", "numpy.py", "controller/__init__.py", "tests/__init__.py")


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """A working directory in which a laboratory has files of our names, and of the standard library's."""
    for name in LAB:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"raise SystemExit('{name} of the laboratory')", encoding="utf-8")
    return tmp_path


def test_what_is_installed_comes_from_the_wheels_alone(environment: Environment, tmp_path: Path) -> None:
    code = """
    import json, sys, grainloop
    from grainloop.controller.run import Run
    from grainloop.instrument_sim import specimens
    from grainloop.model.weights import weights_files
    specimens.load("mg-twins")
    ours = [m.__file__ for n, m in sys.modules.items() if n.partition(".")[0] == "grainloop" and m.__file__]
    strange = [n for n in ("controller", "model", "protocols", "instrument_sim") if n in sys.modules]
    print(json.dumps([ours, strange, [str(f.path) for f in weights_files().values()]]))
    """
    ours, strange, weights = json.loads(environment.ask(textwrap.dedent(code), tmp_path))
    inside = str(environment.packages / "grainloop")
    assert [path for path in (*ours, *weights) if not path.startswith(inside)] == []
    assert len(ours) > 50
    assert len(weights) == 2
    assert strange == []
    assert all(Path(path).is_file() for path in weights)


def test_files_of_a_laboratory_break_no_command(environment: Environment, lab: Path) -> None:
    for verb in (["--version"], ["keys", "list"], ["plan", "--help"], ["reconstruct", "mg-twins", "--method", "none"]):
        done = subprocess.run(
            [environment.command, *verb],
            cwd=lab,
            env={"PATH": "", "HOME": str(lab)},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert "of the laboratory" not in done.stdout + done.stderr
        assert "Traceback" not in done.stderr


def test_a_service_started_by_a_command_is_not_broken_either(environment: Environment, lab: Path) -> None:
    """As a child process, in the folder of the laboratory."""
    code = """
    import sys
    sys.path[:] = [entry for entry in sys.path if entry]
    import asyncio
    from pathlib import Path
    from grainloop.cli.serve.processes import Children, free_endpoints, healthy
    from grainloop.protocols.aio import run
    from grainloop.protocols.messages import InstrumentReply

    async def main():
        async with Children(Path("logs")) as children:
            child = children.start("instrument", *free_endpoints(1), ["--map", "mg-twins"])
            await healthy(child, InstrumentReply)

    run(main())
    """
    (lab / "start").mkdir()
    script = lab / "start" / "start.py"
    script.write_text(textwrap.dedent(code), encoding="utf-8")
    run([environment.python, script], lab)
    assert "of the laboratory" not in (lab / "logs" / "instrument.log").read_text(encoding="utf-8")


def test_the_module_is_the_command(environment: Environment, tmp_path: Path) -> None:
    for name in ("controller", "model"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('of the laboratory')", encoding="utf-8")
    told = run([environment.python, "-m", "grainloop", "--version"], tmp_path).stdout
    assert told == run([environment.command, "--version"], tmp_path).stdout
    assert told.startswith("grainloop 0.")


def test_types_are_seen_from_outside(environment: Environment, tmp_path: Path) -> None:
    script = tmp_path / "user.py"
    code = """
    from pathlib import Path
    from grainloop.model.maps import read_map
    from grainloop.controller.session import load_session
    from grainloop.protocols import load_driver

    reveal_type(read_map(Path("a.ang")))
    reveal_type(load_driver("a:B"))
    load_session(1)
    """
    script.write_text(textwrap.dedent(code), encoding="utf-8")
    pyright = [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", environment.python, script]
    done = subprocess.run(pyright, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    told = [one["message"] for one in json.loads(done.stdout)["generalDiagnostics"]]
    assert 'Type of "read_map(Path("a.ang"))" is "OrientationMap"' in told
    assert 'Type of "load_driver("a:B")" is "InstrumentDriver"' in told
    assert len(told) == 3
    assert "cannot be assigned to parameter" in next(one for one in told if "Type of" not in one)


def test_each_distribution_leaves_the_other_whole(built: Built, tmp_path: Path) -> None:
    environment = make_environment(tmp_path / "venv")
    package = environment.packages / "grainloop"
    environment.install(built.wheel, built.data)
    environment.pip("uninstall", "--yes", "grainloop-data")
    left = {path.relative_to(environment.packages).as_posix() for path in package.rglob("*") if path.is_file()}
    assert {name for name in names(built.wheel) if name.startswith("grainloop/")} - left == set()
    assert {name for name in names(built.data) if name.startswith("grainloop/")} & left == set()
    told = run([environment.command, "demo"], tmp_path, code=1).stderr
    assert told.startswith("grainloop: grainloop demo needs grainloop-data, not installed here; this installs it")
    environment.install(built.data)
    environment.pip("uninstall", "--yes", "grainloop")
    left = {path.relative_to(environment.packages).as_posix() for path in package.rglob("*") if path.is_file()}
    assert left == {name for name in names(built.data) if name.startswith("grainloop/")}


def test_an_editable_installation_holds_no_copy_of_the_code(tmp_path: Path) -> None:
    """It would grow old unseen. Of the data there is one, for where grainloop itself is not editable."""
    environment = make_environment(tmp_path / "venv")
    environment.install("--editable", ROOT, "--editable", ROOT / "data")
    left = [path for path in environment.packages.rglob("*.py") if "grainloop" in path.parts]
    assert left == []
    ask = "import grainloop.model.weights as w; print(w.__file__, w.FOLDER.resolve(), sep='\\n')"
    module, folder = environment.ask(ask, tmp_path).splitlines()
    assert Path(module).resolve() == ROOT / "model" / "weights" / "__init__.py"
    assert Path(folder) == ROOT / "model" / "weights"
    assert environment.ask("import sys; print([p for p in sys.path if not p])", tmp_path)


WITHOUT_LINKS = """
import grainloop.cli, grainloop.controller.run, grainloop.evaluate, grainloop.instrument_sim, grainloop.model, sys
from pathlib import Path
here = Path.cwd().resolve()
print(all(Path(m.__file__).resolve().is_relative_to(here) for n, m in sys.modules.items() if n.startswith("grainloop")))
"""


def test_the_unpacked_source_distribution_works_as_it_is(built: Built) -> None:
    assert run([sys.executable, "-c", WITHOUT_LINKS], built.unpacked).stdout.strip() == "True"
    assert run([sys.executable, "-m", "grainloop", "--version"], built.unpacked).stdout.startswith("grainloop ")


def test_a_checkout_without_links_works(tmp_path: Path, files: set[str], built: Built) -> None:
    """As git makes it on Windows: files that hold the path stand where the links would."""
    git, clone = shutil.which("git"), tmp_path / "clone"
    assert git is not None
    run([git, "-c", "core.symlinks=false", "clone", "--quiet", "--shared", ROOT, clone], tmp_path)
    assert (clone / "grainloop" / "model").read_text(encoding="utf-8") == "../model"
    assert run([sys.executable, "-c", WITHOUT_LINKS], clone).stdout.strip() == "True"
    assert run([sys.executable, "-m", "grainloop", "--version"], clone).stdout.startswith("grainloop ")
    fast = ["tests/protocols/test_records.py", "tests/controller/ledger", "tests/model/maps/test_ctf.py"]
    run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *fast], clone)
    assert names(hatch(clone, "wheel", tmp_path / "wheel")) >= {"grainloop/model/__init__.py", "grainloop/py.typed"}


def test_no_folder_at_the_top_is_forgotten() -> None:
    """A new one is named in `pyproject.toml`, or it is missing in what is built."""
    told = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]["targets"]
    for target in ("sdist", "wheel"):
        assert [name for name in told[target]["only-include"] if not (ROOT / name).exists()] == []
