"""Options that several commands share."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from grainloop.protocols.endpoints import require_endpoint, require_local
from grainloop.protocols.errors import BadInput
from grainloop.protocols.messages import Sync
from grainloop.protocols.security import Access, Credentials, KeyFolder


class SimulatedKind(StrEnum):
    """Presets of the simulator, by the names of `instrument_sim.presets`."""

    EXTERNAL = "external"
    QUEUE = "queue"


class ShapeChoice(StrEnum):
    """Values of `shape` in a plan."""

    POINTS = "points"
    LINES = "lines"
    RECTANGLES = "rectangles"
    AUTO = "auto"


MapOption = Annotated[str, typer.Option("--map", help="Map file (.ang, .ctf, .cpr) or the name of a shipped specimen.")]
SeedOption = Annotated[int, typer.Option(min=0, help="Seed of everything random.")]
SpeedOption = Annotated[
    float, typer.Option(help="Instrument seconds per second of waiting; 'inf' waits for nothing.", show_default="inf")
]
RealTimeOption = Annotated[
    bool,
    typer.Option(
        "--real-time",
        help="On a simulated instrument too let a decision count what it takes on this computer, not a declared time.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else, on stdout.")]
PresetOption = Annotated[
    SimulatedKind | None,
    typer.Option("--preset", help="What the simulator scans: external control, or a map queue; else free points."),
]
ShapeOption = Annotated[
    ShapeChoice | None,
    typer.Option("--shape", help="What to scan, or auto: what pays most per second of what the instrument accepts."),
]
StdinOption = Annotated[bool, typer.Option(hidden=True, help="Also stop when stdin ends: the parent is gone.")]
SyncOption = Annotated[
    Sync,
    typer.Option(
        help="When records of a run are on disk: always before they count, or never asked for, which is faster and "
        "does not survive a power failure."
    ),
]
EndpointOption = Annotated[str, typer.Option(help="Where to listen.")]
ControllerOption = Annotated[str, typer.Option(help="Endpoint of the controller service.")]
KeyOption = Annotated[
    str | None, typer.Option("--key", help="Own key: its name in the folder of keys, or a .key file.", metavar="NAME")
]
ServerKeyOption = Annotated[
    str | None,
    typer.Option("--server-key", help="Public key of the service: name, .pub file, or itself.", metavar="KEY"),
]
KeysOption = Annotated[
    Path | None,
    typer.Option("--keys", help="Folder of keys; else $GRAINLOOP_KEYS, else ~/.grainloop/keys.", metavar="FOLDER"),
]


def access(service: str, endpoint: str, keys: Path | None, key: str | None) -> Access | None:
    """How a service guards itself; not at all where no key is given, which keeps it on this machine.

    Asked before anything slow begins, such as the start of an instrument.

    Raises:
        BadInput: no such key, no list of allowed keys, or no endpoint.
        NotPermitted: others can read the keys, or other machines could reach a service without any.
    """
    if key is None:
        require_local(endpoint, service)
        return None
    require_endpoint(endpoint, service)
    return KeyFolder(keys).access(key)


def credentials(
    keys: Path | None, key: str | None, server_key: str | None, option: str = "--server-key"
) -> Credentials | None:
    """How a client proves itself and whom it expects; without both keys it uses none.

    Args:
        keys: folder of keys.
        key: own key.
        server_key: public key of the service.
        option: that gives it, as sentences name it.

    Raises:
        BadInput: only one of the two is given, or there is no such key.
        NotPermitted: others can read the own key.
    """
    if key is None and server_key is None:
        return None
    if key is None:
        raise BadInput(f"{option} needs --key too: the service wants to know who asks.", field="key")
    if server_key is None:
        message = f"--key needs {option} too: only the public key of the service tells it from an impostor."
        raise BadInput(message, field="server_key")
    return KeyFolder(keys).credentials(key, server_key)
