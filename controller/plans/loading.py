"""A plan from a TOML file or other options; a fault is one sentence that names the file, the field and the value."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from grainloop.protocols.errors import BadInput
from grainloop.protocols.files import read_toml
from grainloop.protocols.plan import Budget, RunPlan


def load_plan(path: Path) -> RunPlan:
    """The plan in a TOML file.

    Raises:
        BadInput: the file cannot be read, is no TOML, or holds a field that no plan has or a value out of range.
    """
    try:
        content = read_toml(path)
    except OSError as error:
        raise BadInput(f"The plan {path} cannot be read: {error.strerror}.", field="plan", value=path) from error
    except ValueError as error:
        raise BadInput(f"The plan {path} is not valid TOML: {error}.", field="plan", value=path) from error
    return make_plan(content, str(path))


def make_plan(content: dict[str, Any], source: str) -> RunPlan:
    """The plan that `content` describes.

    Raises:
        BadInput: a field that no plan has, or a value out of range; the sentence names `source`, field and value.
    """
    try:
        return RunPlan.model_validate(content)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in fault["loc"]) or "plan"
        value = fault["input"] if fault["loc"] else ""
        why = _unknown(fault["loc"]) if fault["type"] == "extra_forbidden" else _plain(fault["msg"])
        sentence = f"In {source}, {field} = {value!r} cannot be used: {why}{'' if why[-1] == '?' else '.'}"
        raise BadInput(sentence, field=field, value=value) from None


def _unknown(where: tuple[int | str, ...]) -> str:
    """That there is no such field, and which may be meant."""
    budget = {f"budget.{name}": name for name in Budget.model_fields}
    known = {name: name for name in RunPlan.model_fields} | budget
    asked = [name for name, last in known.items() if last == where[-1]]
    near = asked or get_close_matches(".".join(map(str, where)), known, n=1)
    return (
        f"there is no such field; did you mean {near[0]}?" if near else f"there is no such field ({', '.join(known)})"
    )


def _plain(message: str) -> str:
    message = message.removeprefix("Value error, ").rstrip(".")
    return message[:1].lower() + message[1:]
