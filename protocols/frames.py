"""Plain trees with arrays <-> lists of frames, within declared bounds. No pickle, no attribute access by name.

Frame 0 is msgpack. An array stands in it as extension type 1 whose payload is msgpack `[frame, dtype, shape]`; its
elements are frame `frame`, C order, little-endian. Arrays are neither copied on the way out nor on the way in. What the
tree means is the business of `protocols.codec` and `protocols.rpc`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, cast

import msgpack
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from grainloop.protocols.arrays import ALLOWED_DTYPES
from grainloop.protocols.errors import BadMessage, GrainloopError, TooLarge

Frame = bytes | memoryview
"""One ZeroMQ frame; what `pack` returns must not be changed before it is sent."""

ARRAY_EXTENSION: Final = 1
MAX_AXES: Final = 8

# Little-endian on every machine; on little-endian ones these equal the native dtypes, so nothing is ever swapped.
_DTYPES: Final = {name: np.dtype(name).newbyteorder("<") for name in ALLOWED_DTYPES}
_NAMES: Final = {dtype: name for name, dtype in _DTYPES.items()}


@dataclass(frozen=True)
class Limits:
    """Bounds of a message; whatever is beyond them is refused before it is looked at.

    Attributes:
        header_bytes: of frame 0, which holds everything but arrays.
        array_bytes: of one array: 1 GiB is a stack of 64 PL images of 2048 × 2048 in float32.
        total_bytes: of all frames.
        frames: number of frames, header included.
        nesting: depth of maps and lists.
        string_bytes: of one string.
        items: of one map or list.
    """

    header_bytes: int = 2**20
    array_bytes: int = 2**30
    total_bytes: int = 2**30 + 2**28
    frames: int = 64
    nesting: int = 16
    string_bytes: int = 2**16
    items: int = 2**16


LIMITS: Final = Limits()


def pack(tree: object, limits: Limits = LIMITS) -> list[Frame]:
    """`tree` as frames: maps, lists, strings, numbers, None, arrays and pydantic models (as their fields).

    Raises:
        BadMessage: something else is in the tree.
        TooLarge: beyond `limits`.
    """
    frames: list[Frame] = [b""]

    def stand_in(item: object) -> object:
        if isinstance(item, np.ndarray):
            return _array_out(cast("NDArray[Any]", item), frames)
        if isinstance(item, BaseModel):
            return item.__dict__
        raise BadMessage(f"A {type(item).__name__} cannot be sent.", value=type(item).__name__)

    try:
        frames[0] = cast("bytes", msgpack.packb(tree, default=stand_in, unicode_errors="backslashreplace"))
    except (TypeError, ValueError, OverflowError) as error:
        raise BadMessage(f"The message cannot be encoded: {error}.") from error
    _check_sizes(frames, limits)
    return frames


def unpack(frames: Sequence[Frame], limits: Limits = LIMITS) -> Any:
    """The tree in `frames`; lists come back as tuples, arrays as read-only views of their frames.

    Raises:
        BadMessage: not what `pack` makes, whatever the bytes are.
        TooLarge: beyond `limits`.
    """
    if not frames:
        raise BadMessage("A message without frames.")
    _check_sizes(frames, limits)
    arrays = _ArraysIn(frames)
    tree = _unpack_header(frames[0], arrays.view, limits)
    if isinstance(tree, (dict, tuple)):
        _check_nesting(cast("object", tree), limits.nesting)
    if arrays.used != set(range(1, len(frames))):
        raise BadMessage(f"A message of {len(frames)} frames whose header names {len(arrays.used)} arrays.")
    return tree


def peek(frames: Sequence[Frame], limits: Limits = LIMITS) -> dict[str, Any]:
    """The top-level map of a message whose arrays are broken; empty where even that cannot be read."""
    try:
        tree = _unpack_header(frames[0], _no_array, limits)
    except (BadMessage, IndexError):
        return {}
    return cast("dict[str, Any]", tree) if isinstance(tree, dict) else {}


def _no_array(_code: int, _payload: bytes) -> None:
    return None


def _array_out(array: NDArray[Any], frames: list[Frame]) -> msgpack.ExtType:
    dtype = _NAMES.get(array.dtype) or array.dtype.name  # numpy makes up the name anew each time
    if dtype not in ALLOWED_DTYPES:
        raise BadMessage(f"An array of {dtype} cannot be sent.", field="dtype", value=dtype)
    flat = np.ascontiguousarray(array, dtype=_DTYPES[dtype])
    frames.append(flat.reshape(-1).data.cast("B") if flat.size else b"")
    return _stand_in_for(len(frames) - 1, dtype, array.shape)


@lru_cache(4096)
def _stand_in_for(frame: int, dtype: str, shape: tuple[int, ...]) -> msgpack.ExtType:
    """What stands in the header for an array; blocks of points have few shapes."""
    return msgpack.ExtType(ARRAY_EXTENSION, msgpack.packb((frame, dtype, shape)))


def _check_sizes(frames: Sequence[Frame], limits: Limits) -> None:
    if len(frames) > limits.frames:
        raise TooLarge(
            f"A message of {len(frames)} frames; at most {limits.frames} are allowed.",
            field="frames",
            value=len(frames),
        )
    total = len(frames[0])
    _bound("A header", total, limits.header_bytes)
    if len(frames) == 1:
        return
    for frame in frames[1:]:
        _bound("An array", len(frame), limits.array_bytes)
        total += len(frame)
    _bound("A message", total, limits.total_bytes)


def _bound(what: str, size: int, limit: int) -> None:
    if size > limit:
        raise TooLarge(f"{what} of {size} bytes; at most {limit} are allowed.", field="bytes", value=size)


def _unpack_header(header: Frame, array_hook: Any, limits: Limits) -> Any:
    try:
        return msgpack.unpackb(
            header,
            use_list=False,
            ext_hook=array_hook,
            max_str_len=limits.string_bytes,
            max_bin_len=0,
            max_array_len=limits.items,
            max_map_len=limits.items,
            max_ext_len=256,
        )
    except GrainloopError:
        raise
    except msgpack.StackError as error:
        raise TooLarge("A header nested too deeply.", field="header") from error
    except (msgpack.UnpackException, ValueError, TypeError, OverflowError) as error:
        # msgpack tells a bound from a broken byte only in its text.
        kind = TooLarge if "exceeds max" in str(error) else BadMessage
        raise kind(f"A header that cannot be read: {error}.", field="header") from error


def _check_nesting(node: object, left: int) -> None:
    """Walk maps and lists, which msgpack makes of exactly these two types."""
    if left == 0:
        raise TooLarge("A header nested too deeply.", field="header")
    children = cast("dict[str, object]", node).values() if type(node) is dict else cast("tuple[object, ...]", node)
    for child in children:
        if type(child) is dict or type(child) is tuple:
            _check_nesting(child, left - 1)


class _ArraysIn:
    """Turns stand-ins into views of the frames they name; each frame may be named once."""

    def __init__(self, frames: Sequence[Frame]) -> None:
        self._frames = frames
        self.used: set[int] = set()

    def view(self, code: int, payload: bytes) -> NDArray[Any]:
        if code != ARRAY_EXTENSION:
            raise BadMessage(f"A header with the unknown extension {code}.", field="header", value=code)
        index, dtype, shape = _stand_in(payload)
        frame = self._claim(index)
        if math.prod(shape) * dtype.itemsize != len(frame):
            raise BadMessage(
                f"Frame {index} holds {len(frame)} bytes; {dtype.name} of shape {shape} needs another number.",
                field="shape",
                value=shape,
            )
        array = np.frombuffer(frame, dtype=dtype)
        if not array.flags.aligned:  # libzmq packs small frames back to back; compiled kernels expect alignment
            array = array.copy()
        array.flags.writeable = False
        return array.reshape(shape)

    def _claim(self, index: int) -> Frame:
        if index in self.used or not 1 <= index < len(self._frames):
            raise BadMessage(f"A header that names frame {index} of {len(self._frames)}.", field="frame", value=index)
        self.used.add(index)
        return self._frames[index]


def _stand_in(payload: bytes) -> tuple[int, np.dtype[Any], tuple[int, ...]]:
    """`payload` as (frame, dtype, shape); nothing in it is trusted."""
    match msgpack.unpackb(payload, use_list=False):
        case (int(index), str(name), tuple(shape)) if len(shape) <= MAX_AXES and all(_is_length(n) for n in shape):
            pass
        case other:
            raise BadMessage(f"{other!r} does not describe an array.", field="header", value=other)
    if name not in _DTYPES:
        raise BadMessage(f"An array of {name} is not accepted.", field="dtype", value=name)
    return index, _DTYPES[name], shape


def _is_length(value: object) -> bool:
    return type(value) is int and value >= 0
