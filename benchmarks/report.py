"""Writes docs/results.md from the JSON files of the benchmarks, so that no figure in it is typed by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.posterior.scaling_page import scaling
from benchmarks.services import durability_page
from grainloop.cli.bench.tables import markdown_table as table

RESULTS = Path(__file__).parent / "results"
PAGE = Path(__file__).parents[1] / "docs" / "results.md"
MAPS = {"ti64": "Ti-6Al-4V (macrozones)", "mg-twins": "Mg (twins)"}
CUBIC = {"ni": "Ni superalloy (cubic)"}
_SHORTER, _POSSIBLE = "shorter_than_nearest_neighbour", "no_order_can_be_shorter_than_nearest_neighbour_by"
INTRO = """# Results

Every figure here comes from `python -m benchmarks` on two processor cores (JSON files in `benchmarks/results`). Where a
time matters it is given as a ratio to a named reference measured in the same run. Specimens are the real maps that
ship; PL is the simulator's exact crossed-polariser optics with 15 % noise, 15 % shading, dust and 3 px rms
misregistration, registered and calibrated from the scan points by grainloop itself.

Super-resolution, boundaries, single sources and other tasks have [pages of their own](results/README.md), and so have
[adaptive acquisition, beside grids and gpCAM](results/acquisition.md),
[points, lines and rectangles at equal instrument time](results/shapes.md), and
[whether the instrument waits for the model](results/idle.md).
"""
_DURABILITY = """
What journal, fsync and keys cost, and how quickly a run is there again after a crash, is on
[a page of its own](results/durability.md) too; [what is lost when a process dies](results/chaos.md) and
[what the services keep in memory](results/memory.md) are on two more.
"""


def _mean_sd(row: dict[str, float]) -> str:
    return f"{row['wrong_percent']:.1f} ± {row['wrong_percent_sd']:.1f}"


def classical(found: dict[str, Any]) -> str:
    """Grids and adaptive runs."""
    text = ["## Classical reconstruction and acquisition\n"]
    text.append("Share of pixels wrong by more than 5°, in %, mean ± sd over 3 seeds.\n")
    for part, title in (("grids", "Regular grids, exact points"), ("adaptive", "Measured points, noise and all")):
        text += [f"### {title}: {label}\n\n{_shares(found[part][name])}" for name, label in MAPS.items()]
    text.append("### Can its doubt be trusted?\n")
    text.append("Predicted share of wrong pixels next to the true one, and how well doubt ranks the wrong pixels.\n")
    body = [
        [MAPS[name], f"{100 * float(key.split(' @ ')[1]):.3g} %"]
        + [f"{row[c]:.1f}" for c in ("wrong_percent", "predicted_percent")]
        + [f"{row['auroc']:.2f}", f"{row['boundary_f1']:.3f}"]
        for name in MAPS
        for key, row in found["grids"][name].items()
        if key.startswith("pl_candidates @")
    ]
    text.append(table(["map", "grid", "wrong, %", "predicted, %", "AUROC", "boundary F1"], body))
    return "\n".join(text)


def trained(found: dict[str, Any]) -> str:
    """The trained posterior beside the classical methods."""
    text = ["## The trained posterior\n"]
    text.append("Weights trained on synthetic specimens alone; the maps below were never seen in training. ")
    text.append("Share of pixels wrong by more than 5°, in %, mean ± sd over 3 seeds.\n")
    for part, title in (("grids", "Regular grids, exact points"), ("adaptive", "Measured points, noise and all")):
        text += [f"### {title}: {MAPS[name]}\n\n{_shares(found[part][name])}" for name in MAPS]
    for name, label in CUBIC.items():
        text.append(f"### Regular grids, exact points: {label}, no PL\n\n{_shares(found['cubic'][name])}")
    body = [
        [label, f"{100 * float(key.split(' @ ')[1]):.3g} %"]
        + [f"{row[c]:.1f}" for c in ("wrong_percent", "predicted_percent")]
        + [f"{row['auroc']:.3f}", f"{row['boundary_f1']:.3f}", f"{row['error_mean_deg']:.2f}"]
        for part, labels in (("grids", MAPS), ("cubic", CUBIC))
        for name, label in labels.items()
        for key, row in found[part][name].items()
        if key.startswith("joint @")
    ]
    text.append("### Its doubt\n")
    head = ["map", "grid", "wrong, %", "predicted, %", "AUROC", "boundary F1", "mean error, °"]
    text.append(table(head, body))
    times = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in found["seconds"].items())
    text.append(f"Processor time for 200 × 200 px at 6.25 % of points: {times}.\n")
    return "\n".join(text)


def _shares(rows: dict[str, Any]) -> str:
    """Methods down, shares of points across."""
    found: dict[str, dict[str, str]] = {}
    for key, row in rows.items():
        method, share = key.split(" @ ")
        found.setdefault(method, {})[f"{100 * float(share):.3g} %"] = _mean_sd(row)
    shares = list(dict.fromkeys(share for row in found.values() for share in row))
    return table(["method", *shares], [[name, *[row.get(s, "") for s in shares]] for name, row in found.items()])


def crystal(found: dict[str, Any]) -> str:
    """Orientation kernels."""
    rows = [
        [kernel, group, f"{row['cpu_ms']:.1f}", row["aim_ms"] or "–", _faster(row)]
        for group, part in found["groups"].items()
        for kernel, row in part["ours"].items()
    ]
    head = ["kernel, 512 × 512", "group", "ms of one core", "aim", "faster than"]
    return "## Orientation kernels\n\n" + table(head, rows)


def _faster(row: dict[str, Any]) -> str:
    return f"{row['reference_over_ours']:.0f} × {row['reference']}"


def registration(found: dict[str, Any]) -> str:
    """Registration of PL to the points."""
    keys = [key for key, value in found.items() if isinstance(value, list)]
    text = ["## Registration of PL\n", "![Registration](figures/registration.png)\n"]
    for key in keys:
        rows = found[key]
        if rows and isinstance(rows[0], dict):
            text += [f"### {key.replace('_', ' ')}\n", table(rows[0], [row.values() for row in rows])]
    return "\n".join(text)


def services(wire: dict[str, Any], ingest: dict[str, Any], simulator: dict[str, Any], route: dict[str, Any]) -> str:
    """Wire, session file, simulator, routes."""
    path = route["1000_points"]
    asked = {name: route[f"1000_points_asked_for_on_{name}"] for name in MAPS}
    rows = [
        ["round trip beyond bare pyzmq, quietest round", f"{wire['round_trip_overhead_ms']:.2f} ms", "0.3 ms"],
        ["round trip beyond bare pyzmq, median", f"{wire['round_trip_overhead_median_ms']:.2f} ms", "0.3 ms"],
        ["points/s over the wire, batches of 1,000", f"{wire['points_per_s']['full']:,.0f}", "100,000"],
        ["… as share of bare pyzmq", f"{wire['points_per_s_ratio']:.2f}", ""],
        ["points/s through controller and session file", f"{ingest['controller_points_per_s']:,}", "100,000"],
        ["… as share of bare h5py", f"{ingest['controller_over_bare_h5py']:.2f}", ""],
        ["points/s of the simulator", f"{simulator['batches_of_1000']['points_per_s']:,}", "200,000"],
        [
            "path of 1,000 points, shorter than by nearest neighbour",
            f"{path[_SHORTER]:.1%}",
            "25 %",
        ],
        ["… no order can be shorter by more than", f"{path[_POSSIBLE]:.1%}", ""],
        ["… time of one core", f"{path['short_path_s']:.2f} s", "0.2 s"],
        *[
            [f"{words}, asked for on {label}", f"{asked[name][figure]:.1%}", aim]
            for name, label in MAPS.items()
            for words, figure, aim in (("the same", _SHORTER, "25 %"), ("… no order can", _POSSIBLE, ""))
        ],
    ]
    note = "The aim is out of reach: Held and Karp's bound says how short any path through these points can be.\n"
    return "## Services\n\n" + table(["", "measured", "aim"], rows) + "\n" + note


def specimens(found: dict[str, Any]) -> str:
    """Synthetic specimens."""
    rate = found["specimens_per_s_per_core"]
    return (
        "## Synthetic specimens\n\n"
        f"{rate:.0f} specimens of 64 × 64 px per second and core with embedding, EBSD scan and PL (aim 100). How they "
        "compare with the real maps: [microstructure.md](microstructure.md).\n"
    )


def first_use(found: dict[str, Any]) -> str:
    """A new installation."""
    aim, compiles, warm = found["aim"], found["set_up_compiles_s"], found["warm_demo_s"]
    return (
        "## A new installation\n\n"
        f"The set-up compiles for {compiles:.0f} s of one core (aim {aim['set_up_compiles_s']:.0f}). The demo after it "
        f"takes {found['demo_after_set_up']:.2f} times as long as a warm one, {warm:.0f} s of processor time (aim "
        f"{aim['demo_after_set_up']} times), and `grainloop --help` {found['help_s']:.2f} s (aim {aim['help_s']} s). "
        "What is compiled when, and where it is kept: [first_use.md](first_use.md).\n"
    )


def main() -> None:
    """Write the page from whatever results there are."""
    read = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in RESULTS.glob("*.json")}
    parts = [
        INTRO,
        trained(read["trained"]),
        scaling(read["scaling"]),
        classical(read["classical"]),
        registration(read["registration"]),
        crystal(read["crystal"]),
        services(read["wire"], read["ingest"], read["simulator"], read["route"]),
        specimens(read["microstructure"]),
        first_use(read["first_use"]),
    ]
    durability_page.main()
    if "durability" in read:
        parts[0] = INTRO.rstrip() + _DURABILITY
    PAGE.write_text("\n".join(parts), encoding="utf-8")


if __name__ == "__main__":
    main()
