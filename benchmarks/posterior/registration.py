"""Registration of PL to the scan points on the shipped maps: error, capture, its own estimate, and time.

PL comes from the simulator's exact optics with every default nuisance (15 % noise, 15 % shading, dust) and 2 % of the
points mis-indexed. Errors are rms over the grid in EBSD pixels, against the true warp. The reference for the error is
what is left when nothing is registered; for the time, the blur of the same PL channels by scipy.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks.light_scenes import LightScene, make_scene, section
from grainloop.instrument_sim.camera import LightNuisances
from grainloop.instrument_sim.warp import Warp as TrueWarp
from grainloop.instrument_sim.warp import similarity
from grainloop.model.light import Alignment, search
from grainloop.model.light.warp import BILINEAR

RESULTS = Path(__file__).parents[1] / "results" / "registration.json"
FIGURE = Path(__file__).parents[2] / "docs" / "figures" / "registration.png"
MAPS = {"ti64": "Ti64, macrozones", "mg-twins": "Mg, twins"}
LAYOUTS = ("grid", "random")
SHARES = (0.01, 0.021, 0.06)
AIMS_PX = {0.01: 0.4, 0.06: 0.25}
SEEDS = range(8)
SHIFT_PX, ROTATION_DEG, SCALE = 20.0, 5.0, 1.03
CAPTURED_PX = 1.0
WAVE_PX = 1.5


def main() -> dict[str, Any]:
    """Measure, write `results/registration.json` and the figure, and return what was written."""
    make_scene("ti64", 0, 0.01, "grid").align()
    runs = [
        _run(name, share, layout, seed) for name in MAPS for share in SHARES for layout in LAYOUTS for seed in SEEDS
    ]
    result: dict[str, Any] = {
        "seeds": len(SEEDS),
        "error_px": _errors(runs),
        "estimate_beside_error_px": _estimates(runs),
        "capture": [_capture(name) for name in MAPS],
        "smooth_distortion": [_distortion(name) for name in MAPS],
        "time_s": [_times(name) for name in MAPS],
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    FIGURE.parent.mkdir(parents=True, exist_ok=True)
    _figure(runs).savefig(FIGURE, dpi=120)
    return result


def _run(name: str, share: float, layout: str, seed: int) -> dict[str, Any]:
    """One cold alignment, and one that starts from it."""
    scene = make_scene(name, seed, share, layout)
    found = scene.align()
    return {
        "map": name,
        "share": share,
        "layout": layout,
        "error_px": scene.error_px(found),
        "warm_px": scene.error_px(scene.align(found)),
        "estimate_px": found.residual_px,
        "unregistered_px": scene.camera.warp.rms_px,
        "usable": found.usable,
    }


def _errors(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A row per map, share and layout."""
    return [_row(name, share, layout, _of(runs, name, share, layout)) for name, share, layout in _cases()]


def _row(name: str, share: float, layout: str, runs: list[dict[str, Any]]) -> dict[str, Any]:
    error = np.array([run["error_px"] for run in runs])
    return {
        "map": name,
        "points, %": 100 * share,
        "layout": layout,
        "unregistered": round(float(np.mean([run["unregistered_px"] for run in runs])), 2),
        "mean": round(float(error.mean()), 3),
        "median": round(float(np.median(error)), 3),
        "worst": round(float(error.max()), 3),
        "after a warm start, mean": round(float(np.mean([run["warm_px"] for run in runs])), 3),
        "aim": AIMS_PX.get(share, ""),
        "used": f"{sum(run['usable'] for run in runs)}/{len(runs)}",
    }


