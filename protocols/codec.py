"""Messages <-> frames: models of a closed union out, the same union validated in.

Encoding trusts the models, which were validated when they were made; decoding trusts nothing. Request ids, deadlines
and errors travel in the envelope of `protocols.rpc`; how arrays become frames is told in `protocols.frames`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from grainloop.protocols.errors import BadMessage, UnknownKind, VersionMismatch
from grainloop.protocols.frames import LIMITS, Frame, Limits, pack, unpack
from grainloop.protocols.messages import PROTOCOL_VERSION
from grainloop.protocols.sentences import describe, short
from grainloop.protocols.values import Value


def encode(message: Value, limits: Limits = LIMITS) -> list[Frame]:
    """`message` as frames: a msgpack header `{"version", "body"}`, then one frame per array, none of them copied.

    Raises:
        TooLarge: beyond `limits`.
    """
    return pack({"version": PROTOCOL_VERSION, "body": message}, limits)


def decode(frames: Sequence[Frame], union: Any, limits: Limits = LIMITS) -> Value:
    """The message in `frames`, which must be of `union`; its arrays are read-only views of `frames`.

    Raises:
        BadMessage: not a message, or a field is wrong; the sentence names the field and the value.
        UnknownKind: a kind outside the union.
        VersionMismatch: a message of another protocol version.
        TooLarge: beyond `limits`.
    """
    tree = unpack(frames, limits)
    require_version(tree)
    if tree.keys() != {"version", "body"}:
        raise BadMessage(f"A header with the fields {sorted(map(str, tree))}.", field="header")
    return validator(union)(tree["body"])


@lru_cache(maxsize=64)
def validator(union: Any) -> Callable[[object], Value]:
    """A function that takes a tree, as `unpack` returned it, and returns the message of `union` that it is.

    It raises `BadMessage` when a field is wrong and `UnknownKind` for a kind outside the union.
    """
    check = TypeAdapter[Value](union).validator.validate_python

    def validate(body: object) -> Value:
        try:
            return check(body)
        except ValidationError as error:
            raise _sentence(error, body) from None

    return validate


def require_version(tree: object) -> None:
    """Refuse what is no header, and headers of another protocol version.

    Raises:
        BadMessage: not a map, or without a version.
        VersionMismatch: another version.
    """
    if not isinstance(tree, dict) or "version" not in tree:
        raise BadMessage("A header without a protocol version.", field="version")
    version: object = tree["version"]
    if type(version) is not int or version != PROTOCOL_VERSION:
        raise VersionMismatch(
            f"The peer speaks protocol version {short(version)}, this side version {PROTOCOL_VERSION}.",
            field="version",
            value=short(version),
        )


def _sentence(error: ValidationError, body: object) -> BadMessage:
    fault = error.errors(include_url=False)[0]
    if fault["type"] == "union_tag_invalid":
        context = fault.get("ctx", {})
        tag = context.get("tag")
        return UnknownKind(
            f"kind {short(tag)} is not accepted here; accepted are {context.get('expected_tags')}.",
            field="kind",
            value=tag,
        )
    if fault["type"] == "union_tag_not_found":
        return UnknownKind(f"A message without a kind: {short(body)}.", field="kind")
    sentence, field, value = describe(error, "message", tagged=True)
    return BadMessage(sentence, field=field, value=value)
