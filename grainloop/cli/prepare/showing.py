"""The progress bar of preparing: what is being compiled, and how many kernels were."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

NEW_INSTALLATION = 81
"""Kernels that are compiled where nothing is: those of `kernels.json` and what they call. The end of the bar."""


@contextmanager
def bar(console: Console) -> Generator[tuple[Callable[[str, int], None], Callable[[str], None]]]:
    """What to tell of each step, and what to give sentences to; the bar is seen from the first sentence on."""
    progress = Progress(
        SpinnerColumn(),
        TextColumn("compiling for {task.description:<30}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("kernels"),
        TimeElapsedColumn(),
        console=console,
    )
    with progress:
        task = progress.add_task("", total=NEW_INSTALLATION, visible=False)

        def say(sentence: str) -> None:
            progress.console.print(sentence, soft_wrap=True, highlight=False, markup=False)

        def tell(what: str, compiled: int) -> None:
            progress.update(task, description=what, completed=compiled, visible=True)

        yield tell, say
