"""What libzmq's monitor tells of a connection, as sentences: broken, or refused for a reason of keys."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import zmq

from grainloop.protocols.errors import GrainloopError, NotPermitted, Unavailable
from grainloop.protocols.frames import Frame
from grainloop.protocols.security.access import Credentials

EVENTS = (
    zmq.EVENT_DISCONNECTED
    | zmq.EVENT_HANDSHAKE_SUCCEEDED
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
)
_HEAD = struct.Struct("=HI")
_MISMATCH = int(zmq.PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH)
_SERVER_FAULT = 500
_TRIES = 2
"""A service that ends can break off one handshake; libzmq then tries again by itself."""


@dataclass(frozen=True)
class Break:
    """Why no open request can be answered any more.

    Attributes:
        error: what kind of error that is.
        sentence: of the error.
        final: whether libzmq does not try again.
    """

    error: type[GrainloopError]
    sentence: str
    final: bool = False


class Connection:
    """What is known of one connection.

    Args:
        peer: the service and its endpoint, as sentences name it.
        credentials: how this side proves itself.

    Attributes:
        stands: whether messages go to and fro.
    """

    def __init__(self, peer: str, credentials: Credentials | None) -> None:
        self._peer, self._credentials = peer, credentials
        self._broken_off = 0
        self.stands = False

    def heard(self, event: list[Frame]) -> Break | None:
        """What an event of libzmq's monitor means for the open requests; None if nothing."""
        number, value = _HEAD.unpack(bytes(event[0]))
        self.stands = number == zmq.EVENT_HANDSHAKE_SUCCEEDED
        match number:
            case zmq.EVENT_HANDSHAKE_SUCCEEDED:
                self._broken_off = 0
                return None
            case zmq.EVENT_HANDSHAKE_FAILED_AUTH if value >= _SERVER_FAULT:
                sentence = f"{self._peer} cannot check keys now, and serves nobody; its log tells why."
                return Break(NotPermitted, sentence, final=True)
            case zmq.EVENT_HANDSHAKE_FAILED_AUTH:
                return Break(NotPermitted, self._refused(), final=True)
            case zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL if value == _MISMATCH:
                return Break(NotPermitted, self._mismatch(), final=True)
            case zmq.EVENT_DISCONNECTED if not self._broken_off:
                return Break(Unavailable, f"{self._peer} closed the connection; it stopped or crashed.")
            case zmq.EVENT_DISCONNECTED:
                return None
            case _:
                self._broken_off += 1
                return Break(NotPermitted, self._broke_off()) if self._broken_off >= _TRIES else None

    def _refused(self) -> str:
        if self._credentials is None:
            return self._mismatch()
        own = self._credentials.own.name
        return f"{self._peer} does not know the key {own}; it is let in there by: grainloop keys authorise {own}.pub."

    def _mismatch(self) -> str:
        if self._credentials is None:
            return f"{self._peer} talks only to keys: give --key and its public key."
        return f"{self._peer} uses no keys, so it is not the one whose key was given."

    def _broke_off(self) -> str:
        head = f"{self._peer} breaks off every handshake"
        if self._credentials is None:
            return f"{head}: it talks only to keys (give --key and its public key), or is no service of grainloop."
        return f"{head}: its key is not the one given, it cannot check keys now, or it is no service of grainloop."


def monitored(socket: zmq.Socket[bytes]) -> str:
    """The inproc address at which libzmq tells of broken and refused connections of `socket`."""
    address = f"inproc://monitor-{id(socket)}"
    socket.monitor(address, int(EVENTS))
    return address
