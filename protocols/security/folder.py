"""The folder of keys of one user: key pairs, public keys of others, and the list of allowed keys.

Only this machine's user changes it; nothing in it can be changed over the network.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from grainloop.protocols.errors import BadInput
from grainloop.protocols.security.access import Access, Credentials
from grainloop.protocols.security.allow_list import (
    AllowedKey,
    AllowList,
    read_allow_list,
    require_name,
    write_allow_list,
)
from grainloop.protocols.security.keys import (
    PUBLIC_SUFFIX,
    SECRET_SUFFIX,
    KeyPair,
    is_key,
    load_key,
    load_public,
    make_key,
    save_key,
)
from grainloop.protocols.security.private_files import make_private_folder, require_private_folder
from grainloop.protocols.security.roles import Role

VARIABLE: Final = "GRAINLOOP_KEYS"
"""Environment variable that names another folder."""
ALLOWED: Final = "allowed"


def default_folder() -> Path:
    """`$GRAINLOOP_KEYS`, else `.grainloop/keys` in the home folder."""
    named = os.environ.get(VARIABLE)
    return Path(named) if named else Path.home() / ".grainloop" / "keys"


class KeyFolder:
    """One folder of keys; it is checked whenever it is used.

    Args:
        path: the folder.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = default_folder() if path is None else path

    @property
    def allowed_path(self) -> Path:
        """Where the list of allowed keys is."""
        return self.path / ALLOWED

    def create(self, name: str) -> KeyPair:
        """A new key pair called `name`.

        Raises:
            BadInput: a name that cannot be used, or there is such a key already.
            NotPermitted: others can look into the folder.
        """
        make_private_folder(self.path)
        pair = make_key(require_name(name))
        save_key(pair, self.path)
        return pair

    def key(self, name: str) -> KeyPair:
        """The key pair called `name`, or in the file `name`.

        Raises:
            BadInput: there is none.
            NotPermitted: others can read it or look into its folder.
        """
        path = Path(name) if _is_path(name) else self.path / f"{name}{SECRET_SUFFIX}"
        if not path.exists():
            elsewhere = "" if self.path == default_folder() else f" --keys {self.path}"
            hint = "" if _is_path(name) else f"; make it with: grainloop keys create {name}{elsewhere}"
            raise BadInput(f"There is no key {path}{hint}.", field="key", value=name)
        require_private_folder(path.parent)
        return load_key(path)

    def public(self, name: str) -> str:
        """A public key: given itself, as a `.pub` file, or by its name in the folder.

        Raises:
            BadInput: it is none of these.
        """
        if is_key(name):
            return name
        path = Path(name) if _is_path(name) else self.path / f"{name}{PUBLIC_SUFFIX}"
        if path.suffix == SECRET_SUFFIX:
            raise BadInput(f"{path} is a secret key; only the .pub file beside it is given away.", field="key")
        if not path.exists():
            raise BadInput(
                f"{name} is no public key, and there is no file {path}: copy the .pub file of the other side there.",
                field="key",
                value=name,
            )
        return load_public(path)

    def credentials(self, own: str, server: str) -> Credentials:
        """How the client with the key `own` proves itself to the service with the public key `server`."""
        return Credentials(self.key(own), self.public(server))

    def access(self, own: str) -> Access:
        """How the service with the key `own` guards itself; its list of allowed keys must be there.

        Raises:
            BadInput: there is no such key, or no list.
            NotPermitted: others can read them.
        """
        pair = self.key(own)
        if not self.allowed_path.exists():
            raise BadInput(
                f"There is no list of allowed keys {self.allowed_path}; begin it with: grainloop keys authorise.",
                field="keys",
                value=self.allowed_path,
            )
        return Access(pair, AllowList(self.allowed_path))

    def pairs(self) -> list[KeyPair]:
        """All key pairs of the folder."""
        require_private_folder(self.path)
        return [load_key(path) for path in sorted(self.path.glob(f"*{SECRET_SUFFIX}"))]

    def entries(self) -> tuple[AllowedKey, ...]:
        """All allowed keys; none where there is no list yet."""
        require_private_folder(self.path)
        return read_allow_list(self.allowed_path) if self.allowed_path.exists() else ()

    def authorise(self, key: str, role: Role, name: str) -> AllowedKey | None:
        """Allow `key` under `name`; returns what the list said of them before.

        Raises:
            BadInput: the name belongs to another key.
        """
        require_name(name)
        make_private_folder(self.path)
        entries = {entry.key: entry for entry in self.entries()}
        for other in entries.values():
            if other.name == name and other.key != key:
                message = f"{name} is another key on the list; revoke that one first, or choose another name."
                raise BadInput(message, field="name", value=name)
        before = entries.get(key)
        write_allow_list(self.allowed_path, (entries | {key: AllowedKey(role, key, name)}).values())
        return before

    def revoke(self, who: str) -> AllowedKey:
        """Take a key off the list, by its name or by itself; returns what was taken.

        Raises:
            BadInput: it is not on the list.
        """
        entries = self.entries()
        for entry in entries:
            if who in (entry.name, entry.key):
                write_allow_list(self.allowed_path, [one for one in entries if one is not entry])
                return entry
        raise BadInput(f"{who} is not on the list {self.allowed_path}.", field="name", value=who)


def _is_path(name: str) -> bool:
    return Path(name).name != name or name.endswith((SECRET_SUFFIX, PUBLIC_SUFFIX))
