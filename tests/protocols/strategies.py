"""Hypothesis strategies for every value of the vocabulary, derived from the definitions themselves.

A new message is covered as soon as it is in a union; only values with rules across fields are spelled out here.
"""

from __future__ import annotations

import enum
import types
from math import isqrt
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types as at
import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pydantic.fields import FieldInfo

from grainloop.protocols.arrays import ArraySpec
from grainloop.protocols.capabilities import Capabilities
from grainloop.protocols.messages import (
    ControlReply,
    ControlRequest,
    InstrumentReply,
    InstrumentRequest,
    ModelReply,
    ModelRequest,
    PointsCame,
    PointsPage,
    PriorMap,
)
from grainloop.protocols.plan import RunPlan
from grainloop.protocols.values import MOST_PIXELS, Grid, LightImages, LightKind, PointBlock, Value

UNIONS = {
    "instrument request": InstrumentRequest,
    "instrument reply": InstrumentReply,
    "model request": ModelRequest,
    "model reply": ModelReply,
    "control request": ControlRequest,
    "control reply": ControlReply,
}


def members(union: Any) -> tuple[type[Value], ...]:
    """The message types of a closed union."""
    return get_args(get_args(union)[0])


def arrays(spec: ArraySpec, length: int | None = None) -> st.SearchStrategy[np.ndarray]:
    """Arrays of `spec`; free axes of 0 to 3, or all of `length`."""
    free = st.integers(0, 3) if length is None else st.just(length)
    axes = st.tuples(*(st.just(n) if isinstance(n, int) else free for n in spec.shape))
    return axes.flatmap(lambda shape: hnp.arrays(spec.dtype, shape))


def values(kind: Any) -> st.SearchStrategy[Any]:  # noqa: PLR0911  # one return for each kind
    """Instances of a type annotation of the vocabulary."""
    if kind in SPECIAL:
        return SPECIAL[kind]()
    if isinstance(kind, type) and issubclass(kind, Value):
        return st.builds(kind, **{name: field(info) for name, info in kind.model_fields.items()})
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return st.sampled_from(kind)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return constrained(arguments[0], list(arguments[1:]))
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin in (Union, types.UnionType):
        return st.one_of([values(option) for option in arguments])
    if origin is dict:
        return st.dictionaries(values(arguments[0]), values(arguments[1]), max_size=3)
    if origin is tuple and arguments[-1] is Ellipsis:
        return st.lists(values(arguments[0]), max_size=3).map(tuple)
    if origin is tuple:
        return st.tuples(*map(values, arguments))
    return constrained(kind, [])


def field(info: FieldInfo) -> st.SearchStrategy[Any]:
    return constrained(info.annotation, info.metadata)


def constrained(kind: Any, rules: list[Any]) -> st.SearchStrategy[Any]:
    flat = [rule for item in rules for rule in (item.metadata if isinstance(item, FieldInfo) else [item])]
    spec = next((rule for rule in flat if isinstance(rule, ArraySpec)), None)
    if spec is not None:
        return arrays(spec)
    low, high = bounds(flat)
    if kind is float:
        return floats(flat, low, high)
    if kind is int:
        return st.integers(-(2**53) if low is None else low, 2**53 if high is None else int(high))
    sizes = {key: getattr(rule, key) for rule in flat for key in ("min_length", "max_length") if hasattr(rule, key)}
    if kind is str:
        return st.text(min_size=sizes.get("min_length", 0), max_size=8)
    if kind is bool or kind is type(None):
        return st.booleans() if kind is bool else st.none()
    return values(kind).filter(lambda value: not sizes or len(value) >= sizes.get("min_length", 0))


def bounds(rules: list[Any]) -> tuple[Any, Any]:
    low = next((getattr(rule, key) for rule in rules for key in ("ge", "gt") if hasattr(rule, key)), None)
    high = next((getattr(rule, key) for rule in rules for key in ("le", "lt") if hasattr(rule, key)), None)
    exclusive = any(isinstance(rule, at.Lt) for rule in rules)
    return low, high - 1 if exclusive and isinstance(high, int) and high > 1 else high


