"""Who may ask for what: key pairs, the list of allowed keys, roles. Sockets belong to `protocols.aio`."""

from grainloop.protocols.security.access import Access, Credentials
from grainloop.protocols.security.allow_list import AllowedKey, AllowList
from grainloop.protocols.security.folder import KeyFolder
from grainloop.protocols.security.keys import KeyPair
from grainloop.protocols.security.roles import LEAST_ROLE, LOCAL, Caller, Role

__all__ = [
    "LEAST_ROLE",
    "LOCAL",
    "Access",
    "AllowList",
    "AllowedKey",
    "Caller",
    "Credentials",
    "KeyFolder",
    "KeyPair",
    "Role",
]
