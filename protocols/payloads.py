"""Entries as payloads of records: the frames of `protocols.frames` in one msgpack list.

What is kept on disk is laid out as what travels, but has no version of the wire: that of the file counts. Which entries
there are is the business of who writes them.
"""

from __future__ import annotations

from typing import Any, Final, cast

import msgpack

from grainloop.protocols.errors import BadMessage
from grainloop.protocols.frames import LIMITS, Limits, pack, unpack
from grainloop.protocols.values import Value

_LIMITS: Final = Limits(header_bytes=2**26, total_bytes=LIMITS.total_bytes, string_bytes=2**24, items=2**24)
"""Entries were validated when they were written; these bounds only keep damage from filling the memory."""


def to_payload(entry: Value) -> bytes:
    """An entry as the payload of a record."""
    return cast("bytes", msgpack.packb(pack(entry, _LIMITS)))


def tree_of(payload: bytes) -> Any:
    """The plain, unvalidated tree in a payload.

    Raises:
        BadMessage: it holds none.
    """
    try:
        frames = msgpack.unpackb(payload)
    except (ValueError, msgpack.UnpackException) as error:
        raise BadMessage(f"A record that is no list of frames: {error}.") from error
    if not isinstance(frames, list) or not all(isinstance(frame, bytes) for frame in frames):
        raise BadMessage("A record that is no list of frames.")
    return unpack(cast("list[bytes]", frames), _LIMITS)