def floats(rules: list[Any], low: float | None, high: float | None) -> st.SearchStrategy[float]:
    open_low, open_high = (any(isinstance(rule, kind) for rule in rules) for kind in (at.Gt, at.Lt))
    return st.floats(
        low,
        high,
        exclude_min=open_low and low is not None,
        exclude_max=open_high and high is not None,
        allow_nan=False,
        allow_infinity=False,
    )


def point_blocks(length: int | None = None) -> st.SearchStrategy[PointBlock]:
    def of(count: int) -> st.SearchStrategy[PointBlock]:
        specs = {name: info.metadata[0] for name, info in PointBlock.model_fields.items()}
        return st.builds(PointBlock, **{name: arrays(spec, count) for name, spec in specs.items()})

    return of(length) if length is not None else st.integers(0, 4).flatmap(of)


def columns(kind: type[Value]) -> st.SearchStrategy[Any]:
    """Values whose array fields have one length."""
    specs = {name: info.metadata[0] for name, info in kind.model_fields.items() if _is_array(info)}
    others = {name: field(info) for name, info in kind.model_fields.items() if name not in specs}

    def of(count: int) -> st.SearchStrategy[Any]:
        return st.builds(kind, **others, **{name: arrays(spec, count) for name, spec in specs.items()})

    return st.integers(0, 4).flatmap(of)


def _is_array(info: FieldInfo) -> bool:
    return bool(info.metadata) and isinstance(info.metadata[0], ArraySpec)


def light_images() -> st.SearchStrategy[LightImages]:
    def of(kind: LightKind, angles: list[float]) -> st.SearchStrategy[LightImages]:
        count = 3 if kind is LightKind.RGB else len(angles)
        shape = st.tuples(st.just(count), st.integers(0, 3), st.integers(0, 3))
        return st.builds(
            LightImages,
            kind=st.just(kind),
            angles_deg=st.just(() if kind is LightKind.RGB else tuple(angles)),
            images=shape.flatmap(lambda axes: hnp.arrays(np.float32, axes)),
            pixel_um=st.floats(1e-3, 1e3),
        )

    angles = st.lists(st.floats(-360, 360), max_size=3)
    return st.tuples(st.sampled_from(LightKind), angles).flatmap(lambda pair: of(*pair))


def prior_maps() -> st.SearchStrategy[PriorMap]:
    def of(shape: tuple[int, int]) -> st.SearchStrategy[PriorMap]:
        return st.builds(
            PriorMap,
            orientation=hnp.arrays(np.float32, (*shape, 4)),
            phase_id=hnp.arrays(np.uint8, shape),
            spacing_um=st.floats(1e-3, 1e3),
        )

    return st.tuples(st.integers(0, 3), st.integers(0, 3)).flatmap(of)


def capabilities() -> st.SearchStrategy[Capabilities]:
    fields = {name: field(info) for name, info in Capabilities.model_fields.items()}
    dwell = st.lists(st.floats(1e-6, 1e3), min_size=3, max_size=3).map(sorted)
    return dwell.flatmap(
        lambda d: st.builds(
            Capabilities,
            **fields | {"dwell_range_s": st.just((d[0], d[2])), "default_dwell_s": st.just(d[1])},
        )
    )


def grids() -> st.SearchStrategy[Grid]:
    """Up to the largest one."""
    edge = st.integers(1, isqrt(MOST_PIXELS))
    return st.builds(Grid, shape_px=st.tuples(edge, edge), step_um=st.floats(1e-6, 1e9))


def run_plans() -> st.SearchStrategy[RunPlan]:
    fields = {name: field(info) for name, info in RunPlan.model_fields.items()}
    unique = st.lists(st.floats(-360, 360), max_size=3, unique=True).map(tuple)
    either = st.one_of(
        st.just({"real_time": True, "decision_s": None}), st.fixed_dictionaries({"decision_s": fields["decision_s"]})
    )
    plain = {name: one for name, one in fields.items() if name not in ("real_time", "decision_s")}
    return either.flatmap(
        lambda time: st.builds(
            RunPlan, **plain | {"light_angles_deg": unique} | {name: st.just(value) for name, value in time.items()}
        )
    )


SPECIAL = {
    PointBlock: point_blocks,
    LightImages: light_images,
    PriorMap: prior_maps,
    Capabilities: capabilities,
    Grid: grids,
    RunPlan: run_plans,
    PointsCame: lambda: columns(PointsCame),
    PointsPage: lambda: columns(PointsPage),
}
