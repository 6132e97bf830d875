"""docs/results/README.md: the tasks that were measured, each with its page and its picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.tasks.pages.page import DOCS
from benchmarks.tasks.task import Task

_INTRO = """# Results of the tasks

Each page has a table, a figure and a judgement that are made of measured numbers alone, by the weights that ship.
`python -m benchmarks.tasks` measures what is missing and writes all of them, and `python -m benchmarks.tasks NAME` one.
After new weights everything is measured again. Speed, services, registration and the table of methods are on
[one page](../results.md), and so that the networks can be looked at there are [samples without any data](gallery.md).
"""


def write_index(tasks: Sequence[Task], folder: Path = DOCS) -> Path:
    """List the tasks that have a page."""
    there = [task for task in tasks if (folder / f"{task.name}.md").is_file()]
    lines = [f"- [{task.title}]({task.name}.md): {_first_sentence(task.text)}" for task in there]
    path = folder / "README.md"
    path.write_text(_INTRO + "\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return path


def _first_sentence(text: str) -> str:
    return " ".join(text.split()).split(". ")[0].removesuffix(".") + "."
