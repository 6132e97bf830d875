"""Messages that no honest peer sends: valid ones spoiled, and frames made of nothing.

Byte flips, cuts, repeats, frames swapped, doubled and dropped, headers of random msgpack, depths and lengths that lie.
Everything follows from one generator of random numbers, so that a find can be made again from its seed.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import msgpack
import numpy as np

from grainloop.protocols.codec import encode
from grainloop.protocols.frames import ARRAY_EXTENSION
from grainloop.protocols.messages import (
    PROTOCOL_VERSION,
    CheckHealth,
    Command,
    GetStatus,
    PointsMeasured,
    RunCommand,
    RunRequest,
    ScanDone,
    ScanRequest,
)
from grainloop.protocols.plan import RunPlan
from grainloop.protocols.rpc.envelope import Envelope, EnvelopeKind, to_frames
from grainloop.protocols.values import PointBlock

Message = list[bytes]

_SCAN = ScanRequest(batch=1, point_id=np.arange(3), position_px=np.zeros((3, 2), np.int32), dwell_s=0.01, run="r")
_POINTS = PointsMeasured(batch=1, points=PointBlock.one(1, (2, 3), time_s=1.0, dwell_s=0.1))
_BODIES = (
    CheckHealth(),
    _SCAN,
    GetStatus(),
    Command(command=RunCommand.STOP),
    RunRequest(plan=RunPlan(), session_dir="x"),
    _POINTS,
    ScanDone(batch=1, points=3, started_s=0, finished_s=1),
    None,
)
ENVELOPES: list[Message] = [
    [bytes(frame) for frame in to_frames(Envelope(kind, "id", body, 5.0))] for kind in EnvelopeKind for body in _BODIES
]
BARE: list[Message] = [[bytes(frame) for frame in encode(body)] for body in _BODIES if body is not None]
VALID = ENVELOPES + 3 * BARE


def malformed(rng: random.Random) -> Message:
    """One malformed message (now and then it is valid still, which is as well)."""
    return rng.choice(_WAYS)(rng)


def _spoiled(rng: random.Random) -> Message:
    frames = [bytearray(frame) for frame in rng.choice(VALID)]
    for _ in range(rng.randrange(1, 4)):
        frame = rng.choice(frames)
        if not frame:
            continue
        at = rng.randrange(len(frame))
        match rng.randrange(4):
            case 0:
                frame[at] ^= 1 << rng.randrange(8)
            case 1:
                del frame[at:]
            case 2:
                frame[at:at] = rng.randbytes(rng.randrange(1, 9))
            case _:
                frame[at] = rng.choice((0xC1, 0xDF, 0xDD, 0xDB, 0xC9, 0xCB, 0x00, 0xFF))
    return [bytes(frame) for frame in frames]


def _reframed(rng: random.Random) -> Message:
    frames = list(rng.choice(VALID))
    match rng.randrange(5):
        case 0:
            return frames + [rng.randbytes(rng.randrange(30)) for _ in range(rng.choice((1, 2, 70)))]
        case 1:
            return frames[1:]
        case 2:
            return frames[:1]
        case 3:
            return [rng.choice(frames) for _ in frames]
        case _:
            return [*frames, *frames]


def _random_bytes(rng: random.Random) -> Message:
    return [rng.randbytes(rng.randrange(60)) for _ in range(rng.randrange(4))]


def _random_tree(rng: random.Random) -> Message:
    return [msgpack.packb(_tree(rng, rng.randrange(1, 6))), *(rng.randbytes(8) for _ in range(rng.randrange(3)))]


def _random_body(rng: random.Random) -> Message:
    kind = rng.choice([kind.value for kind in EnvelopeKind])
    header = {
        "version": PROTOCOL_VERSION,
        "kind": kind,
        "id": "id",
        "deadline_s": rng.choice((None, 1.0, -1.0, float("nan"), "x")),
    }
    body = _tree(rng, 4)
    if isinstance(body, dict) and rng.random() < 0.7:
        body["kind"] = rng.choice(("scan_request", "run_request", "command", "points_measured", "__class__", 7))
    return [msgpack.packb(header | {"body": body}), *(rng.randbytes(rng.choice((0, 8, 24))) for _ in range(2))]


def _liar(rng: random.Random) -> Message:
    """Arrays that lie about their frame, dtype or shape; depths and lengths that nothing stands behind."""
    stand_in = (
        rng.choice((0, 1, 2, -1, 2**40)),
        rng.choice(("float64", "int32", "object", "O", "V8", "float16", "U4", 3)),
        rng.choice(((1,), (-1,), (2**62, 2**62), (0,), (1,) * 20, "x", (1.5,))),
    )
    array = msgpack.ExtType(rng.choice((ARRAY_EXTENSION, 0, 5)), msgpack.packb(stand_in))
    deep: object = 1
    for _ in range(rng.choice((3, 20, 400))):
        deep = [deep]
    liars: Sequence[bytes] = (
        msgpack.packb(
            {"version": PROTOCOL_VERSION, "kind": "request", "id": "id", "deadline_s": None, "body": {"a": array}}
        ),
        msgpack.packb(deep),
        b"\xdd\xff\xff\xff\xff" + rng.randbytes(20),
        b"\xdf\x7f\xff\xff\xff" + rng.randbytes(20),
        b"\xdb\xff\xff\xff\xff" + rng.randbytes(20),
        b"\xc9\xff\xff\xff\xff\x01" + rng.randbytes(20),
        b"\x81" * rng.choice((10, 600, 3000)),
        b"\x91" * rng.choice((10, 600, 3000)),
    )
    return [rng.choice(liars), rng.randbytes(8)]


_WAYS: tuple[Callable[[random.Random], Message], ...] = (
    _spoiled,
    _spoiled,
    _spoiled,
    _reframed,
    _random_bytes,
    _random_tree,
    _random_body,
    _liar,
)


def _tree(rng: random.Random, depth: int) -> object:
    leaves: tuple[object, ...] = (
        None,
        True,
        0,
        -1,
        2**63,
        1.5,
        float("nan"),
        float("inf"),
        "",
        "scan_request",
        "x" * 300,
        b"",
        b"bytes",
        msgpack.Timestamp(0, 0),
    )
    if depth == 0 or rng.random() < 0.3:
        return rng.choice(leaves)
    if rng.random() < 0.5:
        return [_tree(rng, depth - 1) for _ in range(rng.randrange(4))]
    keys = ("version", "kind", "id", "deadline_s", "body", "plan", "point_id", "__class__", 1, None)
    return {rng.choice(keys): _tree(rng, depth - 1) for _ in range(rng.randrange(5))}
