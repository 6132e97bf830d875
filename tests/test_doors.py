"""Every door for a file: what is no file is refused in one sentence at once; nothing waits, nothing reads without end.

A door that is not listed here is found by the syntax tree: files are opened by `protocols.files`, or by the few modules
that are named with a reason.
"""

from __future__ import annotations

import ast
import io
import os
from collections.abc import Callable
from contextlib import closing
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from skimage.io import imsave

from grainloop.cli import main
from grainloop.cli.logs.reading import Tail
from grainloop.cli.plan.command import load_instrument
from grainloop.cli.plan.speed import load as load_speed
from grainloop.cli.prepare.stamp import Stamp
from grainloop.cli.train.config import load_config
from grainloop.controller.figures.layout import save
from grainloop.controller.journal.reading import first_entry, read_journal
from grainloop.controller.journal.writing import Journal
from grainloop.controller.plans import load_plan
from grainloop.controller.session.reader import load_session
from grainloop.controller.session.writer import ReopenedSessionFile
from grainloop.evaluate.sections.light_source import load_light
from grainloop.evaluate.sections.point_source import read_rows
from grainloop.instrument_sim.specimens.named import load_specimen
from grainloop.model.diffusion.checkpoints.averaged import read_averaged
from grainloop.model.diffusion.checkpoints.checkpoint import CheckpointError, read_metadata, read_tensors
from grainloop.model.diffusion.training.metrics import read_metrics
from grainloop.model.weights import WeightsIndexError, weights_files
from grainloop.protocols.errors import GrainloopError
from grainloop.protocols.files import open_file, read_text, write_text
from grainloop.protocols.hosting.spool import SpoolFolder
from grainloop.protocols.observability.output import LogOptions, logging_to
from grainloop.protocols.record_file import RecordFile
from grainloop.protocols.values import Grid
from tests.strange import STRANGE

ROOT = Path(__file__).parents[1]
Put = Callable[[Path], None]
pytestmark = [pytest.mark.skipif(os.name != "posix", reason="pipes in folders"), pytest.mark.timeout(120)]
SENTENCES = (GrainloopError, CheckpointError, WeightsIndexError, OSError)
"""What commands tell as a sentence."""


def journal(folder: Path, put: Put) -> None:
    put(folder / "000.journal")


def _images(folder: Path, put: Put) -> None:
    imsave(folder / "pl_000.png", np.zeros((9, 9), np.uint8), check_contrast=False)
    put(folder / "pl_010.png")


def _spool(folder: Path, put: Put) -> None:
    with closing(SpoolFolder(folder, "sem")) as spool:
        spool.open("run").close()
    (file,) = folder.glob("*.spool")
    file.unlink()
    put(file)


def _log(folder: Path) -> None:
    with logging_to(LogOptions(file=folder / "x"), io.StringIO()):
        pass


def _open_spool(folder: Path) -> None:
    with closing(SpoolFolder(folder, "sem")) as spool:
        spool.open("run").close()


def named(name: str) -> Callable[[Path, Put], None]:
    return lambda folder, put: put(folder / name)


READ: dict[str, tuple[Callable[[Path, Put], None], Callable[[Path], Any]]] = {
    "journal": (journal, read_journal),
    "beginning of a journal": (journal, first_entry),
    "journal to go on with": (journal, lambda folder: Journal(folder).close()),
    "session": (named("session.h5"), lambda folder: load_session(folder / "session.h5")),
    "session to go on with": (named("session.h5"), lambda folder: ReopenedSessionFile(folder / "session.h5")),
    "plan": (named("x"), lambda folder: load_plan(folder / "x")),
    "training": (named("x"), lambda folder: load_config(folder / "x")),
    "instrument": (named("x"), lambda folder: load_instrument(str(folder / "x"))),
    "points": (named("x"), lambda folder: read_rows(folder / "x", (9, 9))),
    "PL images": (_images, lambda folder: load_light(folder, Grid(shape_px=(9, 9), step_um=1.0), None)),
    "map": (named("x.ang"), lambda folder: load_specimen(str(folder / "x.ang"))),
    "weights": (named("x"), lambda folder: read_averaged(folder / "x")),
    "tensors": (named("x"), lambda folder: read_tensors(folder / "x")),
    "metadata": (named("x"), lambda folder: read_metadata(folder / "x")),
    "metrics": (named("x"), lambda folder: read_metrics(folder / "x")),
    "log to read": (named("x"), lambda folder: Tail(folder / "x")),
    "log to write": (named("x"), _log),
    "spool": (_spool, _open_spool),
    "records": (named("x"), lambda folder: RecordFile(folder / "x", new=False)),
    "text": (named("x"), lambda folder: read_text(folder / "x")),
}
WRITTEN: dict[str, Callable[[Path], Any]] = {
    "text": lambda path: write_text(path, "x"),
    "figure": lambda path: save(Figure(), path),
    "records": lambda path: RecordFile(path, new=True),
    "file": lambda path: open_file(path, "wb").close(),
}


