"""Write what the documentation shows of the protocol: JSON Schemas of all messages, and the diagram of run states.

`python -m grainloop.protocols.schemas docs/schemas` writes one schema per union or value into `docs/schemas` and
`states.md` beside that folder. The output depends on the definitions alone, so that a test can tell when it is stale.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter

from grainloop.protocols.capabilities import Capabilities
from grainloop.protocols.errors import ErrorEnvelope
from grainloop.protocols.files import write_text
from grainloop.protocols.messages import (
    PROTOCOL_VERSION,
    ControlReply,
    ControlRequest,
    InstrumentReply,
    InstrumentRequest,
    ModelReply,
    ModelRequest,
)
from grainloop.protocols.plan import RunPlan
from grainloop.protocols.states import MOVES, RunState, Trigger

DOCUMENTED: Final[dict[str, Any]] = {
    "capabilities": Capabilities,
    "control_reply": ControlReply,
    "control_request": ControlRequest,
    "error_envelope": ErrorEnvelope,
    "instrument_reply": InstrumentReply,
    "instrument_request": InstrumentRequest,
    "model_reply": ModelReply,
    "model_request": ModelRequest,
    "run_plan": RunPlan,
}

STATES_FILE: Final = "states.md"
_STATES_TEXT: Final = """# States of a run

Generated from `protocols/states.py` by `python -m grainloop.protocols.schemas docs/schemas`; do not edit.

```mermaid
stateDiagram-v2
{lines}
```

How a run ended is told by its finish reason: `completed`, `stopped` (clean, at an operator's word), `aborted` (at once;
the beam is blanked) or `failed`. Whatever is not in the diagram is refused with `illegal_state`.
"""


def schema_texts() -> dict[str, str]:
    """File name → JSON Schema, as committed in `docs/schemas`."""
    return {f"{name}.json": _schema_text(name, kind) for name, kind in DOCUMENTED.items()}


def states_text() -> str:
    """The diagram of `MOVES` as a page with mermaid."""
    moves = [line for state in RunState for line in _moves_of(state)]
    return _STATES_TEXT.format(lines="\n".join(f"    {line}" for line in [f"[*] --> {RunState.IDLE}", *moves]))


def write(folder: Path) -> None:
    """Write all of it; files in `folder` that no longer belong are removed."""
    texts = schema_texts()
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.json"):
        if old.name not in texts:
            old.unlink()
    for name, text in texts.items():
        write_text(folder / name, text)
    write_text(folder.parent / STATES_FILE, states_text())


def _schema_text(name: str, kind: Any) -> str:
    schema = TypeAdapter(kind).json_schema()
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": f"grainloop/{PROTOCOL_VERSION}/{name}"}
    return json.dumps({**head, **schema}, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _moves_of(state: RunState) -> list[str]:
    """One arrow per pair of states, labelled with every trigger that leads there."""
    triggers: dict[RunState, list[Trigger]] = {}
    for trigger, target in MOVES[state].items():
        triggers.setdefault(target, []).append(trigger)
    return [f"{state} --> {target}: {', '.join(words)}" for target, words in triggers.items()]


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line: one argument, the folder of the schemas."""
    words = sys.argv[1:] if arguments is None else arguments
    if len(words) != 1:
        sys.stderr.write("usage: python -m grainloop.protocols.schemas docs/schemas\n")
        return 2
    write(Path(words[0]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
