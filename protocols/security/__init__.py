"""Who may ask for what: key pairs, the list of allowed keys, roles. Sockets belong to `protocols.aio`."""

from protocols.security.access import Access, Credentials
from protocols.security.allow_list import AllowedKey, AllowList
from protocols.security.folder import KeyFolder
from protocols.security.keys import KeyPair
from protocols.security.roles import LEAST_ROLE, LOCAL, Caller, Role

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
