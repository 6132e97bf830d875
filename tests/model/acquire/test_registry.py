"""Policies of other packages: a fake one is installed, used, and refused where it is no policy."""

import ast
import re
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest

from benchmarks.acquisition.policies import POLICIES as COMPARED
from grainloop.model.acquire.registry import GROUP, SHIPPED, collect, find_policies
from tests.house import ROOT, modules, tree_of
from tests.model.acquire.scenes import real_scene

CODE = """
import numpy as np
from grainloop.model.acquire.scene import proposals

class Corner:
    name = "corner"

    def __call__(self, scene, count, rng):
        position = np.argwhere(scene.free)[:count]
        return proposals(self.name, position, np.ones(len(position)), np.zeros(len(position)))

ready = Corner()

def failing():
    raise RuntimeError("no licence")
"""


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Installs a distribution with entry points into a folder of its own."""

    def install(**entries):
        (tmp_path / "fake_policies.py").write_text(CODE, encoding="utf-8")
        about = tmp_path / "fake_policies-1.0.dist-info"
        about.mkdir()
        (about / "METADATA").write_text("Metadata-Version: 2.1\nName: fake-policies\nVersion: 1.0\n", encoding="utf-8")
        lines = [f"[{GROUP}]", *(f"{name} = {value}" for name, value in entries.items())]
        (about / "entry_points.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
        monkeypatch.syspath_prepend(str(tmp_path))
        return tmp_path

    yield install
    sys.modules.pop("fake_policies", None)


@pytest.mark.parametrize("value", ["fake_policies:Corner", "fake_policies:ready"])
def test_a_policy_of_another_package_is_found_and_used(installed, value):
    installed(corner=value)
    found = find_policies()
    assert list(found.policies)[: len(SHIPPED)] == [policy.name for policy in SHIPPED]
    assert found.faults == ()
    points = found.policies["corner"](real_scene(), 3, np.random.default_rng(0))
    assert points.position_px.tolist() == [[0, 0], [0, 1], [0, 2]]


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("spread", "fake_policies:Corner", "cannot be used: there is a policy of that name"),
        ("corner", "fake_policies:failing", "cannot be loaded: RuntimeError: no licence"),
        ("corner", "fake_policies:missing", "cannot be loaded: AttributeError"),
        ("corner", "no_such_module:x", "cannot be loaded: ModuleNotFoundError"),
        ("other", "fake_policies:Corner", "is no policy of that name"),
        ("np", "fake_policies:np", "cannot be loaded: TypeError"),
    ],
)
def test_what_is_no_policy_is_left_out_with_a_reason(installed, name, value, words):
    installed(**{name: value})
    found = find_policies()
    assert list(found.policies) == [policy.name for policy in SHIPPED]
    assert type(found.policies["spread"]) is type(SHIPPED[0])
    (fault,) = found.faults
    assert fault.startswith(f"The policy '{name}' of the package fake-policies ({value})")
    assert words in fault


def test_of_two_of_one_name_the_first_counts(installed):
    installed(corner="fake_policies:Corner")
    twice = [EntryPoint("corner", "fake_policies:ready", GROUP), EntryPoint("corner", "fake_policies:Corner", GROUP)]
    found = collect(twice)
    assert "corner" in found.policies
    assert "of the package unknown (fake_policies:ready) cannot be used: there is a policy" in found.faults[0]


def test_the_service_offers_it_and_says_why_it_does_not(installed):
    """In a process of its own: what is installed is looked up when the service starts."""
    folder = installed(corner="fake_policies:Corner", broken="fake_policies:failing")
    ask = "from grainloop.model.acquire import POLICIES; from grainloop.model.service.proposing import policy_named; "
    ask += "print(list(POLICIES)[-1]); policy_named('broken')"
    path = {"PYTHONPATH": f"{folder}:."}
    told = subprocess.run([sys.executable, "-c", ask], check=False, capture_output=True, text=True, env=path)
    assert told.stdout.strip() == "corner"
    assert "There is no policy 'broken'; known are spread" in told.stderr
    assert "cannot be loaded: RuntimeError: no licence." in told.stderr


def test_the_policy_that_the_documentation_shows_works():
    page = Path("docs/acquire.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names = {}
    exec(code, names)  # noqa: S102
    scene = real_scene(exploration_share=0.0)
    found = names["FarFromEdges"]()(scene, 5, np.random.default_rng(0))
    assert len(found.position_px) == 5
    assert np.all(scene.posterior.boundary[tuple(found.position_px.T)] < 0.5)


def test_every_policy_that_is_written_here_ships() -> None:
    """A policy is known by a field `name` and by being called with a scene."""
    written = {
        node.name
        for path in modules("model")
        if path.parent.name == "acquire"
        for node in tree_of(path).body
        if isinstance(node, ast.ClassDef) and is_policy(node)
    }
    assert written == {type(policy).__name__ for policy in SHIPPED}


def is_policy(node: ast.ClassDef) -> bool:
    named = any(isinstance(one, ast.AnnAssign) and ast.unparse(one.target) == "name" for one in node.body)
    return named and any(isinstance(one, ast.FunctionDef) and one.name == "__call__" for one in node.body)


@pytest.mark.parametrize("name", [policy.name for policy in SHIPPED])
def test_every_policy_that_ships_is_documented_and_compared(name: str) -> None:
    page = (ROOT / "docs" / "acquire.md").read_text(encoding="utf-8")
    assert re.search(rf"^\|.*`{name}`.*\|", page, re.MULTILINE), "the table of policies in docs/acquire.md"
    assert name in COMPARED, "benchmarks/acquisition/policies.py"