HARMLESS = {
    ("log to write", "dangling link"),
    ("journal to go on with", "dangling link"),
    ("spool", "dangling link"),
    ("PL images", "folder"),
}
"""A file is made where such a link leads; a folder beside images is none of them."""


@pytest.mark.parametrize(("door", "kind"), [one for one in product(READ, STRANGE) if one not in HARMLESS])
def test_what_is_read_is_a_file_or_a_sentence(tmp_path: Path, door: str, kind: str) -> None:
    make, use = READ[door]
    make(tmp_path, STRANGE[kind])
    with pytest.raises(SENTENCES) as caught:
        use(tmp_path)
    assert "\n" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize("door", WRITTEN)
@pytest.mark.parametrize("kind", [kind for kind in STRANGE if kind != "dangling link"])
def test_what_is_written_is_a_file_or_an_error_at_once(tmp_path: Path, door: str, kind: str) -> None:
    STRANGE[kind](tmp_path / "x")
    with pytest.raises(OSError):  # noqa: PT011  # of many kinds
        WRITTEN[door](tmp_path / "x")


@pytest.mark.parametrize("kind", STRANGE)
def test_what_may_be_missing_counts_as_missing(tmp_path: Path, kind: str) -> None:
    STRANGE[kind](tmp_path / "x")
    assert load_speed(tmp_path / "x") is None
    assert not Stamp(tmp_path / "x", "text").holds


@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "socket", "link to a pipe"])
def test_an_index_of_weights(tmp_path: Path, kind: str) -> None:
    STRANGE[kind](tmp_path / "index.json")
    with pytest.raises(WeightsIndexError, match=r"index\.json"):
        weights_files(tmp_path)


@pytest.mark.parametrize("kind", STRANGE)
@pytest.mark.parametrize(
    "command",
    [
        ["run", "--plan", "{}", "--controller", "tcp://127.0.0.1:1"],
        ["plan", "--plan", "{}"],
        ["plan", "--instrument", "{}"],
        ["replay", "{}"],
        ["diff", "{}", "{}"],
        ["repair", "{}"],
        ["logs", "{}"],
        ["demo", "--map", "{}.ang"],
        ["reconstruct", "{}.ang"],
        ["reconstruct", "ti64", "--points", "{}"],
        ["train", "--config", "{}"],
        ["train", "--from", "{}"],
        ["keys", "list", "--keys", "{}"],
    ],
)
def test_commands_say_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], kind: str, command: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    STRANGE[kind](tmp_path / "x")
    STRANGE[kind](tmp_path / "x.ang")
    code = main([word.format(tmp_path / "x") for word in command])
    said = capsys.readouterr()
    assert code in (1, 2)
    assert "Traceback" not in said.err
    assert [line for line in said.err.splitlines() if line.startswith("grainloop: ")]


@pytest.mark.parametrize(("text", "door"), [("a = " + "[" * 5000, "plan"), ("a." * 5000 + "b = 1", "instrument")])
def test_toml_beyond_any_depth(tmp_path: Path, text: str, door: str) -> None:
    (tmp_path / "x").write_text(text)
    with pytest.raises(GrainloopError, match="not valid TOML: it is nested too deeply"):
        READ[door][1](tmp_path)


@pytest.mark.parametrize("name", ["config", "calibration", "origins", "revisions"])
def test_weights_whose_metadata_are_nested(tmp_path: Path, name: str) -> None:
    import torch
    from safetensors.torch import save_file

    from grainloop.model.diffusion.checkpoints.shipped import load_weights

    meta = {"step": "1", "seconds": "1", "config": "{}", name: "[" * 100_000}
    save_file({"average.x": torch.zeros(1)}, tmp_path / "x", metadata=meta)
    with pytest.raises(CheckpointError):
        load_weights(tmp_path / "x", "6/mmm")
    averaged = read_averaged(tmp_path / "x") if name != "config" else None
    if averaged is not None and name != "calibration":
        with pytest.raises(CheckpointError, match="does not say where its training stands"):
            averaged.before()


