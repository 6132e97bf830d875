"""`grainloop logs`: the log lines of a session or of files, readable, chosen, merged, and followed as they come."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from grainloop.cli.logs.reading import Broken, Tail, Wanted, files_of, merged, parse_since
from grainloop.protocols.errors import BadInput
from grainloop.protocols.observability.lines import printable, readable, to_json
from grainloop.protocols.observability.output import LEVELS
from grainloop.protocols.sentences import counted

_LOOK_AGAIN_S = 0.25
_MOST_BROKEN = 20
"""Lines that are none are shown at a time: the last words of a process are a few."""


def logs(
    files: Annotated[
        list[Path], typer.Argument(help="Folders of sessions, or log files; several are merged.", show_default=False)
    ],
    level: Annotated[str, typer.Option(help="Least level: debug, info, warning, error.")] = "debug",
    service: Annotated[str | None, typer.Option(help="Only lines of this service.")] = None,
    round_: Annotated[
        int | None, typer.Option("--round", help="Only lines about this round, by whichever service.")
    ] = None,
    request: Annotated[str | None, typer.Option(help="Only lines with this request id.")] = None,
    since: Annotated[str | None, typer.Option(help="Only lines of the last 90s, 10m, 2h, 1d, or since a time.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as lines come, until Ctrl-C.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print lines as JSON, and nothing else, on stdout.")] = False,
) -> None:
    """Show log lines: readable, chosen by what they are about, several files merged by time."""
    if level not in LEVELS:
        message = f"--level {level} cannot be used: give {', '.join(LEVELS)}."
        raise BadInput(message, field="level", value=level)
    wanted = Wanted(level, service, round_, request, None if since is None else parse_since(since, datetime.now(UTC)))
    with ExitStack() as stack:
        tails = [stack.enter_context(closing(Tail(file))) for named in files for file in files_of(named)]
        shown = Shown(tails, wanted, typer.echo, json=json, colour=sys.stdout.isatty())
        shown.show(to_the_end=not follow)
        if not follow and shown.broken and not shown.lines:
            message = f"There is no log line in {', '.join(map(str, files))}; is it a log of grainloop?"
            raise BadInput(message, field="files", value=files[0])
        with suppress(KeyboardInterrupt):
            while follow:
                time.sleep(_LOOK_AGAIN_S)
                shown.show()


class Shown:
    """Shows what is new in some files.

    Attributes:
        lines: how many there were so far, asked for or not.
        broken: how many were none.

    Args:
        tails: of the files.
        wanted: which lines.
        say: prints a line.
        json: as JSON.
        colour: where readable, with colours.
    """

    def __init__(
        self, tails: list[Tail], wanted: Wanted, say: Callable[[str], object], *, json: bool, colour: bool
    ) -> None:
        self._tails, self._wanted, self._say = tails, wanted, say
        self._json, self._colour = json, colour
        self.lines = self.broken = 0

    def show(self, *, to_the_end: bool = False) -> None:
        """Show what has come, by time; `to_the_end` also what is the beginning of a line alone."""
        came = [one for tail in self._tails for one in (*tail.new(), *(tail.rest() if to_the_end else ()))]
        self._complain([one for one in came if isinstance(one, Broken)])
        lines = merged(one for one in came if not isinstance(one, Broken))
        self.lines += len(lines)
        self._wanted.learn(lines)
        for line in filter(self._wanted.take, lines):
            self._say(to_json(line) if self._json else readable(line, colour=self._colour))

    def _complain(self, broken: list[Broken]) -> None:
        self.broken += len(broken)
        for one in broken[:_MOST_BROKEN]:
            typer.echo(printable(str(one)), err=True)
        if (more := len(broken) - _MOST_BROKEN) > 0:
            typer.echo(f"And {counted(more, 'more line')} of that kind.", err=True)
