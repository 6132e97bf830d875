"""The TOML configuration of a training as a `TrainConfig`; every fault is one sentence naming field and value.

What the fields mean is said where they are defined: `TrainConfig`, `ExampleConfig`, `LossWeights`, `LearningRate` and
`ValidationConfig`. What is left out keeps its default.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from grainloop.model.crystal import CrystalError
from grainloop.model.diffusion.network.backbone import BACKBONES
from grainloop.model.diffusion.network.state import state_space
from grainloop.model.diffusion.training.trainer import LEARNS, TrainConfig
from grainloop.protocols.errors import BadInput
from grainloop.protocols.files import read_toml

Rule = tuple[Callable[[Any], bool], str]
_POSITIVE: Rule = (lambda value: 0 < value < math.inf, "it must be above 0")
_NOT_NEGATIVE: Rule = (lambda value: 0 <= value < math.inf, "it must be 0 or more")
_SHARE: Rule = (lambda value: 0 <= value <= 1, "it must lie between 0 and 1")
_SHARES: Rule = (lambda value: len(value) > 0 and all(0 < one <= 1 for one in value), "give shares above 0 up to 1")
_EDGE: Rule = (lambda value: min(value) >= 1, "edges must be 1 or more pixels")
_SHAPES: Rule = (
    lambda value: len(value) > 0 and all(edge > 0 and edge % 16 == 0 for shape in value for edge in shape),
    "edges must be multiples of 16 pixels",
)
_BACKBONE: Rule = (lambda value: value in BACKBONES, f"there are {' and '.join(BACKBONES)}")
_RULES: dict[str, Rule] = {
    "seed": _NOT_NEGATIVE,
    "backbone": _BACKBONE,
    "learns": (lambda value: value in LEARNS, f"there are {' and '.join(LEARNS)}"),
    "clip": _POSITIVE,
    "weight_decay": _NOT_NEGATIVE,
    "checkpoint_s": _NOT_NEGATIVE,
    "log_steps": _POSITIVE,
    "examples.shapes_px": _SHAPES,
    "examples.pixels": _POSITIVE,
    "examples.gate_share": _SHARE,
    "examples.prior_share": _SHARE,
    "examples.no_light_share": _SHARE,
    "examples.claimed_spread": _NOT_NEGATIVE,
    "rate.peak": _POSITIVE,
    "rate.warmup": _POSITIVE,
    "rate.hold": _POSITIVE,
    "validation.specimens": _NOT_NEGATIVE,
    "validation.shape_px": _EDGE,
    "validation.shares": _SHARES,
    "validation.every_s": _NOT_NEGATIVE,
}
_CONFIG = TypeAdapter(TrainConfig)


def load_config(path: Path) -> TrainConfig:
    """The configuration in a TOML file.

    Raises:
        BadInput: the file cannot be read, is no TOML, or holds a field that there is not or a value that cannot be.
    """
    try:
        content = read_toml(path)
    except OSError as error:
        message = f"The configuration {path} cannot be read: {error.strerror}."
        raise BadInput(message, field="config", value=path) from error
    except ValueError as error:
        message = f"The configuration {path} is not valid TOML: {error}."
        raise BadInput(message, field="config", value=path) from error
    return make_config(content, str(path))


def make_config(content: dict[str, Any], source: str) -> TrainConfig:
    """The configuration that `content` describes.

    Raises:
        BadInput: a field that there is not, or a value that cannot be; the sentence names `source`, field and value.
    """
    for field, value in _leaves(content):
        if field not in _known():
            raise _bad(source, field, value, f"there is no such field (known: {', '.join(_siblings(field))})")
        if field in _tables():
            raise _bad(source, field, value, "it must be a table")
    try:
        config = _CONFIG.validate_python(content)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in fault["loc"])
        raise _bad(source, field, fault["input"], fault["msg"][:1].lower() + fault["msg"][1:]) from None
    _check_values(config, source)
    return config


def changes(old: TrainConfig, new: TrainConfig) -> list[str]:
    """What differs, as `field: old → new`."""
    before, after = dict(_leaves(asdict(old))), dict(_leaves(asdict(new)))
    return [f"{name}: {before[name]} → {after[name]}" for name in before if before[name] != after[name]]


def _check_values(config: TrainConfig, source: str) -> None:
    values = dict(_leaves(asdict(config)))
    rules = _RULES | {name: _NOT_NEGATIVE for name in values if name.startswith("weights.")}
    for field, (holds, said) in rules.items():
        if not holds(values[field]):
            raise _bad(source, field, values[field], said)
    try:
        named = state_space(config.point_group).group.name
    except CrystalError as error:
        raise _bad(source, "point_group", config.point_group, str(error).rstrip(".")) from error
    if named != config.point_group:
        raise _bad(source, "point_group", config.point_group, f"its Laue group is {named}; give that")


def _leaves(content: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every field below tables, as a dotted name and its value; a table where no table is known counts as a value."""
    for name, value in content.items():
        if isinstance(value, dict) and prefix + name in _tables():
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _tables() -> dict[str, Any]:
    return {of.name: value for of in fields(TrainConfig) if is_dataclass(value := getattr(TrainConfig(), of.name))}


def _known() -> list[str]:
    below = [f"{table}.{of.name}" for table, value in _tables().items() for of in fields(value)]
    return [of.name for of in fields(TrainConfig)] + below


def _siblings(field: str) -> list[str]:
    table = field.rpartition(".")[0]
    return [name for name in _known() if name.rpartition(".")[0] == table]


def _bad(source: str, field: str, value: Any, why: str) -> BadInput:
    shown = json.dumps(value, default=str)
    return BadInput(f"In {source}, {field} = {shown} cannot be used: {why}.", field=field, value=value)