def test_lines_of_a_log_that_are_nested(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("[" * 100_000 + "\n")
    with closing(Tail(tmp_path / "x")) as tail:
        assert "is no log line" in str(tail.new()[0])


def test_a_calibration_of_the_speed_that_is_nested(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("[" * 100_000)
    assert load_speed(tmp_path / "x") is None


# --- no other doors ---------------------------------------------------------------------------------------------------
PACKAGES = ("controller", "instrument_sim", "model", "protocols", "grainloop/cli", "grainloop/evaluate")
OPENS = {"read_text", "read_bytes", "write_text", "write_bytes", "imread", "savefig", "savez_compressed", "fdopen"}
OPENS |= {"loadtxt", "genfromtxt", "fromfile", "tofile", "memmap", "safe_open", "save_file", "copyfile", "imsave"}
MODULES = {
    ("os", "open"),
    ("io", "open"),
    ("json", "load"),
    ("tomllib", "load"),
    ("tomllib", "loads"),
    ("h5py", "File"),
}
ALLOWED = {
    "protocols/files/regular.py": "the door",
    "protocols/files/contents.py": "the door for text",
    "protocols/security/private_files.py": "new files only, never what is there",
    "protocols/record_file.py": "a folder, to sync it",
    "protocols/observability/output.py": "a descriptor from the door",
    "protocols/version.py": "metadata of an installation",
    "controller/session/opening.py": "behind the door: HDF5 opens by name",
    "controller/session/writer.py": "a new file, never what is there",
    "model/maps/_text.py": "stands alone, with a door of its own",
    "model/maps/ang.py": "by the door of `_text`",
    "model/diffusion/checkpoints/checkpoint.py": "behind the door: safetensors opens by name",
    "grainloop/evaluate/sections/light_source.py": "behind the door: every format opens by name",
    "grainloop/cli/serve/stdout.py": "the standard output",
    "grainloop/cli/prepare/stamp.py": "the code of this installation",
    "grainloop/cli/train/outputs.py": "a file that was read before",
    "controller/figures/layout.py": "into a file from the door",
    "grainloop/cli/train/curves.py": "into a file from the door",
    "grainloop/cli/reconstruct/files.py": "into a file from the door",
}


def opened(tree: ast.AST) -> set[str]:
    """Calls that open a file by its name."""
    found = set[str]()
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id="open")):
                found.add("open")
            case ast.Call(func=ast.Name(id=name)) if name in OPENS - {"read_text", "write_text"}:
                found.add(name)
            case ast.Call(func=ast.Attribute(value=ast.Name(id=owner), attr=name)) if (owner, name) in MODULES:
                found.add(f"{owner}.{name}")
            case ast.Call(func=ast.Attribute(attr=name)) if name in OPENS:
                found.add(name)
            case ast.Call(func=ast.Attribute(attr="open"), args=[ast.Constant(value=str(how)), *_]) if set(how) <= set(
                "rwxab+t"
            ):
                found.add(".open")
            case _:
                pass
    return found


@pytest.mark.parametrize("package", PACKAGES)
def test_no_file_is_opened_past_the_door(package: str) -> None:
    paths = sorted((ROOT / package).rglob("*.py"))
    assert paths
    found = {str(path.relative_to(ROOT)): opened(ast.parse(path.read_text(encoding="utf-8"))) for path in paths}
    assert {path: what for path, what in found.items() if what and path not in ALLOWED} == {}


def test_each_exception_is_still_needed() -> None:
    needed = {name for name in ALLOWED if opened(ast.parse((ROOT / name).read_text(encoding="utf-8")))}
    assert set(ALLOWED) - needed == set()


@pytest.mark.parametrize(
    "source", ["open(x)", "path.open('rb')", "path.read_text()", "h5py.File(x)", "np.loadtxt(x)", "os.open(x, 0)"]
)
def test_the_search_finds_what_it_looks_for(source: str) -> None:
    assert opened(ast.parse(source))
