"""Whatever the wire loses, repeats or reorders, each request ends once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from grainloop.protocols.errors import (
    DeviceFailed,
)
from grainloop.protocols.frames import Frame
from grainloop.protocols.messages import (
    CheckHealth,
    PointsMeasured,
    ScanDone,
)
from grainloop.protocols.rpc import (
    Failed,
    Progressed,
    Replied,
    RequestKey,
    Serve,
)
from grainloop.protocols.values import PointBlock
from tests.protocols.rpc.pair import PEER, Pair, sent

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["ask", "up", "down", "lose up", "lose down", "repeat up", "repeat down", "progress", "reply"])
        | st.sampled_from(["fail", "cancel", "abandon", "wait", "tick", "junk", "disconnect"]),
        st.integers(0, 20),
    ),
    max_size=80,
)


@given(steps=STEPS)
@settings(max_examples=200, deadline=None, derandomize=True)
def test_whatever_the_wire_does_each_request_ends_once(steps):
    world = World()
    for name, number in steps:
        world.step(name, number)
    world.finish()
    assert sorted(world.ended) == sorted(world.asked)
    assert len(set(world.ended)) == len(world.ended)
    assert not world.open_at_server


class World:
    """A pair over a wire that loses and repeats, and a worker that answers when told to."""

    def __init__(self) -> None:
        self.pair = Pair()
        self.up: list[list[Frame]] = []
        self.down: list[list[Frame]] = []
        self.asked: list[str] = []
        self.ended: list[str] = []
        self.open_at_server: list[RequestKey] = []

    def step(self, name: str, number: int) -> None:
        pair = self.pair
        match name.split():
            case ["ask"]:
                request_id, actions = pair.client.request(CheckHealth(), 1 + number)
                self.asked.append(request_id)
                self.at_client(actions)
            case [("up" | "down") as way]:
                self.deliver(way, keep=False)
            case ["repeat", way]:
                self.deliver(way, keep=True)
            case ["lose", way]:
                del getattr(self, way)[:1]
            case ["progress" | "reply" | "fail"] if self.open_at_server:
                self.work(name, self.open_at_server[number % len(self.open_at_server)])
            case ["cancel"] if self.asked:
                request_id = self.asked[number % len(self.asked)]
                self.at_client(pair.client.cancel(request_id))
            case ["abandon"] if self.asked:
                request_id = self.asked[number % len(self.asked)]
                actions = pair.client.abandon(request_id)
                self.ended += [request_id] if actions else []
                self.at_client(actions)
            case ["wait"]:
                pair.wait(number / 4)
            case ["tick"]:
                self.at_client(pair.client.tick())
                self.at_server(pair.server.tick())
            case ["junk"]:
                self.up.append([bytes([number])])
                self.down.append([bytes([number])])
            case ["disconnect"]:
                self.at_client(pair.client.lost("Gone."))
                self.at_server(pair.server.lost(PEER, "Gone."))
            case _:
                pass

    def deliver(self, way: str, *, keep: bool) -> None:
        queue = getattr(self, way)
        if queue and way == "up":
            self.at_server(self.pair.server.receive(PEER, queue[0]))
        elif queue:
            self.at_client(self.pair.client.receive(queue[0]))
        del queue[: 0 if keep else 1]

    def work(self, name: str, key: RequestKey) -> None:
        server = self.pair.server
        done = ScanDone(batch=0, points=0, started_s=0, finished_s=0)
        if name == "progress":
            self.at_server(server.progress(key, PointsMeasured(batch=0, points=PointBlock.empty())))
            return
        self.open_at_server.remove(key)
        self.at_server(server.reply(key, done) if name == "reply" else server.fail(key, DeviceFailed("No beam.")))

    def at_client(self, actions: Sequence[Any]) -> None:
        self.up += sent(actions)
        self.ended += [action.id for action in actions if isinstance(action, Replied | Failed)]
        for action in actions:
            assert not isinstance(action, Progressed) or action.id not in self.ended

    def at_server(self, actions: Sequence[Any]) -> None:
        self.down += sent(actions)
        self.open_at_server += [action.key for action in actions if isinstance(action, Serve)]

    def finish(self) -> None:
        for key in list(self.open_at_server):
            self.work("reply", key)
        self.at_client(self.pair.client.lost("The test ends."))
