"""What a service or a client needs to prove itself and to know the other side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from grainloop.protocols.errors import Unavailable
from grainloop.protocols.security.allow_list import AllowList
from grainloop.protocols.security.keys import KeyPair
from grainloop.protocols.security.roles import Caller, require_role
from grainloop.protocols.values import Value

ZAP_DOMAIN: Final = b"grainloop"
"""Without a domain that is enforced, libzmq lets every key in when nobody answers its questions about keys."""


@dataclass(frozen=True)
class Access:
    """How a service guards its socket.

    Attributes:
        own: key pair of the service.
        allowed: whose keys it accepts, and their roles.
    """

    own: KeyPair
    allowed: AllowList

    def permit(self, service: str, key: str, request: Value) -> Caller:
        """Who asks, if they may ask this of `service`.

        Raises:
            NotPermitted: they may not, or not any more.
            Unavailable: the list of allowed keys cannot be used, so nobody can tell.
        """
        caller = self.allowed.caller(key)
        if self.allowed.broken is not None:
            raise Unavailable(f"{service} cannot use its list of allowed keys, and serves nobody; its log tells why.")
        require_role(service, str(getattr(request, "kind", type(request).__name__)), caller)
        return caller


@dataclass(frozen=True)
class Credentials:
    """How a client proves itself, and whom it talks to.

    Attributes:
        own: key pair of the client.
        server: public key of the service; no other one can answer.
    """

    own: KeyPair
    server: str
