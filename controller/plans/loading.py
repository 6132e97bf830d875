"""A plan from a TOML file or other options; a fault is one sentence that names the file, the field and the value."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from grainloop.protocols.errors import BadInput
from grainloop.protocols.plan import RunPlan


def load_plan(path: Path) -> RunPlan:
    """The plan in a TOML file.

    Raises:
        BadInput: the file cannot be read, is no TOML, or holds a field that no plan has or a value out of range.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(f"The plan {path} cannot be read: {error.strerror}.", field="plan", value=path) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
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
        sentence = f"In {source}, {field} = {value!r} cannot be used: {_plain(fault['msg'])}."
        raise BadInput(sentence, field=field, value=value) from None


def _plain(message: str) -> str:
    message = message.removeprefix("Value error, ").rstrip(".")
    return message[:1].lower() + message[1:]
