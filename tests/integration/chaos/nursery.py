"""Forks `grainloop` commands from one process that has imported everything, so that starting them anew costs little.

`python -m tests.integration.chaos.nursery` reads an order per line of its stdin, as JSON, and answers in one line: a
command to start with its process id, a process id to bury with how it ended. What a command prints goes to a named
pipe, what it complains of to a file. What is killed and when is the business of `tests.integration.chaos.laboratory`.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import Any

import numpy as np

LONGEST_S = 900
"""No command outlives a test that hangs by more than this."""


def import_everything() -> None:
    """What the three services import and compile at their start."""
    from grainloop.cli import commands
    from grainloop.cli.serve import service as serving
    from grainloop.controller.serve import service
    from grainloop.controller.session import reader as session_reader
    from grainloop.instrument_sim import driver
    from grainloop.model.reconstruct import Options, Problem, SparsePoints, never, no_report
    from grainloop.model.service import run_model_service
    from grainloop.model.service.methods import methods
    from tests.integration.chaos import exposing

    assert all((service, session_reader, commands, driver, run_model_service))
    serving.warm_up_controller()
    exposing.simulator()
    corners = np.array([(3, 3), (12, 3), (3, 12), (12, 12)], np.int32)
    points = SparsePoints(corners, np.tile(np.array([1, 0, 0, 0], np.float32), (4, 1)), np.ones(4, np.bool_))
    methods()["nn"](Problem((16, 16), "6/mmm", points), Options(), no_report, never)


def live(order: dict[str, Any]) -> int:
    """In a new process: be the command of an order."""
    from grainloop.cli import main
    from tests.integration.chaos.pen import break_pen

    signal.alarm(LONGEST_S)
    os.chdir(order["folder"])
    for number, path, flags in (
        (0, os.devnull, os.O_RDONLY),
        (1, order["says"], os.O_WRONLY),
        (2, order["complains"], os.O_WRONLY | os.O_CREAT | os.O_APPEND),
    ):
        os.dup2(os.open(path, flags, 0o644), number)
    if order["pen"] is not None:
        break_pen(**order["pen"])
    code = main(order["words"])
    sys.stdout.flush()
    sys.stderr.flush()
    return code


def born(order: dict[str, Any]) -> int:
    """Process id of a command that was started."""
    if (pid := os.fork()) == 0:
        code = 1
        try:
            code = live(order)
        finally:
            os._exit(code)
    return pid


def buried(pid: int) -> int:
    """How a command ended; waits for it."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def main() -> None:
    """Start and bury until stdin ends."""
    import_everything()
    for line in sys.stdin:
        order = json.loads(line)
        sys.stdout.write(f"{buried(order['bury']) if 'bury' in order else born(order)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
