"""Find a driver by name: `module:object` or `path/to/file.py:object`. Loading runs the code that is named."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from grainloop.protocols.capabilities import Capabilities
from grainloop.protocols.driver import InstrumentDriver
from grainloop.protocols.errors import BadInput

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
    found: Any = getattr(_import(module_name), attribute, None)
    if found is None:
        raise BadInput(f"{module_name} has no object {attribute}.", field="driver", value=name)
    return require_driver(_make(found, name), name)


def require_driver(candidate: object, name: str) -> InstrumentDriver:
    """`candidate`, which must have the three methods and the declaration of a driver.

    Raises:
        BadInput: something is missing.
    """
    missing = [method for method in METHODS if not callable(getattr(candidate, method, None))]
    if missing:
        raise BadInput(f"{name} is no driver: it lacks {', '.join(missing)}.", field="driver", value=name)
    capabilities = getattr(candidate, "capabilities", None)
    if not isinstance(capabilities, Capabilities):
        raise BadInput(
            f"{name} is no driver: its capabilities are {type(capabilities).__name__}.", field="driver", value=name
        )
    return cast("InstrumentDriver", candidate)


def _import(module_name: str) -> ModuleType:
    try:
        if module_name.endswith(".py"):
            return _import_file(Path(module_name))
        return importlib.import_module(module_name)
    except BadInput:
        raise
    except Exception as error:
        raise BadInput(
            f"{module_name} cannot be loaded: {type(error).__name__}: {error}.", field="driver", value=module_name
        ) from error


def _import_file(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise BadInput(f"There is no driver file {path}.", field="driver", value=str(path))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _make(found: Any, name: str) -> object:
    if not callable(found) or (hasattr(found, "capabilities") and not isinstance(found, type)):
        return found
    try:
        return found()
    except Exception as error:
        raise BadInput(
            f"{name} cannot be started: {type(error).__name__}: {error}.", field="driver", value=name
        ) from error
