"""What an installation is made of, built from this checkout: source distribution, wheels, and an environment with them.

Nothing is downloaded: the other packages are links to those that the tests run with.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
from dataclasses import dataclass
from pathlib import Path
from zipfile import ZipFile

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("controller", "instrument_sim", "model", "protocols")


@dataclass(frozen=True)
class Built:
    """The files to install, and the unpacked source distribution that the wheels come from."""

    source: Path
    unpacked: Path
    wheel: Path
    data: Path

    @property
    def source_files(self) -> set[str]:
        """What the source distribution holds, without its own folder."""
        with tarfile.open(self.source) as archive:
            return {name.partition("/")[2] for name in archive.getnames()}


def build(folder: Path, root: Path = ROOT) -> Built:
    """Build the source distribution of a checkout, and both wheels from that alone."""
    source = hatch(root, "sdist", folder)
    with tarfile.open(source) as archive:
        archive.extractall(folder, filter="data")
    unpacked = folder / source.name.removesuffix(".tar.gz")
    return Built(source, unpacked, hatch(unpacked, "wheel", folder), hatch(unpacked / "data", "wheel", folder))


def hatch(root: Path, target: str, folder: Path) -> Path:
    """Build one target of a project."""
    before = set(folder.iterdir()) if folder.is_dir() else set()
    run([sys.executable, "-m", "hatchling", "build", "-t", target, "-d", folder], root)
    (built,) = set(folder.iterdir()) - before
    return built


def names(wheel: Path) -> set[str]:
    """The files in a wheel."""
    with ZipFile(wheel) as archive:
        return set(archive.namelist())


@dataclass(frozen=True)
class Environment:
    """A virtual environment with grainloop in it."""

    python: Path

    @property
    def command(self) -> Path:
        """The console script."""
        return self.python.with_name("grainloop.exe" if sys.platform == "win32" else "grainloop")

    @property
    def packages(self) -> Path:
        """Its folder of installed packages."""
        return Path(self.ask("import sysconfig; print(sysconfig.get_path('purelib'))", self.python.parent))

    def ask(self, code: str, cwd: Path) -> str:
        """What a program says there."""
        return run([self.python, "-c", code], cwd).stdout.strip()

    def pip(self, *arguments: str | Path) -> None:
        """Install or uninstall, from local files alone."""
        pip = [sys.executable, "-m", "pip", "--python", self.python, "--disable-pip-version-check", "--quiet"]
        run([*pip, *arguments], self.python.parent)

    def install(self, *what: str | Path) -> None:
        """Install local files without what they require."""
        self.pip("install", "--no-index", "--no-deps", "--no-build-isolation", *what)


def make_environment(folder: Path) -> Environment:
    """A fresh environment without grainloop, that finds the other packages of this one by links."""
    venv.create(folder)
    environment = Environment(folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python"))
    links = folder / "others"
    links.mkdir()
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if not entry.name.lstrip("_").startswith("grainloop") and entry.suffix != ".pth":
            (links / entry.name).symlink_to(entry)
    (environment.packages / "others.pth").write_text(f"{links}\n", encoding="utf-8")
    return environment


def run(command: list[str | Path], cwd: Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run without the paths of this checkout; another exit code than `code` tells what was said."""
    outside = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, cwd=cwd, env=outside, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == code, f"{command}: {done.stdout}{done.stderr}"
    return done


def tracked() -> set[str] | None:
    """The files of this checkout that belong to the project; nothing where it is no checkout of git."""
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        return None
    told = run([git, "ls-files", "--cached", "--others", "--exclude-standard", "-z"], ROOT).stdout
    return {name for name in told.split("\0") if name and os.path.lexists(ROOT / name)}
