"""What a service and its clients tell of themselves: lines and figures about connections, refusals and requests."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from grainloop.protocols.errors import DeadlineExceeded, ErrorCode, GrainloopError
from grainloop.protocols.messages import PROTOCOL_VERSION
from grainloop.protocols.observability import Metrics, Seldom, get_logger
from grainloop.protocols.observability.metrics import FAILED, OPEN, REFUSED
from grainloop.protocols.rpc.server_actions import Serve, Withdraw
from grainloop.protocols.version import grainloop_version

REMEMBERED: Final = 1024
"""Connections that are not told of again."""
QUIET: Final = frozenset({"check_health", "describe", "describe_model", "get_status", "stored", "withdraw"})
"""Kinds of request that are asked often and say little of a run."""


class Telling:
    """Tells of one service.

    Args:
        service: its name.
        metrics: told how many requests are open, refused and failed.
    """

    def __init__(self, service: str, metrics: Metrics) -> None:
        self._metrics, self._log = metrics, get_logger(service=service)
        self._refused, self._connected = Seldom(self._log.warning), Seldom(self._log.info)
        self._met: OrderedDict[bytes, None] = OrderedDict()

    def started(self, endpoint: str, *, keys: bool) -> None:
        """Requests are accepted."""
        versions = {"version": grainloop_version(), "protocol": PROTOCOL_VERSION}
        self._log.info("service started", endpoint=endpoint, keys=keys, **versions)

    def stopped(self, endpoint: str) -> None:
        """No more requests are accepted."""
        self._log.info("service stopped", endpoint=endpoint)

    def opened(self, work: Serve, count: int) -> None:
        """Work on a request begins; `count` are open. A connection that asks for the first time is told of."""
        self._metrics.set(OPEN, count)
        if (peer := work.key.peer) in self._met:
            return
        self._met[peer] = None
        if len(self._met) > REMEMBERED:
            self._met.popitem(last=False)
        self._connected("client connected", caller=work.caller.name, peer=peer.hex(), asks=kind_of(work))

    def closed(self, count: int) -> None:
        """A request is over; `count` are open."""
        self._metrics.set(OPEN, count)

    def refused(self, peer: bytes, error: GrainloopError) -> None:
        """A message is not served."""
        self._metrics.add(REFUSED, 1, error.code)
        self._refused("refused a message", code=error.code, why=error.message, peer=peer.hex())

    def withdrawn(self, action: Withdraw) -> None:
        """Nobody wants the answer to a request any more."""
        if isinstance(action.reason, DeadlineExceeded):
            self._log.warning("deadline hit", request=action.key.id, why=action.reason.message)
        else:
            self._log.info("request withdrawn", request=action.key.id, why=action.reason.message)

    def failed(self, work: Serve, error: GrainloopError) -> None:
        """A request is answered by an error."""
        self._metrics.add(FAILED, 1, error.code)
        self._log.info("request failed", kind=kind_of(work), code=error.code, why=error.message)

    def broke(self, work: Serve, error: BaseException, trace_id: str) -> None:
        """A handler has a bug."""
        self._metrics.add(FAILED, 1, ErrorCode.INTERNAL)
        self._log.error("handler failed", kind=kind_of(work), trace_id=trace_id, exc_info=error)


def kind_of(work: Serve) -> str:
    """The kind of a request, for people."""
    return str(getattr(work.request, "kind", type(work.request).__name__))


class AskingLog:
    """Tells of the requests of one client, and of its connection.

    Args:
        service: that is asked.
        endpoint: where it is.
    """

    def __init__(self, service: str, endpoint: str) -> None:
        self._log = get_logger(to=service)
        self._endpoint = endpoint

    def connected(self) -> None:
        """The connection stands, for the first time or again."""
        self._log.info("connected", endpoint=self._endpoint)

    def lost(self, sentence: str) -> None:
        """The connection broke."""
        self._log.warning("connection lost", endpoint=self._endpoint, why=sentence)

    def answered(self, kind: str, request: str, seconds: float) -> None:
        """A request was answered."""
        tell = self._log.debug if kind in QUIET else self._log.info
        tell("answered", kind=kind, request=request, seconds=round(seconds, 6))

    def unanswered(self, kind: str, request: str, seconds: float, error: GrainloopError) -> None:
        """A request brought an error."""
        tell = self._log.debug if kind in QUIET else self._log.warning
        tell("not answered", kind=kind, request=request, seconds=round(seconds, 6), code=error.code, why=error.message)
