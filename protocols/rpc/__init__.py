"""Request and reply without I/O: ids, deadlines, streaming progress, cancel, heartbeats, typed errors."""

from protocols.rpc.client import ClientAction, ClientCore, Failed, Progressed, Replied, Send
from protocols.rpc.envelope import Envelope, EnvelopeKind
from protocols.rpc.heartbeat import Heartbeat
from protocols.rpc.server import ServerCore
from protocols.rpc.server_actions import RequestKey, SendTo, Serve, ServerAction, Withdraw

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
