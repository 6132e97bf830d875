"""Lies about every field of every reply, made from the types of the messages: a new field is lied about by itself.

A lie is told in the tree of a message as it travels: where it stands, what it is called, and what becomes of the true
value there. All are well-formed msgpack with allowed arrays; most pass the codec. Who tells them is `telling`.
"""

from __future__ import annotations

import enum
import os
import types
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import numpy as np
from pydantic import BaseModel

from grainloop.protocols.arrays import ArraySpec
from grainloop.protocols.messages import InstrumentReply, ModelReply

Make = Callable[[Any], Any]
Path = tuple[str | int, ...]
GONE = object()
"""The field is left out."""
REPLIES = {"instrument": InstrumentReply, "model": ModelReply}
NOT_ASKED = frozenset({("instrument", "health")})
"""Replies that no run asks for."""
UNTOLD = frozenset({"kind"})
"""Fields that are not lied about: a message of another kind is another message."""


@dataclass(frozen=True)
class Lie:
    """One field of one kind of reply, told otherwise.

    Attributes:
        service: instrument or model.
        kind: of the reply.
        path: to the field.
        name: what sort of lie it is.
        make: the lie, of the truth.
    """

    service: str
    kind: str
    path: Path
    name: str
    make: Make

    def __str__(self) -> str:
        return f"{self.kind}.{'.'.join(map(str, self.path))}={self.name}"


def kinds_of(service: str) -> list[type[BaseModel]]:
    """The kinds of reply of a service."""
    return list(get_args(get_args(REPLIES[service])[0]))


def lies_of(service: str) -> list[Lie]:
    """All lies about the replies of a service that a run asks for."""
    asked = [kind for kind in kinds_of(service) if (service, kind_of(kind)) not in NOT_ASKED]
    return [lie for kind in asked for lie in _of_model(service, kind)]


def lies_to_tell(service: str) -> list[Lie]:
    """Every third of them, always the same, or all where `GRAINLOOP_LIES=all` says so."""
    wanted = os.environ.get("GRAINLOOP_LIES") == "all"
    return [lie for lie in lies_of(service) if wanted or zlib.crc32(str(lie).encode()) % 3 == 0]


def kind_of(model: type[BaseModel]) -> str:
    return str(model.model_fields["kind"].default)


def _of_model(service: str, model: type[BaseModel]) -> Iterator[Lie]:
    kind = kind_of(model)
    for path, annotation, metadata in leaves(model):
        for name, make in _lies(annotation, metadata):
            yield Lie(service, kind, path, name, make)


def leaves(model: type[BaseModel], before: Path = ()) -> Iterator[tuple[Path, Any, list[Any]]]:
    """Every field of a message that holds no other message, with its type; of lists the first item too."""
    for name, field in model.model_fields.items():
        if name not in UNTOLD:
            yield from _leaves((*before, name), field.annotation, list(field.metadata))


def _leaves(path: Path, annotation: Any, metadata: list[Any]) -> Iterator[tuple[Path, Any, list[Any]]]:
    annotation, more = _bare(annotation)
    metadata = [*metadata, *more]
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield path, dict, metadata
        yield from leaves(annotation, path)
        return
    yield path, annotation, metadata
    if get_origin(annotation) is tuple:
        first = get_args(annotation)[0]
        yield from _leaves((*path, 0), first, [])


def _bare(annotation: Any) -> tuple[Any, list[Any]]:
    """A type without `Annotated` and without `None`."""
    if get_origin(annotation) is Annotated:
        inner, *metadata = get_args(annotation)
        bare, more = _bare(inner)
        return bare, [*metadata, *more]
    if get_origin(annotation) in (Union, types.UnionType):
        own = [one for one in get_args(annotation) if one is not type(None)]
        return _bare(own[0])
    return annotation, []


