"""Find a driver by name: `module:object` or `path/to/file.py:object`. Loading runs the code that is named.

Its neighbours are found too: modules and packages beside the file, or in the folder where grainloop was started. They
stand behind everything that is installed, so that a `queue.py` of a laboratory is in nobody's way.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from grainloop.protocols.capabilities import Capabilities
from grainloop.protocols.driver import InstrumentDriver
from grainloop.protocols.errors import BadInput
from grainloop.protocols.sentences import printable, said

METHODS = ("scan", "light", "park")


def load_driver(name: str) -> InstrumentDriver:
    """The driver called `name`; a class or function without arguments is called to make one.

    Raises:
        BadInput: no such module or object, it cannot be made, or it is no driver; the sentence says what is missing.
    """
    module_name, separator, attribute = name.rpartition(":")
    if not separator or not module_name or not attribute:
        raise BadInput(
            f"{name!r} does not name a driver as module:object or file.py:object.", field="driver", value=name
        )
    module = _import(module_name)
    found: Any = getattr(module, attribute, None)
    if found is None:
        where = "" if module_name.endswith(".py") else _where(module)
        raise BadInput(f"{module_name}{where} has no object {attribute}.", field="driver", value=name)
    return require_driver(_make(found, name), name)


def require_driver(candidate: object, name: str) -> InstrumentDriver:
    """`candidate`, which must have the three methods and the declaration of a driver.

    Raises:
        BadInput: something is missing.
    """
    missing = [method for method in METHODS if not callable(getattr(candidate, method, None))]
    if missing:
        raise BadInput(f"{name} is no driver: it lacks {', '.join(missing)}.", field="driver", value=name)
    try:
        capabilities = getattr(candidate, "capabilities", None)
        names = _names(capabilities) if isinstance(capabilities, Capabilities) else []
    except BaseException as error:
        raise BadInput(f"{name} is no driver: its capabilities fail with {said(error)}.", field="driver") from error
    if not isinstance(capabilities, Capabilities):
        raise BadInput(
            f"{name} is no driver: its capabilities are {type(capabilities).__name__}.", field="driver", value=name
        )
    for what, text in names:
        if not text.isprintable():
            message = f"{name} is no driver: {what} name holds control characters: '{printable(text)}'."
            raise BadInput(message, field="driver", value=name)
    return cast("InstrumentDriver", candidate)


def _names(capabilities: Capabilities) -> list[tuple[str, str]]:
    """Names that are told to an operator, and whose they are."""
    return [("its", capabilities.name), *(("a phase's", phase.name) for phase in capabilities.phases)]


def _import(module_name: str) -> ModuleType:
    is_file = module_name.endswith(".py")
    path = Path(module_name).expanduser().resolve()
    if is_file and not path.is_file():
        raise BadInput(f"There is no driver file {module_name}.", field="driver", value=module_name)
    folder = _top(path) if is_file else Path.cwd()
    _add_last(folder)
    try:
        return _import_file(path, folder) if is_file else importlib.import_module(module_name)
    except BaseException as error:
        told = f"{said(error).rstrip('.')}.{_clash(error, folder)}"
        raise BadInput(f"{module_name} cannot be loaded: {told}", field="driver", value=module_name) from error


def _top(path: Path) -> Path:
    """The folder in which imports of this file begin: its own, or the one that holds the package it belongs to."""
    folder = path.parent
    while (folder / "__init__.py").is_file():
        folder = folder.parent
    return folder


def _add_last(folder: Path) -> None:
    if not any(entry and Path(entry).resolve() == folder for entry in sys.path):
        sys.path.append(str(folder))


def _import_file(path: Path, folder: Path) -> ModuleType:
    name = ".".join(path.relative_to(folder).with_suffix("").parts).removesuffix(".__init__")
    if _found_at(name) == path:
        return importlib.import_module(name)
    if "." in name:
        raise ImportError(f"another package {name.partition('.')[0]} is installed; give the folder another name")
    return _import_as(f"driver_{name}", path)


def _found_at(name: str) -> Path | None:
    """The file that `import name` runs, or has run."""
    found = sys.modules.get(name)
    spec = importlib.util.find_spec(name) if found is None else found.__spec__
    return Path(spec.origin).resolve() if spec and spec.origin else None


def _import_as(name: str, path: Path) -> ModuleType:
    """A file whose own name is taken, by the standard library or an installed package."""
    if _found_at(name) == path:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _clash(error: BaseException, folder: Path) -> str:
    """What to do where a neighbour has the name of something installed, which was imported in its place."""
    name = (getattr(error, "name", None) or "").partition(".")[0]
    module = sys.modules.get(name)
    if module is None or not ((folder / f"{name}.py").is_file() or (folder / name / "__init__.py").is_file()):
        return ""
    path = _found_at(name)
    if path is not None and path.is_relative_to(folder):
        return ""
    return f" Another module {name} is installed{_where(module)}: give the one in {folder} another name."


def _where(module: ModuleType) -> str:
    return f" ({module.__file__})" if module.__file__ else ""


def _make(found: Any, name: str) -> object:
    try:
        if not callable(found) or (hasattr(found, "capabilities") and not isinstance(found, type)):
            return found
        return found()
    except BaseException as error:
        raise BadInput(f"{name} cannot be started: {said(error)}.", field="driver", value=name) from error
