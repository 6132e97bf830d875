"""The page of a task: what is measured, what came of it, the figure, and every number. Nothing is typed by hand."""

from __future__ import annotations

import math
from pathlib import Path

from benchmarks.tasks.materials import Material
from benchmarks.tasks.pages.judgement import CLEAR, judgement
from benchmarks.tasks.results import Results
from benchmarks.tasks.task import Column
from grainloop.cli.bench.tables import markdown_table
from grainloop.evaluate.runs import Row
from grainloop.protocols.version import grainloop_version

DOCS = Path(__file__).parents[3] / "docs" / "results"


def write_page(results: Results, folder: Path = DOCS) -> Path:
    """Write the page of a task that was measured."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{results.task.name}.md"
    path.write_text(to_markdown(results), encoding="utf-8")
    return path


def to_markdown(results: Results) -> str:
    """The page."""
    task = results.task
    parts = [f"# {task.title}\n", task.text.strip() + "\n", _legend(results), "## What came of it\n"]
    parts += [judgement(results), _how_judged(results)]
    parts += [task.remarks(results).strip() + "\n"] if task.remarks else []
    parts += [f"![{task.title}]({task.name}.png)\n"]
    for material in task.materials:
        parts += [f"## {material.title}\n", material_table(results, material)]
    return "\n".join([*parts, _notes(results)])


def _legend(results: Results) -> str:
    weights = ", ".join(f"{group} `{sha256[:12]}`" for group, sha256 in results.weights.items()) or "none"
    return (
        f"Mean ± standard deviation over {results.seeds} seeds, which vary noise, dust, shading and misregistration of "
        "PL, and on synthetic material the specimen itself. Written by "
        f"`python -m benchmarks.tasks {results.task.name}`; grainloop {grainloop_version()}, weights: {weights}.\n"
    )


def _how_judged(results: Results) -> str:
    rivals = ", ".join(f"`{name}`" for name in results.task.rivals)
    return (
        f"Rivals are {rivals}; the best of them is taken at each place. Differences are paired by seeds, and clear "
        f"beyond {CLEAR:g} standard errors.\n"
    )


def material_table(results: Results, material: Material) -> str:
    """Levels and cases down, figures across."""
    task = results.task
    head = [task.axis, "case", *[column.heading for column in task.columns]]
    first = task.levels[0]
    body = [
        ["any" if case.name in task.constant else level.name, case.name]
        + [shown(results.row(material.name, level.name, case.name), column) for column in task.columns]
        for level in task.levels
        for case in task.cases
        if level is first or case.name not in task.constant
    ]
    return markdown_table(head, body)


def shown(row: Row, column: Column) -> str:
    """Mean ± standard deviation; a dash where there is no answer."""
    mean, sd = (column.factor * of(column.figure) for of in (row.mean, row.sd))
    return "–" if math.isnan(mean) else f"{mean:.{column.digits}f} ± {sd:.{column.digits}f}"


def _notes(results: Results) -> str:
    """What methods left out or replaced, each sentence once per material and case."""
    told = {
        f"- {cell.material}, {cell.row.case}: {note}" for cell in results.cells.values() for note in cell.row.degraded
    }
    return "## Left out or replaced\n\n" + ("\n".join(sorted(told)) or "Nothing.") + "\n"
