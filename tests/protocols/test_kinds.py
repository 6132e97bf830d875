"""A kind of message is complete: shown by the package, in a union, answered by its service.

That it survives the wire is tested in `test_codec`, that its schema is written down in `test_schemas`, and who may send
it in `tests.protocols.security.test_roles`.
"""

from __future__ import annotations

import ast
import re
from importlib import import_module
from typing import Any

import pytest

from grainloop.controller.serve import ControlService
from grainloop.model.service.service import ModelService
from grainloop.protocols import messages
from grainloop.protocols.driver_service import DriverService
from grainloop.protocols.messages import ControlRequest, InstrumentRequest, ModelRequest
from grainloop.protocols.messages.updates import Fact
from grainloop.protocols.values import Value
from tests.house import ROOT, modules, told, tree_of
from tests.protocols.hosting.bench import Bench
from tests.protocols.strategies import members

MODULES = [path for path in modules("protocols") if path.parent.name == "messages" and path.stem != "__init__"]
SERVICES = {
    "instrument": (InstrumentRequest, lambda: DriverService(Bench())),
    "model": (ModelRequest, ModelService),
    "controller": (ControlRequest, ControlService),
}


@pytest.mark.parametrize("path", MODULES, ids=told)
def test_every_kind_is_shown_by_the_package(path: Any) -> None:
    module = import_module(f"grainloop.protocols.messages.{path.stem}")
    kinds = {name for name, one in vars(module).items() if isinstance(one, type) and issubclass(one, Value)}
    kinds = {name for name in kinds if "kind" in getattr(module, name).model_fields}
    own = {name for name in kinds if getattr(module, name).__module__ == module.__name__}
    assert own - set(messages.__all__) == set()


@pytest.mark.parametrize(("union", "service"), SERVICES.values(), ids=SERVICES.keys())
def test_every_request_is_answered_by_its_service(union: Any, service: Any) -> None:
    assert set(service().service._handlers) == set(members(union))


FACTS = {kind.__name__: kind.model_fields["kind"].default for kind in members(Fact) if "kind" in kind.model_fields}


def test_every_fact_that_is_written_is_one() -> None:
    """What an update may hold; the update itself is a message."""
    tree = tree_of(ROOT / "protocols" / "messages" / "updates.py")
    told = {
        node.name for node in tree.body if isinstance(node, ast.ClassDef) and ast.unparse(node).count("kind: Literal")
    }
    assert told - {"RunUpdate"} - set(FACTS) == set()


@pytest.mark.parametrize("name", FACTS)
def test_every_fact_is_in_the_picture_and_on_the_page(name: str) -> None:
    """Of a run as programs follow it."""
    cases = [
        node
        for node in ast.walk(tree_of(ROOT / "protocols" / "picture" / "picture.py"))
        if isinstance(node, ast.MatchClass)
    ]
    assert name in {ast.unparse(case.cls) for case in cases}
    page = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
    assert re.search(rf"^\|.*`{FACTS[name]}`.*\|", page, re.MULTILINE), "the table of updates in docs/protocol.md"
