"""Strangers that throw junk at open ports. `python -m tests.integration.junk --seconds 60` does so for a minute.

Random bytes, other protocols, broken greetings, lengths that cannot be, connections left open, and resets. Nothing is
said about what the service answers; only that it lives and still serves a valid peer.
"""

from __future__ import annotations

import argparse
import json
import random
import socket
import struct
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

NULL_GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x01" + b"NULL".ljust(20, b"\0") + b"\0" + bytes(31)
CURVE_GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x01" + b"CURVE".ljust(20, b"\0") + b"\0" + bytes(31)
READY = b"\x04\x26\x05READY\x0bSocket-Type\x00\x00\x00\x06DEALER\x08Identity\x00\x00\x00\x00"
HELD = 50
"""Connections that stay open with half a greeting, as a scanner leaves them."""


def junk(rng: random.Random) -> bytes:
    """One piece of junk."""
    kinds: list[Callable[[], bytes]] = [
        lambda: rng.randbytes(rng.randrange(1, 5000)),
        lambda: b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        lambda: b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + rng.randbytes(200),
        lambda: bytes(rng.randrange(1, 2000)),
        lambda: NULL_GREETING[: rng.randrange(1, 64)],
        lambda: NULL_GREETING + rng.randbytes(300),
        lambda: NULL_GREETING + b"\x06" + struct.pack(">Q", rng.choice([2**62, 2**40, 2**31])) + rng.randbytes(100),
        lambda: NULL_GREETING + READY + b"\x00" + bytes([40]) + rng.randbytes(40),
        lambda: NULL_GREETING + READY + b"\x02" + struct.pack(">Q", 2**40) + rng.randbytes(1000),
        lambda: CURVE_GREETING + b"\x04\xc8\x05HELLO" + rng.randbytes(194),
        lambda: CURVE_GREETING + b"\x06" + struct.pack(">Q", 2**40) + rng.randbytes(1000),
        lambda: CURVE_GREETING + rng.randbytes(500),
    ]
    return rng.choice(kinds)()


def throw_junk(endpoints: Sequence[str], seconds: float, rng: random.Random) -> int:
    """Throw junk at tcp endpoints for a while; returns how many connections were made."""
    ends, held, count = time.monotonic() + seconds, list[socket.socket](), 0
    try:
        while time.monotonic() < ends:
            for endpoint in endpoints:
                at = urlsplit(endpoint)
                raw = socket.create_connection((at.hostname, at.port), timeout=10)
                count += 1
                with suppress(OSError):
                    raw.sendall(junk(rng))
                    if rng.random() < 0.2:
                        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                if rng.random() < 0.2:
                    held.append(raw)
                else:
                    raw.close()
                if len(held) > HELD:
                    held.pop(rng.randrange(HELD)).close()
    finally:
        for one in held:
            one.close()
    return count


def main() -> None:
    """The long form: three services with keys and three without, for `--seconds`."""
    from grainloop.protocols.aio import run
    from tests.integration import guarded

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))  # noqa: S311
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sys.stdout.write(json.dumps(run(guarded.bombard(Path(folder), asked.seconds, asked.seed)), indent=2) + "\n")


if __name__ == "__main__":
    main()
