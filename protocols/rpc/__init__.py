"""Request and reply without I/O: ids, deadlines, streaming progress, cancel, heartbeats, typed errors."""

from grainloop.protocols.rpc.client import ClientAction, ClientCore, Failed, Progressed, Replied, Send
from grainloop.protocols.rpc.envelope import Envelope, EnvelopeKind
from grainloop.protocols.rpc.heartbeat import Heartbeat
from grainloop.protocols.rpc.server import ServerCore
from grainloop.protocols.rpc.server_actions import RequestKey, SendTo, Serve, ServerAction, Withdraw

__all__ = [
    "ClientAction",
    "ClientCore",
    "Envelope",
    "EnvelopeKind",
    "Failed",
    "Heartbeat",
    "Progressed",
    "Replied",
    "RequestKey",
    "Send",
    "SendTo",
    "Serve",
    "ServerAction",
    "ServerCore",
    "Withdraw",
]