def _lies(annotation: Any, metadata: list[Any]) -> Iterator[tuple[str, Make]]:
    yield "none", lambda _: None
    yield "gone", lambda _: GONE
    spec = next((one for one in metadata if isinstance(one, ArraySpec)), None)
    if spec is not None:
        yield from _array_lies(spec)
    elif annotation is bool:
        yield from _constants(flipped=None, two=2, text="yes")
        yield "flipped", lambda truth: not truth
    elif annotation is int:
        yield from _constants(minus=-1, zero=0, large=2**31, huge=2**62, half=0.5, text="7", nan=float("nan"))
        yield "next", lambda truth: truth + 1
    elif annotation is float:
        yield from _number_lies()
    elif annotation is str:
        yield from _text_lies()
    elif get_origin(annotation) is tuple:
        yield from _constants(empty=(), text="x", numbers=(1, 2, 3, 4, 5, 6, 7))
        yield "doubled", lambda truth: (*truth, *truth)
        yield "reversed", lambda truth: tuple(reversed(truth))
    elif annotation is dict:
        yield from _constants(empty={}, text="x", number=3)
    elif isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        yield from _constants(unknown="dreamt", empty="", number=-1)
        yield "another", lambda truth: next(one.value for one in annotation if one.value != truth)
    elif get_origin(annotation) is not Literal:
        raise TypeError(f"nobody knows how to lie about {annotation}")


def _constants(**values: Any) -> Iterator[tuple[str, Make]]:
    for name, value in values.items():
        if value is not None:
            yield name, lambda _, value=value: value


def _number_lies() -> Iterator[tuple[str, Make]]:
    yield from _constants(nan=float("nan"), inf=float("inf"), minus=-1.0, zero=0.0, huge=1e308, text="1.0")
    yield from _constants(great=1e12, tiny=5e-324)
    yield "more", lambda truth: 10 * truth + 1


def _text_lies() -> Iterator[tuple[str, Make]]:
    yield from _constants(empty="", control="\x1b[31m\x00\r\n", long="x" * 60_000, number=7, foreign="somebody else")
    yield from _constants(path="../../etc/passwd", format="{0.__class__} %s %n")


def _array_lies(spec: ArraySpec) -> Iterator[tuple[str, Make]]:
    other = "float64" if spec.dtype != "float64" else "float32"
    yield "other_dtype", lambda truth: truth.astype(other)
    yield "shorter", lambda truth: truth[:-1]
    yield "longer", lambda truth: np.concatenate([truth, truth[:1]])
    yield "empty", lambda truth: truth[:0]
    yield "flat", lambda truth: truth.reshape(-1)
    yield "list", lambda truth: truth.tolist()
    yield "reversed", lambda truth: truth[::-1]
    yield "duplicated", lambda truth: np.repeat(truth[:1], len(truth), axis=0)
    yield from _filled(minus=-1, zero=0, nine=9, most=_most(spec.dtype))
    if spec.dtype.startswith("float"):
        yield from _filled(nan=np.nan, inf=np.inf, minus_inf=-np.inf, great=1e12)
        yield "one_nan", lambda truth: _with_first(truth, np.nan)
        yield "one_inf", lambda truth: _with_first(truth, np.inf)
        yield "negative", lambda truth: -truth - 1
        yield "more", lambda truth: 10 * truth + 1
    else:
        yield "next", lambda truth: truth + truth.dtype.type(1)
        yield "one_most", lambda truth: _with_first(truth, _most(spec.dtype))
    if len(spec.shape) > 1:
        yield "turned", lambda truth: np.swapaxes(truth, 0, 1)


def _most(dtype: str) -> Any:
    kind = np.dtype(dtype)
    return np.finfo(kind).max if kind.kind == "f" else np.iinfo(kind).max


def _filled(**values: Any) -> Iterator[tuple[str, Make]]:
    for name, value in values.items():
        yield name, lambda truth, value=value: np.full_like(truth, np.array(value).astype(truth.dtype))


def _with_first(truth: np.ndarray, value: Any) -> np.ndarray:
    lie = truth.copy()
    lie.reshape(-1)[:1] = value
    return lie


def told_in(tree: Any, path: Path, make: Make) -> Any:
    """A tree with a lie in the place of what stands at a path; raises `KeyError` where nothing does."""
    if not path:
        return make(tree)
    step, *rest = path
    if isinstance(step, int):
        items = list(tree)
        lie = told_in(items[step], tuple(rest), make)
        return (*items[:step], *([] if lie is GONE else [lie]), *items[step + 1 :])
    if tree is None or tree.get(step) is None:
        raise KeyError(step)
    lie = told_in(tree[step], tuple(rest), make)
    return {name: value for name, value in (tree | {step: lie}).items() if value is not GONE}
