"""Messages through frames and back; whatever else the frames hold, a typed error and nothing else."""

from __future__ import annotations

import contextlib
from typing import get_args

import msgpack
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from grainloop.protocols import messages
from grainloop.protocols.arrays import ALLOWED_DTYPES
from grainloop.protocols.codec import decode, encode, validator
from grainloop.protocols.errors import BadMessage, TooLarge, UnknownKind, VersionMismatch
from grainloop.protocols.frames import ARRAY_EXTENSION, Limits, pack, unpack
from grainloop.protocols.messages import (
    PROTOCOL_VERSION,
    CheckHealth,
    InstrumentReply,
    InstrumentRequest,
    PointsMeasured,
    ScanRequest,
)
from grainloop.protocols.values import PointBlock, Value
from tests.protocols.strategies import UNIONS, members, point_blocks, values

SLOW = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
FAST = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
KINDS = [(union, kind) for union in UNIONS.values() for kind in members(union)]


def scan(count: int = 3, **fields: object) -> ScanRequest:
    positions = np.stack([np.arange(count), np.arange(count)], axis=1).astype(np.int32)
    return ScanRequest(**{"batch": 0, "point_id": np.arange(count), "position_px": positions, "dwell_s": 0.1} | fields)


def header(tree: object) -> bytes:
    return msgpack.packb(tree)


def array_stand_in(*payload: object) -> msgpack.ExtType:
    return msgpack.ExtType(ARRAY_EXTENSION, msgpack.packb(payload))


# --- what goes in comes out ------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("union", "kind"), KINDS, ids=lambda x: getattr(x, "__name__", ""))
@given(data=st.data())
@SLOW
def test_every_kind_of_message_survives_the_wire(union, kind, data):
    message = data.draw(values(kind))
    frames = [bytes(frame) for frame in encode(message)]
    assert decode(frames, union) == message


def test_the_unions_hold_every_message():
    facts = {kind.__name__ for kind in get_args(get_args(messages.Fact)[0])} - {"RunEvent"}
    nested = {"LightImages", "ProposalRequest", "Proposals"} | facts  # inside other messages
    defined = {
        name
        for name, item in vars(messages).items()
        if isinstance(item, type) and issubclass(item, Value) and "kind" in item.model_fields
    }
    assert {kind.__name__ for _, kind in KINDS} == defined - nested


@given(block=point_blocks())
@SLOW
def test_an_array_is_one_frame_of_its_bytes(block):
    frames = encode(PointsMeasured(batch=1, points=block))
    assert [bytes(frame) for frame in frames[1:]] == [
        getattr(block, name).tobytes() for name in PointBlock.model_fields
    ]


def test_neither_way_copies():
    request = scan(1000)
    frames = encode(request)
    assert np.shares_memory(np.frombuffer(frames[1], np.int64), request.point_id)
    decoded = decode(frames, InstrumentRequest)
    assert isinstance(decoded, ScanRequest)
    assert np.shares_memory(decoded.point_id, np.frombuffer(frames[1], np.int64))
    assert not decoded.point_id.flags.writeable


def test_a_misaligned_frame_is_realigned():
    frames = encode(scan(5))
    shifted = memoryview(b"x" + bytes(frames[1]))[1:]
    decoded = unpack([frames[0], shifted, frames[2]])["body"]["point_id"]
    assert decoded.flags.aligned
    assert decoded.tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("order", ["F", "strided", "big-endian"])
def test_the_layout_in_memory_does_not_travel(order):
    array = np.arange(12, dtype=np.int32).reshape(3, 4)
    laid_out = {
        "F": np.asfortranarray(array),
        "strided": array.repeat(2, axis=1)[:, ::2],
        "big-endian": array.astype(">i4"),
    }
    assert unpack(pack(laid_out[order])).tolist() == array.tolist()


@pytest.mark.parametrize("dtype", sorted(ALLOWED_DTYPES))
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 3), (1, 2, 3, 4)])
def test_every_allowed_array(dtype, shape):
    array = np.ones(shape, dtype)
    back = unpack(pack(array))
    assert back.dtype == dtype
    assert back.shape == shape
    assert np.array_equal(back, array)


# --- what is refused -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "item", [1 + 2j, object(), {1, 2}, np.array(["a"]), np.array([object()]), np.ones(2, np.complex64)]
)
def test_nothing_but_the_vocabulary_is_sent(item):
    with pytest.raises(BadMessage):
        pack({"body": item})


@pytest.mark.parametrize(
    "payload",
    [
        (1, "object", (1,)),
        (1, "float16", (2,)),
        (1, "<f8", (1,)),
        (1, "V8", (1,)),
        (1, "int64", (2,)),
        (1, "int64", (-1,)),
        (1, "int64", (1.0,)),
        (1, "int64", (True,)),
        (1, "int64", 1),
        (1, "int64", (2**62, 4)),
        (1, "int64", (1,) * 9),
        (0, "int64", (1,)),
        (2, "int64", (1,)),
        (-1, "int64", (1,)),
        ("1", "int64", (1,)),
        (1, "int64"),
        (),
    ],
)
def test_a_false_description_of_an_array_is_refused(payload):
    with pytest.raises(BadMessage):
        unpack([header({"a": array_stand_in(*payload)}), bytes(8)])


def test_each_frame_is_named_exactly_once():
    stand_in = array_stand_in(1, "int64", (1,))
    with pytest.raises(BadMessage, match="names frame 1"):
        unpack([header([stand_in, stand_in]), bytes(8)])
    with pytest.raises(BadMessage, match="names 0 arrays"):
        unpack([header([]), bytes(8)])