def _estimates(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the registration believes of itself."""
    rows = []
    for name in MAPS:
        for share in SHARES:
            some = [run for layout in LAYOUTS for run in _of(runs, name, share, layout)]
            ratio = np.array([run["error_px"] / run["estimate_px"] for run in some])
            rows.append(
                {
                    "map": name,
                    "points, %": 100 * share,
                    "true error, mean": round(float(np.mean([run["error_px"] for run in some])), 3),
                    "estimate, mean": round(float(np.mean([run["estimate_px"] for run in some])), 3),
                    "true over estimate, median": round(float(np.median(ratio)), 2),
                    "true within twice the estimate, %": round(100 * float(np.mean(ratio < 2))),
                }
            )
    return rows


def _capture(name: str) -> dict[str, Any]:
    """From a large shift in a random direction, with rotation and scale of random sign, at 6 % of the points."""
    errors, moved = [], []
    for seed in SEEDS:
        scene = _displaced(name, seed)
        found = scene.align()
        errors.append(scene.error_px(found))
        moved.append(scene.camera.warp.rms_px)
    return {
        "map": name,
        "start": f"{SHIFT_PX:g} px, {ROTATION_DEG:g}°, {100 * (SCALE - 1):.0f} %",
        "unregistered": round(float(np.mean(moved)), 1),
        f"within {CAPTURED_PX:g} px": f"{sum(error < CAPTURED_PX for error in errors)}/{len(errors)}",
        "mean": round(float(np.mean(errors)), 3),
        "median": round(float(np.median(errors)), 3),
        "worst": round(float(np.max(errors)), 3),
    }


def _displaced(name: str, seed: int) -> LightScene:
    rng = np.random.default_rng([seed, 11])
    direction, signs = rng.uniform(0, 2 * np.pi), rng.choice([-1, 1], size=2)
    shift = (SHIFT_PX * np.sin(direction), SHIFT_PX * np.cos(direction))
    shape = section(name).truth.shape_px
    warp: TrueWarp = similarity(shape, shift, ROTATION_DEG * signs[0], SCALE ** signs[1])
    return make_scene(name, seed, 0.06, "grid", LightNuisances(misregistration_px=0.0), warp=warp)


def _distortion(name: str) -> dict[str, Any]:
    """A wave on top of the usual misregistration, with the smooth field that the points ask for and without."""
    scenes = [make_scene(name, seed, 0.06, "grid") for seed in SEEDS]
    unneeded = sum(_has_field(scene.align()) for scene in scenes)
    bent = [scene.bent(WAVE_PX) for scene in scenes]
    found = [scene.align() for scene in bent]
    with mock.patch.object(search, "POINTS_FOR_FIELD", sys.maxsize):
        plain = [scene.align() for scene in bent]
    return {
        "map": name,
        "wave": f"{WAVE_PX:g} px",
        "without a field, mean": round(float(np.mean([s.error_px(a) for s, a in zip(bent, plain, strict=True)])), 3),
        "with it, mean": round(float(np.mean([s.error_px(a) for s, a in zip(bent, found, strict=True)])), 3),
        "with it, worst": round(float(np.max([s.error_px(a) for s, a in zip(bent, found, strict=True)])), 3),
        "field taken": f"{sum(map(_has_field, found))}/{len(found)}",
        "taken where there is no wave": f"{unneeded}/{len(scenes)}",
    }


def _has_field(found: Alignment) -> bool:
    return found.warp.coefficients.shape[1] > BILINEAR


def _times(name: str) -> dict[str, Any]:
    """Processor time of one core at 6 % of the points, best of three."""
    shape = section(name).truth.shape_px
    cold = min(_cold_s(name) for _ in range(3))
    scene = make_scene(name, 0, 0.06, "grid")
    found: Alignment = scene.align()
    warm = min(_cpu_s(lambda: scene.align(found)) for _ in range(3))
    blur = min(_cpu_s(lambda: _blur(scene.features.values)) for _ in range(5))
    return {
        "map": name,
        "pixels": f"{shape[0]}×{shape[1]}",
        "points": len(scene.points_px),
        "cold": round(cold, 2),
        "aim, cold": 3.0,
        "warm": round(warm, 2),
        "aim, warm": 0.5,
        "cold over a blur of its channels": round(cold / blur),
        "warm over a blur of its channels": round(warm / blur),
    }


def _cold_s(name: str) -> float:
    scene = make_scene(name, 0, 0.06, "grid")
    return _cpu_s(scene.align)


def _cpu_s(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def _blur(channels: NDArray[np.float32]) -> None:
    for channel in channels:
        ndimage.gaussian_filter(channel, 2.0)


def _cases() -> list[tuple[str, float, str]]:
    return [(name, share, layout) for name in MAPS for share in SHARES for layout in LAYOUTS]


def _of(runs: list[dict[str, Any]], name: str, share: float, layout: str) -> list[dict[str, Any]]:
    return [run for run in runs if (run["map"], run["share"], run["layout"]) == (name, share, layout)]


def _figure(runs: list[dict[str, Any]]) -> Figure:
    """Left: error of every run by share of points, with the aims. Right: the estimate beside the truth."""
    figure = Figure(figsize=(9.4, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    styles = {"grid": "o", "random": "^"}
    for colour, (name, label) in zip(("tab:blue", "tab:orange"), MAPS.items(), strict=True):
        for layout, marker in styles.items():
            some = [run for run in runs if run["map"] == name and run["layout"] == layout]
            offset = {"ti64": 0.93, "mg-twins": 1.07}[name] * {"grid": 0.98, "random": 1.02}[layout]
            error = [run["error_px"] for run in some]
            shown = {"color": colour, "marker": marker, "s": 16, "alpha": 0.75, "linewidths": 0}
            left.scatter([100 * offset * run["share"] for run in some], error, label=f"{label}, {layout}", **shown)
            right.scatter([run["estimate_px"] for run in some], error, **shown)
    for share, aim in AIMS_PX.items():
        left.hlines(aim, 80 * share, 125 * share, colors="k", label="aim" if share == min(AIMS_PX) else None)
    unregistered = runs[0]["unregistered_px"]
    left.axhline(unregistered, color="0.5", linestyle=":", label=f"not registered, {unregistered:.0f} px")
    left.set(xscale="log", yscale="log", xlabel="pixels measured, %", ylabel="misregistration left, rms, EBSD px")
    left.set_xticks([100 * share for share in SHARES], [f"{100 * share:g}" for share in SHARES])
    left.minorticks_off()
    left.set_yticks([0.05, 0.1, 0.2, 0.5, 1, 2, 3], ["0.05", "0.1", "0.2", "0.5", "1", "2", "3"])
    limits = (0.03, 1.5)
    right.plot(limits, limits, color="0.5", linestyle=":", label="true = estimated")
    right.set(xscale="log", yscale="log", xlim=limits, ylim=limits)
    right.set(xlabel="its own estimate, EBSD px", ylabel="true misregistration, EBSD px")
    for axes in (left, right):
        axes.legend(fontsize=7)
        axes.grid(alpha=0.3)
    left.set_title("Each mark: one section, one seed", fontsize=9)
    right.set_title("Does it know what it leaves?", fontsize=9)
    return figure


if __name__ == "__main__":
    print(json.dumps(main(), indent=2))
