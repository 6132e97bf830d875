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
    Line,
    Listing,
    can_name,
    read_allow_list,
    read_listing,
    require_name,
    write_listing,
)
from grainloop.protocols.security.keys import (
    PUBLIC_SUFFIX,
    SECRET_SUFFIX,
    KeyPair,
    is_key,
    load_key,
    load_public,
    make_key,
    require_key,
    save_key,
)
from grainloop.protocols.security.private_files import changing, make_private_folder, require_private_folder
from grainloop.protocols.security.roles import Role
from grainloop.protocols.sentences import printable, short

VARIABLE: Final = "GRAINLOOP_KEYS"
"""Environment variable that names another folder."""
ALLOWED: Final = "allowed"
_LONGEST: Final = 200
"""Letters of a name that a sentence repeats."""


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
        if not os.path.lexists(path):
            elsewhere = "" if self.path == default_folder() else f" --keys {self.path}"
            hint = f"; make it with: grainloop keys create {name}{elsewhere}" if can_name(name) else ""
            raise BadInput(f"There is no key {printable(str(path))}{hint}.", field="key", value=name)
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
            raise BadInput(
                f"{printable(str(path))} is a secret key; only the .pub file beside it is given away.", field="key"
            )
        if not os.path.lexists(path):
            told = printable(str(path)) if len(name) <= _LONGEST else "of such a name"
            raise BadInput(
                f"{_said(name)} is no public key, and there is no file {told}: "
                "copy the .pub file of the other side there.",
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
        if not os.path.lexists(self.allowed_path):
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
        """All allowed keys; none where there is no list yet.

        Raises:
            BadInput: a line is wrong; the sentence names file and line.
        """
        require_private_folder(self.path)
        return read_allow_list(self.allowed_path) if os.path.lexists(self.allowed_path) else ()

    def listing(self) -> Listing:
        """The list of allowed keys with its faults; empty where there is none yet."""
        require_private_folder(self.path)
        return read_listing(self.allowed_path) if os.path.lexists(self.allowed_path) else Listing()

    def authorise(self, key: str, role: Role, name: str) -> AllowedKey | None:
        """Allow `key` under `name`; returns what the list said of them before. Lines that are wrong are left out.

        Raises:
            BadInput: it is no key, the name belongs to another one, or that cannot be written.
        """
        entry = AllowedKey(role, require_key(key), require_name(name))
        make_private_folder(self.path)
        with changing(self.allowed_path):
            listing = self.listing().whole()
            entries = {one.key: one for one in listing.entries}
            if any(other.name == name and other.key != key for other in entries.values()):
                message = f"{name} is another key on the list; revoke that one first, or choose another name."
                raise BadInput(message, field="name", value=name)
            write_listing(self.allowed_path, listing.with_entry(entry))
        return entries.get(key)

    def revoke(self, who: str) -> AllowedKey:
        """Take a key off the list, by its name or by itself; returns what was taken. Lines that are wrong are left out.

        Raises:
            BadInput: it is not on the list, or that cannot be written.
        """
        require_private_folder(self.path)
        with changing(self.allowed_path):
            listing = self.listing().whole()
            for entry in listing.entries:
                if who in (entry.name, entry.key):
                    write_listing(self.allowed_path, listing.without_key(entry.key))
                    return entry
        raise BadInput(f"{printable(who)} is not on the list {self.allowed_path}.", field="name", value=who)

    def mend(self) -> tuple[Line, ...]:
        """Take lines that cannot be understood off the list; returns them. They allowed nobody.

        Raises:
            BadInput: that cannot be written.
        """
        require_private_folder(self.path)
        if not self.listing().faults:
            return ()
        with changing(self.allowed_path):
            listing = self.listing()
            if listing.faults:
                write_listing(self.allowed_path, listing.whole())
        return listing.faults


def _is_path(name: str) -> bool:
    return Path(name).name != name or name.endswith((SECRET_SUFFIX, PUBLIC_SUFFIX))


def _said(name: str) -> str:
    return printable(name) if len(name) <= _LONGEST else short(name)