@pytest.mark.parametrize(
    ("frames", "error"),
    [
        ([], BadMessage),
        ([b""], BadMessage),
        ([b"\xc1"], BadMessage),
        ([b"GET / HTTP/1.1\r\n\r\n"], BadMessage),
        ([header(5)], BadMessage),
        ([header({"body": {}})], BadMessage),
        ([header({1: 2})], BadMessage),
        ([header({"version": PROTOCOL_VERSION})], BadMessage),
        ([header({"version": PROTOCOL_VERSION, "body": {}, "more": 1})], BadMessage),
        ([header({"version": PROTOCOL_VERSION + 1, "body": {"kind": "park"}})], VersionMismatch),
        ([header({"version": str(PROTOCOL_VERSION), "body": {"kind": "park"}})], VersionMismatch),
        ([header({"version": True, "body": {"kind": "park"}})], VersionMismatch),
        ([header({"version": PROTOCOL_VERSION, "body": {"kind": "explode"}})], UnknownKind),
        ([header({"version": PROTOCOL_VERSION, "body": {"kind": "health"}})], UnknownKind),
        ([header({"version": PROTOCOL_VERSION, "body": {}})], UnknownKind),
        ([header({"version": PROTOCOL_VERSION, "body": None})], BadMessage),
        ([header({"version": PROTOCOL_VERSION, "body": {"kind": "park", "more": 1}})], BadMessage),
        ([header({"version": PROTOCOL_VERSION, "body": {"kind": "park", "more": b"bytes"}})], TooLarge),
        ([header({"version": PROTOCOL_VERSION, "body": msgpack.ExtType(5, b"cos\nsystem\n")})], BadMessage),
        ([header({"version": PROTOCOL_VERSION, "body": msgpack.Timestamp(0)})], BadMessage),
    ],
)
def test_what_is_no_message_is_refused_by_type(frames, error):
    with pytest.raises(error):
        decode(frames, InstrumentRequest)


def test_a_fault_is_told_by_field_and_value():
    body = unpack(encode(scan()))["body"]
    with pytest.raises(BadMessage) as caught:
        validator(InstrumentRequest)(body | {"dwell_s": -2.5})
    assert str(caught.value) == "scan_request: dwell_s should be greater than 0, got -2.5."
    assert (caught.value.field, caught.value.value) == ("dwell_s", "-2.5")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_are_none_are_refused(value):
    body = unpack(encode(scan()))["body"]
    with pytest.raises(BadMessage, match="dwell_s"):
        validator(InstrumentRequest)(body | {"dwell_s": value})


# --- bounds ----------------------------------------------------------------------------------------------------------
SMALL = Limits(header_bytes=200, array_bytes=64, total_bytes=300, frames=4, nesting=4, string_bytes=16, items=8)


@pytest.mark.parametrize(
    "frames",
    [
        [header("x" * 201)],
        [header([array_stand_in(1, "uint8", (65,))]), bytes(65)],
        [header([]), *[bytes(60)] * 3, b""],
        [header([array_stand_in(n + 1, "uint8", (64,)) for n in range(3)]) + b" " * 120, *[bytes(64)] * 3],
        [header("x" * 17)],
        [header(list(range(9)))],
        [header({str(n): n for n in range(9)})],
        [header([[[[[1]]]]])],
        [b"\x91" * 199 + b"\x90"],
    ],
    ids=["header", "array", "frames", "total", "string", "list", "map", "nesting", "deep nesting"],
)
def test_beyond_the_bounds_is_too_large(frames):
    with pytest.raises(TooLarge):
        unpack(frames, SMALL)


def test_nesting_beyond_what_msgpack_bears_is_too_large():
    with pytest.raises(TooLarge):
        unpack([b"\x91" * 100_000 + b"\x90"])


def test_a_message_that_the_other_side_would_refuse_is_not_sent():
    with pytest.raises(TooLarge, match="array of 80 bytes; at most 64"):
        encode(scan(10), SMALL)


def test_at_the_bounds_is_fine():
    frames = [header([array_stand_in(1, "uint8", (64,)), "x" * 16, [[[1]]]]), bytes(64)]
    assert unpack(frames, SMALL)[1] == "x" * 16


# --- anything at all -------------------------------------------------------------------------------------------------
@given(frames=st.lists(st.binary(max_size=64), max_size=4))
@FAST
def test_random_bytes_raise_nothing_but_typed_errors(frames):
    with pytest.raises(BadMessage):
        decode(frames, InstrumentReply)


JSON_LIKE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=5)
    | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(body=JSON_LIKE)
@FAST
def test_random_trees_raise_nothing_but_typed_errors(body):
    with pytest.raises(BadMessage):
        decode([header({"version": PROTOCOL_VERSION, "body": body})], InstrumentReply)


ONE_POINT = PointBlock.one(7, (3, 4), time_s=1.0, dwell_s=0.1)


@given(data=st.data())
@FAST
def test_flipped_bytes_give_a_message_or_a_typed_error(data):
    frames = [bytearray(frame) for frame in encode(PointsMeasured(batch=3, points=ONE_POINT))]
    for _ in range(data.draw(st.integers(1, 4))):
        frame = frames[data.draw(st.sampled_from([0, 0, 0, *range(len(frames))]))]
        frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(BadMessage):  # anything else fails
        assert isinstance(decode([bytes(frame) for frame in frames], InstrumentReply), PointsMeasured)


@given(data=st.data())
@FAST
def test_cut_frames_give_a_typed_error(data):
    frames = [bytes(frame) for frame in encode(scan(3))]
    which = data.draw(st.integers(0, len(frames) - 1))
    frames[which] = frames[which][: data.draw(st.integers(0, len(frames[which]) - 1))]
    with pytest.raises(BadMessage):
        decode(frames, InstrumentRequest)


def test_the_smallest_message_is_small():
    assert sum(len(frame) for frame in encode(CheckHealth())) < 50
