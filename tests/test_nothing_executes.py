"""No shipped module turns data into code: no pickle, eval, exec, or attribute by a name from outside.

ruff forbids the first ones by rule (S102, S301, S307, banned imports). What rules cannot tell apart is looked for in
the syntax tree here: attributes, modules and functions reached by a name that is not written down where it is used.
Only loops over our own fields and tables of constants do that, and nothing that touches the wire does.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("controller", "instrument_sim", "model", "protocols")
FORBIDDEN_MODULES = {"pickle", "cloudpickle", "dill", "marshal", "shelve", "jsonpickle", "yaml", "code", "codeop"}
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__"}
BY_NAME = {"getattr", "setattr", "delattr", "import_module", "attrgetter", "methodcaller", "spec_from_file_location"}
PICKLES = {("torch", "load"), ("np", "load"), ("numpy", "load"), ("joblib", "load"), ("pandas", "read_pickle")}

FROM_THE_COMMAND_LINE = "protocols/hosting/loading.py"
"""`--driver module:object`: the code that the user of this machine asks to run, never a name from a socket."""
OWN_FIELDS = "names of the fields of our own classes, or a table of constants"
KNOWN = {FROM_THE_COMMAND_LINE: "the command line"}
WIRE = ("protocols/aio", "protocols/rpc", "protocols/security", "protocols/messages")
"""What touches bytes of others: not even our own fields are reached by name here."""


def modules() -> list[Path]:
    return sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def faults(tree: ast.AST) -> list[str]:
    """What no shipped module may hold."""
    found: list[str] = []
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                found += [name.name for name in names if name.name.split(".")[0] in FORBIDDEN_MODULES]
            case ast.ImportFrom(module=str(module)) if module.split(".")[0] in FORBIDDEN_MODULES:
                found.append(module)
            case ast.Call(func=ast.Name(id=name)) if name in FORBIDDEN_CALLS:
                found.append(name)
            case ast.Call(func=ast.Attribute(value=ast.Name(id=owner), attr=name)) if (owner, name) in PICKLES:
                found.append(f"{owner}.{name}")
            case ast.keyword(arg="allow_pickle", value=ast.Constant(value=True)):
                found.append("allow_pickle")
            case ast.keyword(arg="shell", value=ast.Constant(value=True)):
                found.append("shell=True")
            case _:
                pass
    return found


def by_name(tree: ast.AST) -> list[tuple[int, str]]:
    """Where something is reached by a name that is not a literal: line, and the name as it is written."""
    found: list[tuple[int, str]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and called(node) in BY_NAME:
            position = 0 if called(node) in ("import_module", "attrgetter", "methodcaller") else 1
            name = node.args[position] if len(node.args) > position else None
            if not isinstance(name, ast.Constant):
                found.append((node.lineno, "?" if name is None else ast.unparse(name)))
    return found


@pytest.mark.parametrize("package", PACKAGES)
def test_nothing_turns_data_into_code(package: str) -> None:
    paths = [path for path in modules() if path.is_relative_to(ROOT / package)]
    assert paths
    found = {str(path.relative_to(ROOT)): faults(ast.parse(path.read_text(encoding="utf-8"))) for path in paths}
    assert {path: what for path, what in found.items() if what} == {}


LOOPS = {"name", "of.name", "column.name", "field.name", "field"}
"""Variables that run over the fields of a dataclass or model, or over a tuple of literals."""
TABLES = {"_SCHOENFLIES[group.name]", "_HOMES[name]", "one.best", "f'{name}_wrong'"}
"""Constants of the module, looked up by a key that has been checked."""


def test_attributes_are_reached_by_name_only_over_our_own_fields() -> None:
    strange: dict[str, list[tuple[int, str]]] = {}
    for path in modules():
        where = str(path.relative_to(ROOT))
        places = by_name(ast.parse(path.read_text(encoding="utf-8")))
        left = [place for place in places if place[1] not in LOOPS | TABLES and where not in KNOWN]
        if left:
            strange[where] = left
    assert strange == {}, OWN_FIELDS


def test_the_wire_reaches_nothing_by_name() -> None:
    for path in modules():
        if any(path.is_relative_to(ROOT / folder) for folder in WIRE):
            assert by_name(ast.parse(path.read_text(encoding="utf-8"))) == [], path


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from yaml import load",
        "eval(x)",
        "torch.load(path)",
        "np.load(path, allow_pickle=True)",
        "subprocess.run(x, shell=True)",
        "__import__(name)",
    ],
)
def test_the_search_finds_what_it_looks_for(source: str) -> None:
    assert faults(ast.parse(source))


@pytest.mark.parametrize(
    "source", ["getattr(x, request.kind)", "importlib.import_module(body['m'])", "setattr(x, k, 1)"]
)
def test_the_search_finds_names_from_outside(source: str) -> None:
    assert by_name(ast.parse(source))
    assert by_name(ast.parse(source))[0][1] not in LOOPS | TABLES
