"""The long form of the fuzz test: `python -m tests.protocols.fuzz --messages 1000000`.

Every malformed message goes to the decoder of a union, to the core of a service and to the core of a client with an
open request, unions and services in turn. None may raise anything but what is declared, take long, or leave memory
behind.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

from grainloop.protocols.codec import decode
from grainloop.protocols.errors import BadMessage
from grainloop.protocols.messages import (
    CheckHealth,
    ControlReply,
    ControlRequest,
    InstrumentReply,
    InstrumentRequest,
    ModelReply,
    ModelRequest,
)
from grainloop.protocols.rpc import ClientCore, Failed, Replied, SendTo, Serve, ServerCore
from grainloop.protocols.rpc.rate import Rate
from grainloop.protocols.values import Value
from tests.memory import resident_mb
from tests.protocols.malformed import Message, malformed

UNIONS = (InstrumentRequest, InstrumentReply, ModelRequest, ModelReply, ControlRequest, ControlReply)
WARM_UP = 50_000
LONGEST_S = 5.0
"""For one message; nothing takes a hundredth of it, unless the machine does something else."""


class Target:
    """Everything that reads bytes of others."""

    def __init__(self) -> None:
        self.now, self.eaten = 0.0, 0
        unbounded = Rate(1e12, 1e12)
        self.servers = [
            ServerCore(name, union, lambda: self.now, rate=unbounded)
            for name, union in (
                ("instrument", InstrumentRequest),
                ("controller", ControlRequest),
                ("model", ModelRequest),
            )
        ]
        self.client = ClientCore(InstrumentReply, "The instrument", lambda: self.now, new_id=lambda: "id")
        self.decoded = self.served = self.answered = 0

    def eat(self, message: Message) -> None:
        """Feed one message; anything but the declared error escapes."""
        self.now += 1e-3
        self.eaten += 1
        union = UNIONS[self.eaten % len(UNIONS)]
        self.decoded += _read(lambda: decode(message, union))
        self._serve(self.servers[self.eaten // 2 % len(self.servers)], message)
        self.client.request(CheckHealth(), 60.0)
        actions = self.client.receive(message)
        self.answered += any(isinstance(action, Failed | Replied) for action in actions)
        self.client.abandon("id")

    def _serve(self, server: ServerCore, message: Message) -> None:
        """From a new connection each time, or the id would be known already."""
        for action in server.receive(self.eaten.to_bytes(5), message, ""):
            match action:
                case Serve(key):
                    self.served += 1
                    server.reply(key, CheckHealth())
                case SendTo(_, frames):
                    assert sum(len(frame) for frame in frames) < 2**14, "an answer larger than it need be"
                case _:
                    pass
        server.tick()


def _read(read: Callable[[], Value]) -> bool:
    """Whether it was a message after all."""
    sentence = ""
    try:
        read()
    except BadMessage as error:
        sentence = str(error)
    assert len(sentence) < 2**12, "a sentence longer than it need be"
    return not sentence


def fuzz(count: int, seed: int) -> dict[str, Any]:
    """Feed `count` malformed messages; tells how fast, how long the slowest took, and what memory grew."""
    rng, target = random.Random(seed), Target()  # noqa: S311
    began, slowest, before_mb, tenths = time.monotonic(), 0.0, 0.0, list[float]()
    for number in range(count):
        if number == min(WARM_UP, count // 10):
            before_mb = resident_mb()
        if number % max(count // 10, 1) == 0:
            tenths.append(round(resident_mb(), 2))
        message, at = malformed(rng), time.perf_counter()
        try:
            target.eat(message)
        except Exception as error:
            raise RuntimeError(f"seed {seed}, message {number}: {message!r}") from error
        slowest = max(slowest, time.perf_counter() - at)
    seconds = time.monotonic() - began
    return {
        "messages": count,
        "seed": seed,
        "seconds": round(seconds, 1),
        "messages_per_s": round(count / seconds),
        "slowest_ms": round(1e3 * slowest, 2),
        "valid_still": {"decoded": target.decoded, "served": target.served, "answered": target.answered},
        "memory_mb_after_warm_up": round(before_mb, 2),
        "memory_mb_at_each_tenth": tenths,
        "memory_grown_mb": round(resident_mb() - before_mb, 2),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 2),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))  # noqa: S311
    asked = parser.parse_args()
    found = fuzz(asked.messages, asked.seed)
    sys.stdout.write(json.dumps(found, indent=2) + "\n")
    sys.exit(found["memory_grown_mb"] > 5.0 or found["slowest_ms"] > 1e3 * LONGEST_S)
