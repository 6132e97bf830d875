"""Answers libzmq's questions about keys (ZAP, RFC 27): a key on the list gets in, everything else stays out.

pyzmq's `Authenticator` would let sockets without keys in, reads keys from a folder only when told to, and does not look
at modes of files; its asyncio form needs `zmq.asyncio`. What is left of ZAP is one message in and one out. What a key
may do once it is in is checked per message, elsewhere.
"""

from __future__ import annotations

from typing import Final

import zmq
from zmq.utils import z85

from grainloop.protocols.aio.port import Port
from grainloop.protocols.errors import Unavailable
from grainloop.protocols.frames import Frame
from grainloop.protocols.observability import NO_METRICS, Metrics, Seldom, get_logger
from grainloop.protocols.observability.metrics import REFUSED
from grainloop.protocols.security.access import ZAP_DOMAIN, Access

ADDRESS: Final = "inproc://zeromq.zap.01"
VERSION: Final = b"1.0"
KEY_BYTES: Final = 32


class Authenticator:
    """The one that libzmq asks, for all sockets of one context.

    Args:
        context: of the sockets that are guarded.
        access: whose keys get in.
        service: name in logs and errors.
        metrics: told how many keys were refused.

    Raises:
        Unavailable: it cannot be started; the service must not be either.
    """

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        access: Access,
        service: str,
        metrics: Metrics = NO_METRICS,
    ) -> None:
        self._access, self._metrics = access, metrics
        log = get_logger(service=service)
        self._tell_refused, self._tell_let_in = Seldom(log.warning), Seldom(log.info)
        self._port = Port(context, zmq.REP, self._asked)
        try:
            self._port.socket.bind(ADDRESS)
        except zmq.ZMQError as error:
            self._port.close()
            raise Unavailable(
                f"The {service} service does not start, because nobody could check keys: {error}.", field="keys"
            ) from None
        self._port.start()

    def close(self) -> None:
        """Stop answering; from then on nobody new gets in."""
        self._port.close()

    def _asked(self, frames: list[Frame]) -> None:
        question = [bytes(frame) for frame in frames]
        self._port.send(self._answer(question))

    def _answer(self, question: list[bytes]) -> list[Frame]:
        request_id = question[1] if len(question) > 1 else b""
        key = _key(question)
        if key is not None and (caller := self._access.allowed.caller(key)).role is not None:
            self._tell_let_in("let a key in", caller=caller.name, role=caller.role)
            return [VERSION, request_id, b"200", b"OK", key.encode(), b""]
        self._metrics.add(REFUSED, 1, "unknown_key")
        address = question[3] if len(question) > 3 else b"?"
        self._tell_refused("refused a key", key=key, address=address.decode(errors="replace"))
        if self._access.allowed.broken is not None:
            return [VERSION, request_id, b"500", b"list of keys cannot be used", b"", b""]
        return [VERSION, request_id, b"400", b"unknown key", b"", b""]


def _key(question: list[bytes]) -> str | None:
    """The client's public key in Z85; None for anything but a CURVE question of our own domain."""
    match question:
        case [version, _, domain, _, _, b"CURVE", key] if (version, domain) == (VERSION, ZAP_DOMAIN):
            return z85.encode(key).decode() if len(key) == KEY_BYTES else None
        case _:
            return None
