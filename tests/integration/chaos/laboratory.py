"""Three services that die and are started anew at the same endpoints, and what their files tell afterwards.

The instrument keeps a spool and a log of its exposures, the controller a journal and a session file. When who dies is
the business of `tests.integration.chaos.deaths`.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from grainloop.cli.serve.processes import free_endpoints
from grainloop.controller.journal.entries import PointsStored
from grainloop.controller.journal.reading import read_journal
from grainloop.controller.record.recording import JOURNAL_NAME, SESSION_NAME
from grainloop.controller.session.reader import load_session
from grainloop.controller.session.view import remake
from grainloop.protocols.errors import GrainloopError
from grainloop.protocols.hosting.spool import SUFFIX
from grainloop.protocols.hosting.spool_entries import Dropped, Opened, as_entry
from grainloop.protocols.payloads import tree_of
from grainloop.protocols.records import Record, read_records
from grainloop.protocols.values import PointBlock
from tests.integration.chaos.exposing import LOG

ROOT = Path(__file__).parents[3]
NAMES = ("instrument", "model", "controller")


class Nursery:
    """The process that starts and buries commands."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._in, self._out = process.stdin, process.stdout

    def ask(self, **order: Any) -> int:
        self._in.write(f"{json.dumps(order)}\n")
        self._in.flush()
        return int(self._out.readline())


@contextmanager
def nursery() -> Generator[Nursery]:
    """A nursery; commands that were not buried are dead already, or die with their alarm."""
    command = [sys.executable, "-m", "tests.integration.chaos.nursery"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Nursery(process)


class Command:
    """A `grainloop` command that runs in a folder.

    Attributes:
        said: what it wrote, once it is buried; what a service complains of is in a file instead.
    """

    def __init__(self, nursery: Nursery, folder: Path, name: str, words: list[str], pen: Any = None) -> None:
        self._nursery, self.said, says = nursery, "", folder / f"{name}.out"
        os.mkfifo(says)
        complains = folder / f"{name}.err" if words[0] == "serve" else says
        self._pid = nursery.ask(folder=str(folder), words=words, says=str(says), complains=str(complains), pen=pen)
        self._says = says.open()

    def wait_for(self, word: str) -> None:
        """Until it says a line that holds `word`.

        Raises:
            AssertionError: it ended without.
        """
        for line in self._says:
            self.said += line
            if word in line:
                return
        raise AssertionError(f"ended without saying {word!r}: {self.said}")

    def kill(self) -> int:
        """End it now, if it has not ended; how it ended."""
        os.kill(self._pid, signal.SIGKILL)
        return self.bury()

    def bury(self) -> int:
        """Wait for its end; how it ended."""
        self.said += self._says.read()
        self._says.close()
        return self._nursery.ask(bury=self._pid)


class Laboratory:
    """The services of one folder.

    Args:
        nursery: where commands come from.
        folder: for everything.
        driver: `simulated` or `real`, see `tests.integration.chaos.exposing`.

    Attributes:
        at: endpoint of each service.
        session: folder of the run.
    """

    def __init__(self, nursery: Nursery, folder: Path, driver: str) -> None:
        folder.mkdir(parents=True)
        self.at = dict(zip(NAMES, free_endpoints(3), strict=True))
        self.session = folder / "out"
        self._nursery, self._folder, self._numbers = nursery, folder, count()
        self._options = {
            "instrument": ["--driver", f"tests.integration.chaos.exposing:{driver}", "--spool", "spool"],
            "model": [],
            "controller": ["--instrument", self.at["instrument"], "--model", self.at["model"]],
        }
        self._running: dict[str, Command] = {}

    def start(self, *names: str, pen: dict[str, Any] | None = None) -> None:
        """Start services, and wait until they are ready; a pen breaks in the hand of the controller."""
        for name in names:
            words = ["serve", name, "--endpoint", self.at[name], *self._options[name]]
            self._running[name] = self._command(name, words, pen if name == "controller" else None)
        for name in names:
            self._running[name].wait_for(f"ready {name}")

    def kill(self, *names: str) -> None:
        """Kill services with SIGKILL."""
        for name in names:
            self._running.pop(name).kill()

    def lives(self, name: str) -> bool:
        """Whether a service was started and not killed since."""
        return name in self._running

    def died(self, name: str) -> bool:
        """Whether a service that has ended was killed; waits for its end."""
        return self._running.pop(name).bury() == -signal.SIGKILL

    def close(self) -> None:
        """Kill what is left."""
        self.kill(*list(self._running))

    def ask(self, *words: str) -> Command:
        """A command to the controller."""
        return self._command(words[0], [*words, "--controller", self.at["controller"]])

    def _command(self, name: str, words: list[str], pen: Any = None) -> Command:
        return Command(self._nursery, self._folder, f"{next(self._numbers):03d}-{name}", words, pen)

    def begin_elsewhere(self) -> None:
        """The next run gets a folder of its own."""
        self.session = self._folder / f"out-{next(self._numbers)}"

    # --- what the files tell -----------------------------------------------------------------------------------------
    def journal(self) -> tuple[Any, ...]:
        """The entries of the journal; none if there is no journal."""
        try:
            return read_journal(self.session / JOURNAL_NAME).entries
        except GrainloopError:
            return ()

    def stored(self) -> PointBlock:
        """All points of the journal."""
        return PointBlock.concatenate([e.points for e in self.journal() if isinstance(e, PointsStored)])

    def shown(self) -> set[int] | None:
        """Ids of the points in the session file as it is; nothing where it cannot be read."""
        try:
            return set(load_session(self.session / SESSION_NAME).points.point_id.tolist())
        except GrainloopError:
            return None

    def mended(self) -> set[int]:
        """Ids of the points in a session file made from the journal."""
        made = self._folder / "mended.h5"
        made.unlink(missing_ok=True)
        remake(read_journal(self.session / JOURNAL_NAME).entries, made)
        return set(load_session(made).points.point_id.tolist())

    def let_go_of(self, run: str) -> set[int]:
        """Ids of the points that the instrument keeps no more, since the controller said that it had their batches."""
        found: set[int] = set()
        for path in (self._folder / "spool").glob(f"*{SUFFIX}"):
            records = [one for one in read_records(path.read_bytes()) if isinstance(one, Record)]
            entries = [as_entry(tree_of(record.payload)) for record in records]
            if entries and isinstance(entries[0], Opened) and entries[0].run == run:
                for entry in entries:
                    if isinstance(entry, Dropped):
                        for first, end in entry.ids.reshape(-1, 2).tolist():
                            found.update(range(first, end))
        return found

    def exposures(self) -> dict[str, Counter[int]]:
        """How often each point of each run was exposed."""
        found: dict[str, Counter[int]] = {}
        path = self._folder / LOG
        for line in path.read_text().splitlines() if path.exists() else ():
            run, point, *_ = line.split()
            found.setdefault(run, Counter())[int(point)] += 1
        return found
