"""All checks in their order, and how their findings are shown."""

from __future__ import annotations

import json as jsonlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import typer

from grainloop.cli.check import machine, recorded, security, services, software
from grainloop.cli.check.findings import Check, Finding, State, gather
from grainloop.cli.options import credentials
from grainloop.protocols.endpoints import CONTROLLER_ENDPOINT, INSTRUMENT_ENDPOINT, MODEL_ENDPOINT
from grainloop.protocols.security import KeyFolder

DEFAULTS = {"instrument": INSTRUMENT_ENDPOINT, "model": MODEL_ENDPOINT, "controller": CONTROLLER_ENDPOINT}
_COLOURS = {State.OK: "green", State.WARN: "yellow", State.FAIL: "red"}


@dataclass(frozen=True)
class CheckOptions:
    """What the command line says.

    Attributes:
        endpoints: service → where it should be, if that was said.
        server_keys: service → its public key, if it uses keys.
        keys, key: folder of keys and own key.
        folder: where sessions will be stored.
        session: a recorded run to look at.
        map: a map to look at.
    """

    endpoints: dict[str, str | None]
    server_keys: dict[str, str | None]
    keys: Path | None = None
    key: str | None = None
    folder: Path = Path()
    session: Path | None = None
    map: str | None = None


def check_everything(options: CheckOptions, *, json: bool) -> bool:
    """Carry all checks out and print what they found; whether nothing fails."""
    found = list(gather(checks(options)))
    ok = all(one.state is not State.FAIL for one in found)
    if json:
        typer.echo(jsonlib.dumps({"ok": ok, "findings": [asdict(one) for one in found]}, indent=2))
    else:
        show(found)
    return ok


def checks(options: CheckOptions) -> Iterator[tuple[str, Check]]:
    """All checks that the options ask for, cheap ones first."""
    yield "Python", software.python
    yield "packages", software.packages
    yield "clock", machine.clock
    yield f"disk of {options.folder}", partial(machine.disk, options.folder)
    yield "keys", partial(security.keys, KeyFolder(options.keys))
    for name in DEFAULTS:
        yield f"{name} service", partial(_service, name, options)
    if options.session is not None:
        yield f"session {options.session}", partial(recorded.session, options.session)
    if options.map is not None:
        yield f"map {options.map}", partial(recorded.map_file, options.map)
    yield "weights", software.weights
    yield "threads", software.threads
    yield "kernels", software.kernels
    yield "reconstruction", software.network
    yield "speed of the model", software.speed


def _service(name: str, options: CheckOptions) -> Iterator[Finding]:
    said, public = options.endpoints[name], options.server_keys[name]
    proof = None if public is None else credentials(options.keys, options.key, public, f"--{name}-key")
    yield from services.service(services.Place(name, said or DEFAULTS[name], said is not None, proof))


def show(found: list[Finding]) -> None:
    """A table, and a sentence below it."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("", "what", "found", "what to do", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for one in found:
        table.add_row(Text(one.state, _COLOURS[one.state]), Text(one.what), Text(one.found), Text(one.do))
    console = Console()
    console.print(table)
    count = Counter(one.state for one in found)
    told = f"{count[State.FAIL]} fail, {count[State.WARN]} to think about, {count[State.OK]} ok."
    console.print(told, highlight=False)
