"""The figure and the section of docs/results.md on inference-time scaling, from what `scaling` measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from grainloop.cli.bench.tables import markdown_table as table

FIGURE = Path(__file__).parents[2] / "docs" / "figures" / "scaling.png"
PANELS = {
    "wrong_percent": ("Wrong pixels", " %", "percentage points"),
    "log_loss": ("Log loss of the gate", " nat", "nat"),
    "auroc": ("AUROC of P(wrong)", "", ""),
    "energy_score": ("Energy score, 8 × 8 px", "", "embedding units"),
}
"""Figure → title, unit of its value, unit of its difference."""
BETTER = {"wrong_percent": -1, "error_mean_deg": -1, "log_loss": -1, "auroc": 1, "energy_score": -1}
"""The sign of a change for the better."""
LINES = {
    "symmetry": ("#0b6e4f", "o-"),
    "symmetry, candidates kept": ("#a3a847", "^-"),
    "shift": ("#5fb49c", "s-"),
    "samples, medoid": ("#b23a48", "o--"),
    "samples, vote": ("#e07a5f", "s--"),
    "samples, mean gate": ("#f2a65a", "^--"),
    "more steps": ("#7f5539", "v--"),
    "best of N": ("#1d3557", "o:"),
    "best of each region": ("#457b9d", "s:"),
    "weighed by verifier": ("#89c2d9", "^:"),
    "particles": ("#7b2cbf", "d-."),
    "chains": ("#c77dff", "p-."),
}
CLOSE_UP = ("symmetry", "symmetry, candidates kept", "shift")
SHOWN = 16
"""Budget of the table that compares all strategies."""


def draw(found: dict[str, Any]) -> None:
    """Differences from one evaluation against evaluations spent, on synthetic specimens, with 95 % intervals."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(16, 8.6), layout="constrained")
    axes = figure.subplots(2, len(PANELS))
    for axis, key in zip(axes.T, PANELS, strict=True):
        _panel(axis[0], found["synthetic"], key, tuple(LINES))
        _panel(axis[1], found["synthetic"], key, CLOSE_UP)
        axis[1].set_title("the same, ensembles alone", fontsize=10)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=6, frameon=False)
    count, shares = found["specimens"], " and ".join(f"{100 * share:g} %" for share in found["shares"])
    figure.suptitle(
        f"Change against one evaluation: {count} synthetic specimens, {found['edge_px']} × {found['edge_px']} px, "
        f"{shares} of points; bars are 95 % intervals of paired means"
    )
    figure.savefig(FIGURE, dpi=100)


def _panel(axis: Any, found: dict[str, Any], key: str, names: tuple[str, ...]) -> None:
    title, unit, unit_of_gain = PANELS[key]
    for number, name in enumerate(names):
        _line(axis, found[name], key, name, 1 + 0.02 * (number - len(names) / 2))
    axis.axhline(0, color="0.6", lw=0.8, zorder=0)
    axis.set_title(f"{title}\none evaluation: {found['symmetry']['1'][key]:.3g}{unit}", fontsize=11)
    axis.set_ylabel("change" + (f", {unit_of_gain}" if unit_of_gain else ""))
    axis.set_xscale("log", base=2)
    axis.set_xticks([2**n for n in range(7)], [str(2**n) for n in range(7)])
    axis.set_xlabel("evaluations of the network")


def _line(axis: Any, of: dict[str, Any], key: str, name: str, aside: float) -> None:
    colour, style = LINES[name]
    rows = [row for row in of.values() if row.get(f"{key}_gain") is not None]
    x, gain, error = (np.array([row[k] for row in rows]) for k in ("evaluations", f"{key}_gain", f"{key}_gain_ci95"))
    kept = np.concatenate([[True], np.diff(x) > 0])  # a budget too small for one more sample changes nothing
    axis.errorbar(
        (x * aside)[kept], gain[kept], error[kept], fmt=style, color=colour, label=name, ms=4.5, lw=1.4, elinewidth=0.8
    )


