"""The results of a benchmark as JSON, Markdown and a table for a terminal. Nothing here measures."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from grainloop.evaluate.cases import Case
from grainloop.evaluate.runs import MapRuns, Plan, Row
from grainloop.model.diffusion.training.processes import available_cores
from grainloop.model.service.methods import shipped_weights
from grainloop.protocols.version import grainloop_version

COLUMNS = (
    ("wrong by > 5°, %", "wrong, %", "error_over_5deg", 100, 1),
    ("predicted, %", "told, %", "predicted_over_5deg", 100, 1),
    ("mean error, °", "mean, °", "error_mean_deg", 1, 2),
    ("boundary F1", "F1", "boundary_f1", 1, 3),
    ("AUROC", "AUROC", "auroc", 1, 3),
    ("within 90 % bound, %", "bound, %", "coverage90", 100, 1),
    ("s", "s", "seconds", 1, 2),
)
"""Heading, short heading, figure, factor, digits; the first one is told with its standard deviation."""
LEGEND = """\
Points are exact, on a centred regular grid, the same for every seed; seeds vary noise, dust, shading and
misregistration of PL. Mean over the seeds, for wrong pixels ± standard deviation. Everything is counted over all
indexed pixels, measured ones included. *Predicted* is what the map itself expects its share of wrong pixels to be.
AUROC: does doubt rank the wrong pixels? Times are wall seconds of the method, without registration. *Wrong PL* is the
right one turned by 180° after its registration, like that of another section; *PL noise* has its mean and spread.
"""


def to_json(maps: Sequence[MapRuns], plan: Plan) -> dict[str, Any]:
    """Everything measured, with what it was measured by; shares are 0 … 1, None stands for no answer."""
    return {
        "versions": {"grainloop": grainloop_version()},
        "weights_sha256": dict(shipped_weights()),
        "threads": available_cores(),
        "shares": list(plan.shares),
        "seeds": list(plan.seeds),
        "cases": [{"name": case.name, "method": case.method} for case in plan.cases],
        "maps": {runs.name: _map_to_json(runs, plan) for runs in maps},
    }


def _map_to_json(runs: MapRuns, plan: Plan) -> dict[str, Any]:
    found: dict[str, Any] = {
        "shape_px": list(runs.specimen.shape_px),
        "point_groups": [phase.laue_group for phase in runs.specimen.phases],
        "registration_s": [round(value, 3) for value in runs.registration_s],
        "rows": [row_to_json(row) for row in runs.rows],
    }
    if runs.centre_rows:
        found["centre"] = {
            "edge_px": plan.crop_px,
            "samples": plan.samples,
            "rows": [row_to_json(row) for row in runs.centre_rows],
        }
    return found


def row_to_json(row: Row) -> dict[str, Any]:
    """A row with mean, standard deviation and the value of every seed of each figure."""
    figures = {
        name: {
            "mean": _finite(row.mean(name)),
            "sd": _finite(row.sd(name)),
            "per_seed": [_finite(value) for value in values],
        }
        for name, values in row.figures.items()
    }
    return asdict(row) | {"figures": figures}


def _finite(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 5)


def to_markdown(maps: Sequence[MapRuns], plan: Plan) -> str:
    """A page with one table per map and share."""
    text = ["# Reconstruction\n", LEGEND, _weights_line()]
    for runs in maps:
        text += [f"## {runs.name}\n", _share_table(runs.rows, plan.whole, plan.shares)]
        for share in plan.shares:
            text += [f"### {runs.name}, {share:.3g} of the pixels\n", _full_table(_of_share(runs.rows, share))]
        if runs.centre_rows:
            text.append(f"### {runs.name}, the centre of {plan.crop_px} px, {plan.samples} samples where sampled\n")
            text += [_share_table(runs.centre_rows, plan.cases, plan.shares)]
            text += [_full_table(_of_share(runs.centre_rows, share)) for share in plan.shares]
    text += [_notes(maps)]
    return "\n".join(text)


def _weights_line() -> str:
    shown = ", ".join(f"{group} `{sha[:12]}`" for group, sha in shipped_weights()) or "none"
    return f"grainloop {grainloop_version()}, weights: {shown}.\n"


def _share_table(rows: Sequence[Row], cases: Sequence[Case], shares: Sequence[float]) -> str:
    """Share of wrong pixels: cases down, shares of points across."""
    found = {(row.case, row.share): row for row in rows}
    head = ["wrong by > 5°, %", *[f"{100 * share:.3g} % measured" for share in shares]]
    body = [[case.name, *[_mean_sd(found[case.name, share]) for share in shares]] for case in cases]
    return markdown_table(head, body)


def _full_table(rows: Sequence[Row]) -> str:
    return markdown_table(["", *[heading for heading, *_ in COLUMNS]], [_cells(row) for row in rows])


def _of_share(rows: Sequence[Row], share: float) -> list[Row]:
    return [row for row in rows if row.share == share]


def _cells(row: Row) -> list[str]:
    rest = [_shown(factor * row.mean(name), digits) for _, _, name, factor, digits in COLUMNS[1:]]
    return [row.case, _mean_sd(row), *rest]


def _mean_sd(row: Row) -> str:
    mean = f"{100 * row.mean('error_over_5deg'):.1f}"
    several = len(row.figures.get("error_over_5deg", ())) > 1
    return f"{mean} ± {100 * row.sd('error_over_5deg'):.1f}" if several else mean  # one seed has no spread


def _shown(value: float, digits: int) -> str:
    return "–" if math.isnan(value) else f"{value:.{digits}f}"


def _notes(maps: Sequence[MapRuns]) -> str:
    """What methods left out or replaced, each sentence once per map and case."""
    told = {
        f"- {runs.name}, {row.case}: {note}"
        for runs in maps
        for row in (*runs.rows, *runs.centre_rows)
        for note in row.degraded
    }
    return "## Left out or replaced\n\n" + ("\n".join(sorted(told)) or "Nothing.") + "\n"


def markdown_table(head: Collection[str], body: Iterable[Iterable[object]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *body]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines) + "\n"


def to_terminal(runs: MapRuns, plan: Plan) -> list[Table]:
    """Tables of one map for a terminal, one per share, and one more of the centre."""
    name = Path(runs.name).name
    parts = ((name, runs.rows), (f"{name}, centre of {plan.crop_px} px", runs.centre_rows))
    found = [(title, _of_share(rows, share)) for share in plan.shares for title, rows in parts]
    return [_terminal_table(title, rows) for title, rows in found if rows]


def _terminal_table(name: str, rows: Sequence[Row]) -> Table:
    title = f"{name}, {100 * rows[0].fraction_measured:.3g} % measured"
    table = Table("", title=title, box=SIMPLE_HEAD, padding=(0, 1, 0, 0), title_justify="left")
    for _, heading, *_ in COLUMNS:
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*_cells(row))
    return table
