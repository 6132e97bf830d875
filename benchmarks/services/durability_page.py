"""The pages docs/results/durability.md and memory.md, from what `durability` measured and the soak found."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, StrMethodFormatter

from benchmarks.services.durability import RESULT
from grainloop.cli.bench.tables import markdown_table as table
from grainloop.controller.figures import house_style

FOLDER = Path(__file__).parents[2] / "docs" / "results"
SOAK = RESULT.with_name("soak.json")
FIRST, SECOND, THIRD = "#0072b2", "#e69f00", "#009e73"
"""Colours that colour-blind readers tell apart (Okabe & Ito)."""
SERVICES = {"controller": FIRST, "model": SECOND, "instrument": THIRD}
Found = dict[str, Any]
INTRO = """# What it costs to lose nothing

Before a point counts it is in the journal, and on disk unless [told otherwise](../journal.md#on-disk-when). Here is
what that costs, what keys cost, and how quickly a run is there again after a crash. Everything is measured without a
model: the instrument makes up its points in a process of its own, and in the place of the model stands an answer that
is there at once. Ways that are compared alternate in the same run. Given are medians, in brackets the least and the
most.

`python -m benchmarks durability` measures and makes this page. What the services keep in memory is on
[another one](memory.md).
"""
MEMORY_INTRO = """# What the services keep in memory

A run of very many points, with followers attached that never read, must not fill the memory. `make soak` measures, and
`python -m benchmarks.services.durability_page` makes this page. The points themselves are kept by the controller as
long as a run lasts: 54 bytes each, 0.5 MB per 10,000. The model keeps none, but works on all points of a section at
once: an answer takes more memory the more there are, which is given back once it is made.
"""


def write_page(found: Found, folder: Path = FOLDER) -> None:
    """Tables, picture and what follows from them."""
    text = [INTRO, _machine(found)]
    if found["quick"]:
        text.append("**These numbers are of a quick check that everything works. They are worth nothing.**\n")
    text += [_points(found), _keys(found), _afterwards(found), "![Durability](durability.png)\n"]
    text += ["## What follows\n", *_verdicts(found), ""]
    (folder / "durability.md").write_text("\n".join(text), encoding="utf-8")
    _draw([lambda axes: _draw_rates(axes, found), lambda axes: _draw_times(axes, found)], folder / "durability.png")


def write_memory(soak: Found, folder: Path = FOLDER) -> None:
    """What the soak found."""
    text = [MEMORY_INTRO, _soak(soak), "![Memory](memory.png)\n"]
    (folder / "memory.md").write_text("\n".join(text), encoding="utf-8")
    _draw([lambda axes: _draw_memory(axes, soak)], folder / "memory.png")


def number(spread: Found, form: str = ",.0f", factor: float = 1.0) -> str:
    """Median (least to most)."""
    median, least, most = (format(factor * spread[name], form) for name in ("median", "least", "most"))
    return f"{median} ({least}–{most})"


def _machine(found: Found) -> str:
    machine, disk = found["machine"], found["disk"]
    small, large = (number(disk[f"fsync_ms_{kib}_kib"], ".2g") for kib in (4, 53))
    return (
        f"Measured on {machine['cores']} processor cores under {machine['system']}; an fsync took {small} ms behind "
        f"4 KiB and {large} ms behind a block of 1,000 points.\n"
    )


def _points(found: Found) -> str:
    alone, ingest, streamed = found["journal_alone"], found["ingest"], found["streamed"]
    rows = [
        [
            "journal alone, blocks of 1,000 points",
            number(alone["always"]),
            number(alone["never"]),
            number(alone["always_over_never"], ".3f"),
        ],
        ["… bare writes of as many bytes", number(alone["bare_always"]), number(alone["bare_never"]), "–"],
        [
            "taking batches of 1,000: decoded, checked, journaled, in `session.h5`",
            number(ingest["points_per_s_always"]),
            number(ingest["points_per_s_never"]),
            f"{ingest['points_per_s_always']['median'] / ingest['points_per_s_never']['median']:.3f}",
        ],
        [
            "from the instrument over sockets, blocks of 500, until acknowledged",
            number(streamed["always"]),
            number(streamed["never"]),
            number(streamed["always_over_never"], ".3f"),
        ],
    ]
    shares = ["share of the journal in taking a batch, %"]
    shares += [number(ingest[f"journal_share_{sync}"], ".1f", 100) for sync in ("always", "never")]
    live = found["replayed_live"]
    of_live = [
        "share of the journal in a run at 20 ms per point, %",
        f"{100 * live['journal_s'] / live['live_s']:.2f}",
        "–",
        "–",
    ]
    head = ["acknowledged points/s", "with fsync", "without", "with / without"]
    return "## Points per second\n\n" + table(head, [*rows, [*shares, "–"], of_live])


def _keys(found: Found) -> str:
    rows = [
        [words, *[f"{found['keys'][name][side]['median']:{form}}" for side in ("plain", "curve")], _ratio(found, name)]
        for name, words, form in (
            ("points_per_s", "points/s over the wire, blocks of 1,000", ",.0f"),
            ("round_trip_ms", "a small request and its reply, ms", ".3f"),
            ("connect_and_first_reply_ms", "connecting until the first reply, ms", ".1f"),
            ("large_array_mb_per_s", "arrays of 4 MiB, MB/s", ",.0f"),
        )
    ]
    return "## Keys and encryption (CURVE)\n\n" + table(["", "without", "with", "with / without"], rows)


def _ratio(found: Found, name: str) -> str:
    ratio = found["keys"][name]["curve_over_plain"]
    return f"{ratio['median']:.2f} (quartiles {ratio['q25']:.2f}–{ratio['q75']:.2f})"


def _afterwards(found: Found) -> str:
    rows = [
        [
            f"{row['points']:,}",
            f"{row['journal_mb']:.1f}",
            f"{row['instrument_s']:,.0f}",
            f"{row['live_s']:.3g}",
            number(row["start_s"], ".2g"),
            number(row["resume_s"], ".2g"),
            number(row["read_s"], ".2g"),
            number(row["replay_s"], ".3g"),
            number(row["repair_s"], ".2g"),
        ]
        for row in found["runs"]
    ]
    head = [
        "points",
        "journal, MB",
        "instrument time at 20 ms per point, s",
        "the run, nothing waits, s",
        "a new controller serves after, s",
        "… and goes on with the run after, s",
        "reading the journal, s",
        "replay, s",
        "repair, s",
    ]
    side, per_batch = found["runs"][0]["side_px"], found["runs"][0]["per_batch"]
    words = (
        f"A section of {side} × {side} px in batches of about {per_batch:,} points. To go on with a run its journal is "
        "read, every decision is made again, and `session.h5` is made anew.\n"
    )
    return "## After a crash\n\n" + words + "\n" + table(head, rows)


def _verdicts(found: Found) -> list[str]:
    aims, live, ingest = found["aims"], found["replayed_live"], found["ingest"]
    share, most = ingest["journal_share_never"]["median"], aims["journal_share_of_ingest"]
    synced = ingest["journal_share_always"]["median"]
    ratio, wanted = live["live_over_replay"]["median"], aims["replay_over_live"]
    biggest = found["runs"][-1]
    unwaited = biggest["live_s"] / biggest["replay_s"]["median"]
    slower = biggest["instrument_s"] / biggest["replay_s"]["median"]
    return [
        f"- Without fsync the journal takes {share:.1%} of the time in which points are taken; the aim of {most:.0%} "
        f"{_kept(share <= most)}. With fsync it is {synced:.0%}, since points then come no faster than the disk: "
        f"{ingest['points_per_s_always']['median']:,.0f} per second. In a run at 20 ms per point it is busy "
        f"for {live['journal_s'] / live['live_s']:.1%} of the time, while the instrument measures on.",
        f"- A run of {live['points']:,} points at 20 ms took {live['live_s']:.0f} s without a model and is replayed "
        f"{ratio:.0f} times faster; the aim of {wanted:.0f} {_kept(ratio >= wanted)}. Of {biggest['points']:,} points "
        f"the instrument time is {slower:.0f} times that of the replay.",
        f"- Where the instrument takes no time at all, replay is only {unwaited:.1f} times faster than the run: both "
        "take the time of deciding, most of it the short way through each batch.",
    ]


def _kept(kept: bool) -> str:
    return "is kept" if kept else "is not kept"


def _soak(soak: Found) -> str:
    rows = [
        [
            name,
            f"{row['mb_first']:.0f}",
            f"{row['mb_warm']:.0f}",
            f"{row['mb_last']:.0f}",
            f"{row['mb_most']:.0f}",
            f"{row['mb_per_10000_points']:.2f}",
            _kept(row["mb_per_10000_points"] < soak["aim_mb_per_10000_points"]),
        ]
        for name, row in soak["services"].items()
    ]
    aim = f"aim: below {soak['aim_mb_per_10000_points']:g}"
    head = [
        "resident memory, MB",
        "first batch",
        "warm",
        "at the end",
        "at most, at any time",
        "growth per 10,000 points",
        aim,
    ]
    words = (
        f"{soak['points']:,} points in {soak['seconds']:.0f} s, with the quickest model, three processes. Attached are "
        f"a follower that lives and reads nothing ({soak['streams']} streams of events), and one whose process stands "
        f"still. Memory counts after {soak['warm_up']:.0%} of the points. The first of them was let go: "
        f"`grainloop_followers_dropped_total` is {soak['followers_dropped']:.0f} at the end.\n"
    )
    trouble = [f"- {one}" for one in soak.get("trouble", [])]
    return words + "\n" + table(head, rows) + "\n".join(["", *trouble, ""])


# --- the picture -----------------------------------------------------------------------------------------------------
def _draw(panels: list[Callable[[Axes], None]], path: Path) -> None:
    with house_style():
        figure = Figure(figsize=(max(5.0, 3.7 * len(panels)), 3.3), layout="constrained")
        for axes, draw in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
            draw(axes)
            axes.spines[["top", "right"]].set_visible(False)
        figure.savefig(path, dpi=180)


def _draw_rates(axes: Axes, found: Found) -> None:
    alone, ingest, streamed = found["journal_alone"], found["ingest"], found["streamed"]
    ways = {
        "journal alone": (alone["always"], alone["never"]),
        "taking a batch": (ingest["points_per_s_always"], ingest["points_per_s_never"]),
        "over sockets": (streamed["always"], streamed["never"]),
    }
    for y, (always, never) in enumerate(ways.values()):
        for offset, one, colour in ((-0.12, always, FIRST), (0.12, never, SECOND)):
            axes.plot(one["median"], y + offset, "o", ms=6, color=colour)
            axes.plot([one["least"], one["most"]], [y + offset] * 2, color=colour, lw=1.5)
    axes.set_yticks(range(len(ways)), list(ways))
    axes.set_ylim(len(ways) - 0.5, -0.5)
    axes.grid(axis="x", lw=0.4, color="#d0d0d0")
    axes.set_xscale("log")
    axes.set_xlabel("acknowledged points/s")
    axes.set_title("Points per second")
    words = ((FIRST, "with fsync"), (SECOND, "without"))
    handles = [axes.plot([], [], "o-", color=colour, label=label)[0] for colour, label in words]
    axes.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.45, -0.2), ncols=2)


def _draw_times(axes: Axes, found: Found) -> None:
    points = [row["points"] for row in found["runs"]]
    ways = {
        "instrument, 20 ms per point": ("instrument_s", "black", "--"),
        "the run, nothing waits": ("live_s", "#8a8a8a", "-"),
        "a run goes on": ("resume_s", FIRST, "-"),
        "replay": ("replay_s", SECOND, "-"),
        "repair": ("repair_s", THIRD, "-"),
    }
    for label, (name, colour, style) in ways.items():
        values = [row[name]["median"] if isinstance(row[name], dict) else row[name] for row in found["runs"]]
        axes.plot(points, values, color=colour, ls=style, marker="o", ms=4, label=label)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks(points, [f"{count:,}" for count in points])
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("points of the run")
    axes.set_ylabel("s")
    axes.set_title("After a crash")
    axes.legend(loc="upper center", bbox_to_anchor=(0.45, -0.2), ncols=2, fontsize=7)


def _draw_memory(axes: Axes, soak: Found) -> None:
    curve = soak["curve"]
    for name, colour in SERVICES.items():
        axes.plot(curve["points"], curve["mb"][name], color=colour, label=name)
    axes.axvline(soak["warm_up"] * curve["points"][-1], color="#8a8a8a", lw=0.8, ls=":")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("points measured")
    axes.set_ylabel("resident memory, MB")
    axes.set_title("Memory (right of the dotted line it counts)")
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.legend(loc="upper center", bbox_to_anchor=(0.45, -0.2), ncols=3)


def main() -> None:
    """Make both pages, as far as there are results."""
    for path, write in ((RESULT, write_page), (SOAK, write_memory)):
        if path.exists():
            write(json.loads(path.read_text(encoding="utf-8")))


if __name__ == "__main__":
    main()
