"""`grainloop keys`: make key pairs, and say who may ask the services of this machine. Nothing here uses the network."""

from __future__ import annotations

import json as json_
from pathlib import Path
from typing import Annotated

import typer

from grainloop.cli.options import JsonOption, KeysOption
from grainloop.protocols.errors import BadInput
from grainloop.protocols.security import AllowedKey, KeyFolder, KeyPair, Role
from grainloop.protocols.security.allow_list import Line, Listing, require_name
from grainloop.protocols.security.keys import fingerprint
from grainloop.protocols.sentences import printable

keys = typer.Typer(
    name="keys",
    help="Make keys, and say whose keys may ask the services of this machine.",
    no_args_is_help=True,
)
_SHOWN = 120
"""Letters of a line that cannot be understood."""
_ANY_Z85 = {"ignore_unknown_options": True}
"""A public key may begin with a dash."""


@keys.command("create")
def create(
    name: Annotated[str, typer.Argument(help="Of the person or machine: letters, digits and . _ @ -")],
    keys: KeysOption = None,
    json: JsonOption = False,
) -> None:
    """Make a key pair: NAME.key, which nobody else may see, and NAME.pub, to be given away."""
    folder = KeyFolder(keys)
    pair = folder.create(name)
    if json:
        told = {"name": pair.name, "public": pair.public, "folder": str(folder.path)}
        typer.echo(json_.dumps(told | {"fingerprint": fingerprint(pair.public)}))
        return
    typer.echo(f"{pair.name}: {pair.public}")
    typer.echo(f"Fingerprint, to be compared over the telephone: {fingerprint(pair.public)}")
    typer.echo(f"{pair.name}.key stays secret in {folder.path}; give {pair.name}.pub to whoever has to know the key.")


@keys.command("authorise", context_settings=_ANY_Z85)
def authorise(
    key: Annotated[str, typer.Argument(help="A .pub file, a key of this folder by its name, or the public key.")],
    role: Annotated[Role, typer.Option(help="What the key may do.")] = Role.VIEWER,
    name: Annotated[str | None, typer.Option(help="Whose key it is; else the name of the file.")] = None,
    keys: KeysOption = None,
) -> None:
    """Let a key ask the services that use this folder, from now on; or change its role."""
    folder = KeyFolder(keys)
    public = folder.public(key)
    if name is None and public == key:
        raise BadInput("A public key alone does not say whose it is: give --name.", field="name")
    called = Path(key).stem if name is None else name
    require_name(called)
    _tell_mended(folder)
    before = folder.authorise(public, role, called)
    typer.echo(f"{called} is {role} now{_was(before)}.")


@keys.command("revoke", context_settings=_ANY_Z85)
def revoke(
    who: Annotated[str, typer.Argument(help="Name on the list, or the public key.")],
    keys: KeysOption = None,
) -> None:
    """Take a key off the list; running services refuse it from its next message on."""
    folder = KeyFolder(keys)
    mended = _tell_mended(folder)
    try:
        entry = folder.revoke(who)
    except BadInput:
        if not any(who in line.text.split() for line in mended):
            raise
        typer.echo(f"{printable(who)} was on such a line alone, and is refused.")
        return
    typer.echo(f"{entry.name} was {entry.role} and is refused now.")


@keys.command("list")
def list_keys(keys: KeysOption = None, json: JsonOption = False) -> None:
    """Show the key pairs of this folder, and who may ask the services that use it."""
    folder = KeyFolder(keys)
    pairs, listing = folder.pairs(), folder.listing()
    if json:
        typer.echo(json_.dumps(_as_json(folder, pairs, listing), indent=2))
        return
    typer.echo(f"Keys in {folder.path}, with fingerprints to be compared over the telephone:")
    for pair in pairs:
        typer.echo(f"  {pair.public}  {pair.name}  {fingerprint(pair.public)}")
    entries = sorted(listing.entries, key=lambda one: (list(Role).index(one.role), one.name))
    typer.echo("May ask the services that use this folder:" if entries else "Nobody may ask the services here yet.")
    for entry in entries:
        typer.echo(f"  {entry.key}  {entry.role:8}  {entry.name}  {fingerprint(entry.key)}")
    for line in listing.faults:
        typer.echo(f"{line.fault} It allows nobody: {_shown(line)}", err=True)
    if listing.faults:
        typer.echo("The next grainloop keys authorise or revoke leaves such lines out.", err=True)


def _as_json(folder: KeyFolder, pairs: list[KeyPair], listing: Listing) -> dict[str, object]:
    public = [pair.public for pair in pairs] + [entry.key for entry in listing.entries]
    return {
        "folder": str(folder.path),
        "own": [{"name": pair.name, "public": pair.public} for pair in pairs],
        "allowed": [{"role": entry.role, "key": entry.key, "name": entry.name} for entry in listing.entries],
        "fingerprints": {key: fingerprint(key) for key in public},
        "faults": [{"line": line.number, "text": printable(line.text), "fault": line.fault} for line in listing.faults],
    }


def _tell_mended(folder: KeyFolder) -> tuple[Line, ...]:
    """Take off the list what cannot be understood, and say so; nothing is mended where there is no list."""
    mended = folder.mend() if folder.path.exists() else ()
    for line in mended:
        typer.echo(f"{line.fault} It allowed nobody and was left out: {_shown(line)}", err=True)
    return mended


def _shown(line: Line) -> str:
    return printable(line.text)[:_SHOWN]


def _was(before: AllowedKey | None) -> str:
    if before is None:
        return ""
    return f"; it was {before.role}" + (f" as {before.name}" if before.name else "")
