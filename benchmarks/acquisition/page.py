"""The page and the pictures of docs/results/acquisition.md, made of what others here measured.

python -m benchmarks.acquisition.page
"""

from __future__ import annotations

from itertools import product
from pathlib import Path

from benchmarks.acquisition.acquired import text
from benchmarks.acquisition.acquired.against_grid import batches, never_worse, violations
from benchmarks.acquisition.acquired.ceiling import ceiling
from benchmarks.acquisition.acquired.cells import MAPS, SHORT, cell, of, percent, told
from benchmarks.acquisition.acquired.figures import CONTENDERS, OF_POLICIES, curves
from benchmarks.acquisition.acquired.needed import needed, quarter
from benchmarks.acquisition.acquired.numbers import Rows, budgets_of, change, chosen, mean
from benchmarks.acquisition.gpcam_rival import ACQUISITIONS, EXPECTATION, NEAREST, name_of
from benchmarks.acquisition.policies import (
    BUDGETS,
    CLASSICAL,
    FIRST_SMALL,
    FIRST_SPECIMEN,
    FIRST_TIMED,
    NEAREST_25,
    POLICIES,
    REAL,
    STATIC,
    TARGETS,
    load,
)
from grainloop.cli.bench.acquire import Light
from grainloop.cli.bench.tables import markdown_table as table
from grainloop.controller.figures import house_style, save
from grainloop.model.acquire import DEFAULT_POLICY

FOLDER = Path(__file__).parents[2] / "docs" / "results"
PROTOTYPE = {"ti64": (27.0, 18.6, 11.1), "mg-twins": (3.9, 2.8, 1.1)}
DECISION_S = {128: 1.0, 256: 4.0}
"""Seconds that a decision may take, by the edge of the map."""
FAST = {"ti64": ("–", 30, 28), "mg-twins": ("–", 15, 12)}
"""FAST and nearest neighbour at the same budgets, 3 % was not measured."""


def main() -> None:
    """Write the page and its pictures."""
    rows = list(load()["rows"].values())
    (FOLDER / "acquisition.md").write_text(page(rows), encoding="utf-8")
    with house_style():
        save(curves(rows, CONTENDERS), FOLDER / "acquisition.png")
        save(curves(rows, OF_POLICIES, played_only=True), FOLDER / "acquisition_policies.png")


def page(rows: Rows) -> str:
    """The text."""
    parts = [
        text.INTRO,
        f"## What was asked for\n\n{targets(rows)}",
        text.TARGETS,
        "![Wrong pixels over points and over instrument time](acquisition.png)\n",
        f"## Points needed for the same map\n\n{text.NEEDED}",
        needed(rows),
        quarter(rows),
        text.CEILING,
        ceiling(rows),
        f"## Never worse than a grid?\n\n{text.NEVER_WORSE}",
        never_worse(rows, Light.SIMULATE),
        text.LIGHT,
        never_worse(rows, Light.NONE, Light.WRONG),
        text.BATCHES,
        batches(rows),
        violations(rows),
        f"## All policies\n\n{text.POLICIES}",
        policies(rows),
        "![All policies](acquisition_policies.png)\n",
        text.SYNTHETIC,
        synthetic(rows),
        f"## gpCAM\n\n{text.GPCAM}",
        gpcam(rows),
        f"## Classical reconstruction\n\n{text.CLASSICAL}",
        classical(rows),
        f"## Points with noise, and decisions that wait\n\n{text.NOISE}",
        noisy(rows),
        text.QUEUED,
        queued(rows),
        f"## Decisions\n\n{text.DECISIONS}",
        decisions(rows),
        text.ASIDE,
    ]
    return "\n".join(part for part in parts if part)


def targets(rows: Rows) -> str:
    """The default policy beside what was asked for and what others do."""
    head = ["map", "pixels measured", "ours", "asked for", "", "prototype", "FAST + nearest", "25 % grid + nearest"]
    body = []
    for name in REAL:
        for i, (budget, asked) in enumerate(TARGETS[name].items()):
            found = mean(of(rows, name, DEFAULT_POLICY, budget))
            met = "–" if found is None else "met" if 100 * found.value <= asked else "missed"
            rivals = [f"{PROTOTYPE[name][i]:g}", FAST[name][i], f"{NEAREST_25[name]:g}"]
            body.append([MAPS[name], percent(budget), cell(found), f"≤ {asked:g}", met, *rivals])
    return table(head, body)


def policies(rows: Rows) -> str:
    """All policies on the real maps."""
    places = [(name, budget) for name in REAL for budget in BUDGETS]
    body = [
        [policy, *[cell(mean(of(rows, name, policy, budget))) for name, budget in places]]
        for policy in (STATIC, *POLICIES)
    ]
    return table(["", *[f"{SHORT[name]}, {percent(budget)}" for name, budget in places]], body)


