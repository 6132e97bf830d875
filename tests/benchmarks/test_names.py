"""Every benchmark can be run by its name, and every name that a text mentions is one."""

import re
from importlib import import_module
from pathlib import Path

import pytest

from benchmarks.__main__ import BENCHMARKS, run

ROOT = Path(__file__).resolve().parents[2]
MENTIONED = re.compile(r"python -m benchmarks((?:\.\w+)*)(?: (\w+))?")


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_name_stands_for_something_to_run(name):
    assert callable(import_module(f"benchmarks.{BENCHMARKS[name]}").main)


def test_a_name_that_is_none_is_told():
    with pytest.raises(SystemExit, match="There is no benchmark wires; known are wire, "):
        run(["wire", "wires"])


def texts():
    folders = ("docs", "benchmarks", "controller", "grainloop/cli", "grainloop/evaluate", "instrument_sim", "model")
    listed = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.suffix in {".md", ".py"}]
    return [*listed, ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md"]


def test_texts_mention_benchmarks_that_exist():
    wrong = []
    for path in texts():
        for module, name in MENTIONED.findall(path.read_text(encoding="utf-8")):
            if module:
                where = ROOT / "benchmarks" / module.removeprefix(".").replace(".", "/")
                known = where.with_suffix(".py").is_file() or (where / "__main__.py").is_file()
            else:
                known = name in BENCHMARKS or not name
            wrong += [] if known else [(str(path.relative_to(ROOT)), module, name)]
    assert not wrong
