"""How a training is going, on stderr: a live bar on a terminal, a line a minute elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

from grainloop.model.diffusion.training.records import StepReport

_LINE_S = 60.0
_MEMORY = 0.98


class _Pace:
    """Examples per second of this sitting, and the mean loss of about fifty steps (the gate's if any)."""

    def __init__(self) -> None:
        self._began, self._examples, self._loss = time.monotonic(), 0, float("nan")

    def text(self, done: StepReport) -> str:
        """The figures after one more step."""
        self._examples += done.examples
        part, name = ("gate", "gate loss") if "gate" in done.parts else ("loss", "loss")
        loss = done.parts[part]
        self._loss = loss if self._loss != self._loss else _MEMORY * self._loss + (1 - _MEMORY) * loss
        rate = self._examples / max(1e-9, time.monotonic() - self._began)
        left = f"{done.ahead_s / 3600:.2f} h left"
        return f"step {done.step:,} · {rate:.1f} examples/s · {name} {self._loss:.4f} · {left}"


@contextmanager
def show_training(hours: float, quiet: bool = False) -> Generator[Callable[[StepReport], None]]:
    """Yields what to call after each step."""
    console, pace = Console(stderr=True, quiet=quiet), _Pace()
    if console.is_terminal:
        with _bar(console) as progress:
            task = progress.add_task("training", total=hours * 3600, text="starting")

            def update(done: StepReport) -> None:
                progress.update(task, completed=hours * 3600 - done.ahead_s, text=pace.text(done))

            yield update
        return
    told = -_LINE_S

    def tell(done: StepReport) -> None:
        nonlocal told
        text = pace.text(done)
        if time.monotonic() - told >= _LINE_S or done.ahead_s == 0:
            told = time.monotonic()
            console.print(text, soft_wrap=True, highlight=False, markup=False)

    yield tell


def _bar(console: Console) -> Progress:
    return Progress(SpinnerColumn(), BarColumn(), TextColumn("{task.fields[text]}"), console=console)
