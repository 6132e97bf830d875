"""A progress bar on stderr from the events of a run."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from grainloop.protocols.messages import EventKind, RunEvent, Severity

_STYLE = {Severity.WARNING: "yellow", Severity.ERROR: "bold red"}
"""Of events that stay on the terminal above the bar."""


@contextmanager
def show_events(quiet: bool = False) -> Generator[Callable[[RunEvent], None]]:
    """Yields what to call with each event: a bar on a terminal, a line per event elsewhere, nothing when `quiet`.

    How the run ended is told by whoever asked for it.
    """
    console = Console(stderr=True, quiet=quiet)
    if not console.is_terminal:

        def tell(event: RunEvent) -> None:
            if event.event is not EventKind.FINISHED:
                console.print(event.text, soft_wrap=True, highlight=False, markup=False)

        yield tell
        return
    with _bar(console) as progress:
        task = progress.add_task("run", total=None, stage="preparing", wrong="–")

        def heard(event: RunEvent) -> None:
            wrong = "–" if event.predicted_wrong is None else f"{event.predicted_wrong:.1%}"
            stage, total = event.event.replace("_", " "), event.points_budget or None
            progress.update(task, completed=event.points_measured, total=total, stage=stage, wrong=wrong)
            if event.severity in _STYLE:
                progress.console.print(event.text, markup=False, style=_STYLE[event.severity])

        yield heard


@contextmanager
def show_lines() -> Generator[Callable[[RunEvent], None]]:
    """Yields what to call with each event: a line of JSON on stdout, at once, for programs that read along."""
    yield lambda event: typer.echo(event.model_dump_json())


@contextmanager
def show_stage(text: str, quiet: bool = False) -> Generator[Callable[[str], None]]:
    """A spinner with `text` while something without measure goes on; yields what to call with another text."""
    with Console(stderr=True, quiet=quiet).status(text) as status:
        yield status.update


def _bar(console: Console) -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.fields[stage]:<14}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("points · predicted wrong {task.fields[wrong]}"),
        TimeElapsedColumn(),
        console=console,
    )
