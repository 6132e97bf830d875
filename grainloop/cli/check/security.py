"""Checks of the folder of keys: who may look into it, and who is allowed to ask the services that use it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from grainloop.cli.check.findings import Finding, State, bad, good, judge
from grainloop.protocols.errors import GrainloopError
from grainloop.protocols.security import KeyFolder
from grainloop.protocols.security.keys import SECRET_SUFFIX, load_key
from grainloop.protocols.security.private_files import require_private_folder

_AS_SAID = "Do what the sentence says; a key that others could read is to be revoked and made anew."


def keys(folder: KeyFolder) -> Iterator[Finding]:
    """The folder, its secret keys, and its list of allowed keys."""
    if not folder.path.exists():
        yield good("keys", f"there is no {folder.path}: services are for this machine alone")
        return
    try:
        require_private_folder(folder.path)
    except GrainloopError as error:
        yield bad("keys", error.message, _AS_SAID)
        return
    yield good("keys", f"{folder.path} is open to you alone")
    for path in sorted(folder.path.glob(f"*{SECRET_SUFFIX}")):
        yield _key(path)
    yield _allowed(folder)


def _key(path: Path) -> Finding:
    what = f"key {path.stem}"
    try:
        return good(what, f"public key {load_key(path).public}")
    except GrainloopError as error:
        return bad(what, error.message, _AS_SAID)


def _allowed(folder: KeyFolder) -> Finding:
    try:
        listing = folder.listing()
    except GrainloopError as error:
        return bad("allowed keys", error.message, "Services that use this list serve nobody: mend it.")
    entries = listing.entries
    if listing.faults:
        do = "Such lines let nobody in; the next grainloop keys authorise or revoke leaves them out."
        return bad("allowed keys", listing.faults[0].fault, do)
    roles = Counter(entry.role for entry in entries)
    found = ", ".join(f"{count} {role}{'s' * (count > 1)}" for role, count in roles.items()) or "nobody"
    do = "Services with keys refuse everybody here: run grainloop keys authorise."
    return judge("allowed keys", bool(entries), found, do, State.WARN)