def synthetic(rows: Rows) -> str:
    """All policies on unseen synthetic specimens, against the static grid."""
    own = [row for row in rows if FIRST_SPECIMEN <= row["seed"] < FIRST_SMALL]
    budgets = budgets_of(own)
    body = []
    for policy in POLICIES:
        found = [change(chosen(own, policy=policy, budget=b), chosen(own, policy=STATIC, budget=b)) for b in budgets]
        if any(one is not None for one in found):
            body.append([policy, *[told(one) for one in found], max(one.count for one in found if one is not None)])
    return table(["", *[percent(b) for b in budgets], "specimens"], body) if body else ""


def gpcam(rows: Rows) -> str:
    """Points by gpCAM, reconstructed in three ways, beside ours."""
    places = [(name, budget) for name in REAL for budget in BUDGETS]
    body = [["ours", "ours", *[cell(mean(of(rows, n, DEFAULT_POLICY, b))) for n, b in places]]]
    for acquisition in ACQUISITIONS:
        for method, called in ((EXPECTATION, "its expectation"), (NEAREST, "nearest neighbour"), ("", "ours")):
            found = [mean(of(rows, n, name_of(acquisition), b, method=method)) for n, b in places]
            if any(one is not None for one in found):
                body.append([name_of(acquisition), called, *[cell(one) for one in found]])
    return table(["points", "map", *[f"{SHORT[n]}, {percent(b)}" for n, b in places]], body) + "\n" + asked_s(rows)


def asked_s(rows: Rows) -> str:
    """How long gpCAM takes and how its batches lie."""
    found = [row for row in rows if row["policy"].startswith("gpCAM") and "asking_s" in row]
    if not found:
        return ""
    body = []
    for name in REAL:
        own = ([row for row in found if row["specimen"] == name and row["budget"] == b] for b in BUDGETS)
        body.append([MAPS[name], *[f"{m.value:.1f} s" if (m := mean(o, "asking_s")) else "–" for o in own]])
    return "Wall time of a decision of gpCAM on the same busy core:\n\n" + table(["", *map(percent, BUDGETS)], body)


def classical(rows: Rows) -> str:
    """Classical reconstruction of the static grid, and of adaptive points."""
    kinds = [(DEFAULT_POLICY, ""), (DEFAULT_POLICY, "pl_candidates"), (STATIC, ""), *[(STATIC, m) for m in CLASSICAL]]
    budgets = (*BUDGETS, 0.25)
    body = []
    for policy, method in kinds:
        cells = [cell(mean(of(rows, n, policy, b, method=method)), 1) for n in REAL for b in budgets]
        body.append([policy, method or "joint", *cells])
    return table(["points", "map", *[f"{SHORT[n]}, {percent(b)}" for n in REAL for b in budgets]], body)


def noisy(rows: Rows) -> str:
    """Points with the noise of the instrument, mistakes and drift."""
    body = []
    for policy in (DEFAULT_POLICY, STATIC):
        found = [mean(of(rows, n, policy, b, noisy=True)) for n in REAL for b in BUDGETS]
        if any(one is not None for one in found):
            body.append([policy, *[cell(one) for one in found]])
    return table(["", *[f"{SHORT[n]}, {percent(b)}" for n in REAL for b in BUDGETS]], body) if body else ""


def queued(rows: Rows) -> str:
    """What it costs that decisions do not know the newest batch."""
    body = []
    for name in REAL:
        found = [
            change(of(rows, name, DEFAULT_POLICY, b, queued=0), of(rows, name, DEFAULT_POLICY, b)) for b in BUDGETS
        ]
        if any(one is not None for one in found):
            body.append([MAPS[name], *[told(one).strip("*") for one in found]])
    return table(["", *map(percent, BUDGETS)], body) if body else ""


def decisions(rows: Rows) -> str:
    """How batches lie and how long decisions take."""
    head = ["map", "policy", "points of a batch that touch another, %", "decision, s"]
    body = []
    for name, policy in product(REAL, POLICIES):
        own = [row for row in chosen(rows, specimen=name, policy=policy) if row["budget"] in BUDGETS]
        touch, took = mean(own, "adjacent_share"), mean(own, "decision_s")
        if touch is not None and took is not None:
            body.append([MAPS[name], policy, f"{100 * touch.value:.1f}", f"{took.value:.2f}"])
    return table(head, body) + "\n" + sizes(rows)


def sizes(rows: Rows) -> str:
    """Processor time of a decision by the size of the map."""
    body = []
    for edge_px, asked_s in DECISION_S.items():
        own = [row for row in rows if row["edge_px"] == edge_px and row["seed"] >= FIRST_TIMED]
        spent, took = mean(own, "cpu_s"), mean(own, "decision_s")
        if spent is not None and took is not None:
            body.append([f"{edge_px} × {edge_px}", f"{spent.value:.2f}", f"{took.value:.2f}", f"≤ {asked_s:g}"])
    head = ["pixels", "processor time, s", "wall time while busy, s", "asked for on two cores, s"]
    return f"{text.SIZES}\n{table(head, body)}" if body else ""


if __name__ == "__main__":
    main()
