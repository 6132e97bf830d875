"""Where the services listen unless told otherwise, and which endpoints a plain socket may use.

A plain socket has no authentication, so it stays on this machine: IPv4 loopback or a local (ipc) socket.
"""

from __future__ import annotations

import ipaddress
import socket
import sys
from typing import Final
from urllib.parse import urlsplit

from grainloop.protocols.errors import BadInput, NotPermitted

INSTRUMENT_ENDPOINT: Final = "tcp://127.0.0.1:5701"
MODEL_ENDPOINT: Final = "tcp://127.0.0.1:5702"
CONTROLLER_ENDPOINT: Final = "tcp://127.0.0.1:5703"
LAST_PORT: Final = 65535


def require_local(endpoint: str, service: str) -> None:
    """Refuse every endpoint that other machines could reach.

    Raises:
        NotPermitted: another transport than tcp or ipc, or an address that is not loopback.
        BadInput: not an endpoint at all, or a port that does not exist.
    """
    require_endpoint(endpoint, service)
    if not endpoint.startswith("ipc://") and not is_loopback(host_of(endpoint)):
        raise NotPermitted(
            f"{service} refuses to listen on {endpoint}: without keys only 127.0.0.1 and ipc:// are allowed; give "
            "--key, see docs/security.md.",
            field="endpoint",
            value=endpoint,
        )


def require_endpoint(endpoint: str, service: str) -> None:
    """Refuse what a service cannot listen on, keys or not.

    Raises:
        NotPermitted: another transport than tcp or ipc.
        BadInput: not an endpoint at all, or a port that does not exist.
    """
    scheme, separator, _ = endpoint.partition("://")
    if not separator or (scheme == "tcp" and not _is_port(port_of(endpoint))):
        raise BadInput(
            f"{service}: {endpoint!r} is not an endpoint such as {INSTRUMENT_ENDPOINT}.",
            field="endpoint",
            value=endpoint,
        )
    if scheme not in ("tcp", "ipc"):
        raise NotPermitted(
            f"{service} refuses to listen on {endpoint}: only tcp:// and ipc:// are allowed.",
            field="endpoint",
            value=endpoint,
        )


def require_near(endpoint: str, service: str, option: str = "--server-key") -> None:
    """Refuse to speak in plain text to another machine.

    Args:
        endpoint: where the service is said to be.
        service: its name.
        option: of the command line that gives its public key.

    Raises:
        NotPermitted: the endpoint is on another machine, as far as its name tells.
    """
    if not is_near(endpoint):
        raise NotPermitted(
            f"{endpoint} is on another machine, and without keys anybody there could be the {service} service: give "
            f"--key and {option}, see docs/security.md.",
            field="endpoint",
            value=endpoint,
        )


def is_near(endpoint: str) -> bool:
    """Whether an endpoint to connect to is on this machine, as far as its name tells."""
    host = host_of(endpoint)
    return not endpoint.startswith("tcp://") or host in ("", "localhost") or is_loopback(host)


def host_of(endpoint: str) -> str:
    """The host of a tcp endpoint, `""` where there is none."""
    try:
        return urlsplit(endpoint).hostname or ""
    except ValueError:
        return ""


def port_of(endpoint: str) -> str:
    """The port of a tcp endpoint as written, `""` where there is none."""
    return endpoint.rpartition(":")[2] if endpoint.startswith("tcp://") else ""


def answers_on_ipc(endpoint: str) -> bool:
    """Whether somebody already listens on an ipc endpoint; ZeroMQ would silently take it away from them."""
    if not endpoint.startswith("ipc://") or sys.platform == "win32":
        return False
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(endpoint.removeprefix("ipc://")) == 0


def _is_port(port: str) -> bool:
    """A number that ZeroMQ would not silently wrap; `*` and 0 let the system choose."""
    return port == "*" or (port.isascii() and port.isdigit() and int(port) <= LAST_PORT)


def is_loopback(host: str) -> bool:
    """Whether `host` is an IPv4 address that only this machine reaches."""
    try:
        return isinstance(address := ipaddress.ip_address(host), ipaddress.IPv4Address) and address.is_loopback
    except ValueError:
        return False
