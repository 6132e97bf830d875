"""CURVE key pairs in files: the secret in a private file, the public half beside it to be given away.

pyzmq's `zmq.auth.create_certificates` writes secrets with the mode that the umask happens to leave, and its loader does
not look at modes; so files are written and read here, and pyzmq only makes the keys.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import zmq
from zmq.utils import z85

from grainloop.protocols.errors import BadInput
from grainloop.protocols.files import read_regular
from grainloop.protocols.security.private_files import MAX_BYTES, read_private, replace_private, write_private
from grainloop.protocols.sentences import short

KEY_LENGTH = 40
"""Characters of a key in Z85."""
SECRET_SUFFIX = ".key"  # noqa: S105  # of a file name
PUBLIC_SUFFIX = ".pub"
_GROUP: Final = 5
_VALUE: Final = {chr(letter): value for value, letter in enumerate(z85.Z85CHARS)}
"""Digits of Z85 (ZeroMQ RFC 32)."""


@dataclass(frozen=True)
class KeyPair:
    """A CURVE key pair, both halves in Z85; the secret one is never shown.

    Attributes:
        name: of the person or machine that it stands for.
    """

    name: str
    public: str
    secret: str = field(repr=False)


def make_key(name: str) -> KeyPair:
    """A new key pair from the system's random numbers."""
    public, secret = zmq.curve_keypair()
    return KeyPair(name, public.decode(), secret.decode())


def save_key(pair: KeyPair, folder: Path) -> None:
    """Write `NAME.key` and `NAME.pub` into a private folder; files that are there are never overwritten.

    Raises:
        BadInput: there is a key of this name already.
    """
    write_private(folder / f"{pair.name}{SECRET_SUFFIX}", f"{pair.public}\n{pair.secret}\n")
    replace_private(folder / f"{pair.name}{PUBLIC_SUFFIX}", f"{pair.public}\n")


def load_key(path: Path) -> KeyPair:
    """The key pair in a `.key` file.

    Raises:
        BadInput: no such file, or no key pair in it.
        NotPermitted: others can read the file.
    """
    lines = read_private(path).split()
    # The secret itself must not turn up in a sentence.
    if len(lines) != 2 or not all(map(is_key, lines)) or _public_of(lines[1]) != lines[0]:
        raise BadInput(f"{path} holds no key pair; make one with: grainloop keys create.", field="key", value=path)
    return KeyPair(path.stem, *lines)


def load_public(path: Path) -> str:
    """The public key in a `.pub` file, which is no secret.

    Raises:
        BadInput: no such file, or no public key in it.
    """
    try:
        text = read_regular(path, MAX_BYTES).decode(errors="replace").strip()
    except OSError as error:
        message = f"{path} cannot be read as a public key: {error.strerror or error}."
        raise BadInput(message, field="key", value=path) from error
    if not is_key(text):
        raise BadInput(f"{path} holds no public key of {KEY_LENGTH} characters.", field="key", value=path)
    return text


def is_key(text: str) -> bool:
    """Whether `text`, whatever it is, is a key in Z85; public and secret ones look alike."""
    if len(text) != KEY_LENGTH or not _VALUE.keys() >= set(text):
        return False
    return all(_number(text[at : at + _GROUP]) < 2**32 for at in range(0, KEY_LENGTH, _GROUP))


def require_key(text: str) -> str:
    """`text`, if it is a key.

    Raises:
        BadInput: it is none.
    """
    if not is_key(text):
        raise BadInput(f"{short(text)} is no key of {KEY_LENGTH} characters.", field="key", value=short(text))
    return text


def fingerprint(public: str) -> str:
    """What two people compare over the telephone instead of a public key: 24 hexadecimal digits of its SHA-256.

    96 bits: nobody can make another key with the same ones. Letters, case and signs of a key are hard to say aloud.
    """
    digest = hashlib.sha256(b"grainloop key " + z85.decode(public)).hexdigest()
    return "-".join(digest[at : at + 4] for at in range(0, 24, 4))


def _number(group: str) -> int:
    """What five digits of Z85 stand for; four bytes hold no more than 2^32 - 1."""
    value = 0
    for letter in group:
        value = 85 * value + _VALUE[letter]
    return value


def _public_of(secret: str) -> str:
    return zmq.curve_public(secret.encode()).decode()