def scaling(found: dict[str, Any]) -> str:
    """More evaluations of the network."""
    text = ["## More evaluations of the network\n", "![Scaling](figures/scaling.png)\n", _introduction(found)]
    text.append(_verdict(found["synthetic"]))
    text.append(f"### All strategies at {SHOWN} evaluations\n")
    one, rows = found["synthetic"]["symmetry"]["1"], []
    keys = tuple(BETTER)
    for name, of in found["synthetic"].items():
        row = of[str(SHOWN)]
        rows.append([name, f"{row['evaluations']:g}", *[_gain(row, key) for key in keys]])
    head = ["strategy", "spent", "wrong, %", "mean error, °", "log loss, nat", "AUROC", "energy score"]
    first = ["one evaluation", "1", *[f"{one[key]:.3f}" for key in keys]]
    text.append("The first line holds values, the others changes against it with 95 % intervals.\n")
    text.append(table(head, [first, *rows]))
    text.append("### The symmetries of the grid\n")
    text.append(
        table(["evaluations", *head[2:]], [_row(b, r, keys) for b, r in found["synthetic"]["symmetry"].items()])
    )
    text.append("### The maps that ship, as a check\n")
    text.append(_real(found["real"]))
    return "\n".join(text)


def _introduction(found: dict[str, Any]) -> str:
    ms = {key: f"{1e3 * value:.0f} ms" for key, value in found["seconds_per_evaluation"].items()}
    edge = found["edge_px"]
    return (
        f"Changes against one evaluation, paired over {found['specimens']} synthetic specimens. Weights: "
        f"{found['weights']} ({found['weights_sha256'][:12]}). It takes {ms['evaluate']} of a core to evaluate "
        f"{edge} × {edge} px, {ms['prepare']} to prepare the section and {ms['read_out_and_samples']} to read out map "
        "and samples. Claims are not calibrated.\n"
    )


def _verdict(found: dict[str, Any]) -> str:
    """Which strategies gain anything beyond their interval, each at the budget where it gains most."""
    gains = {key: [line for name, of in found.items() if (line := _best_gain(name, of, key))] for key in BETTER}
    titles = {key: title for key, (title, _, _) in PANELS.items()} | {"error_mean_deg": "Mean error, °"}
    lines = [f"- {titles[key]}: {', '.join(each) or 'none'}" for key, each in gains.items()]
    tried = sum(len(of) - 1 for of in found.values())
    note = f"{tried} combinations were tried: one in forty would seem to gain by chance."
    return (
        "Strategies that gain more than their 95 % interval, where they gain most:\n\n"
        + "\n".join(lines)
        + f"\n\n{note}\n"
    )


def _best_gain(name: str, of: dict[str, Any], key: str) -> str | None:
    known = [row for row in of.values() if row["evaluations"] > 1 and row.get(f"{key}_gain") is not None]
    clear = [row for row in known if BETTER[key] * row[f"{key}_gain"] > row[f"{key}_gain_ci95"]]
    if not clear:
        return None
    best = max(clear, key=lambda row: BETTER[key] * row[f"{key}_gain"])
    return f"{name} {_gain(best, key)} by {best['evaluations']:g}"


def _row(budget: str, row: dict[str, Any], keys: tuple[str, ...]) -> list[str]:
    values = [f"{row[key]:.3f}" if budget == "1" else _gain(row, key) for key in keys]
    return [budget, *values]


def _gain(row: dict[str, Any], key: str) -> str:
    if row.get(f"{key}_gain") is None:
        return "–"
    return f"{row[f'{key}_gain']:+.3f} ± {row[f'{key}_gain_ci95']:.3f}"


def _real(found: dict[str, Any]) -> str:
    """Share of wrong pixels on each map."""
    names = list(next(iter(found.values())))
    rows = [["one evaluation", *[f"{of['symmetry']['1']['wrong_percent']:.2f}" for of in found.values()]]]
    rows += [[name, *[f"{of[name][str(SHOWN)]['wrong_percent']:.2f}" for of in found.values()]] for name in names]
    head = ["wrong, %", *[f"{key.split(' @ ')[0]}, {100 * float(key.split(' @ ')[1]):.3g} %" for key in found]]
    return table(head, rows)
