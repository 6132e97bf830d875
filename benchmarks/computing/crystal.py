"""Orientation kernels on a 512×512 map of random orientations, single thread, beside orix on the same map.

Times are the best of several runs after compilation, as processor time of the thread (what the code costs) and as wall
time (what a busy machine made of it). orix has no embedding; its neighbour disorientation stands in as the reference
there. The accuracy figures of the embedding and of the disorientation are measured in the same run.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from orix.quaternion import Orientation, symmetry

from grainloop.model.crystal import (
    conjugate,
    decode,
    degrees_per_chord,
    disorientation_deg,
    embed,
    laue_group,
    multiply,
    neighbour_disorientation_deg,
    quaternion_from_axis_angle,
    random_quaternions,
    reduce_to_fundamental_zone,
    segment_grains,
)

RESULTS = Path(__file__).parents[1] / "results" / "crystal.json"
SHAPE = (512, 512)
SEED = 1
RUNS = 15
ORIX = {"6/mmm": symmetry.D6h, "m-3m": symmetry.Oh}
AIMS_MS = {
    "6/mmm": {"neighbour_disorientation": 15, "embed": 60, "decode": 250},
    "m-3m": {"neighbour_disorientation": 30, "embed": 60, "decode": 250},
}


def main() -> dict[str, Any]:
    """Measure, write `results/crystal.json`, and return what it holds."""
    q = random_quaternions(SHAPE[0] * SHAPE[1], np.random.default_rng(SEED)).reshape(*SHAPE, 4)
    groups = {name: speed(q.astype(np.float32), name) | {"accuracy": accuracy(q, name)} for name in ORIX}
    result = {
        "map_px": SHAPE,
        "seed": SEED,
        "runs": RUNS,
        "groups": groups,
        "aims_met": all(aims_met(name, groups[name]) for name in groups),
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return result


def speed(q: np.ndarray, name: str) -> dict[str, Any]:
    e = embed(q, name)
    ours = {
        "neighbour_disorientation": lambda: neighbour_disorientation_deg(q, name),
        "segment_grains": lambda: segment_grains(q, name),
        "reduce_to_fundamental_zone": lambda: reduce_to_fundamental_zone(q, name),
        "embed": lambda: embed(q, name),
        "decode": lambda: decode(e, name),
    }
    theirs = {
        "neighbour_disorientation": lambda: orix_neighbours(q, name),
        "reduce_to_fundamental_zone": lambda: Orientation(conjugate(q), ORIX[name]).reduce(),
    }
    measured = {task: best_ms(function, RUNS) for task, function in ours.items()}
    reference = {task: best_ms(function, 2) for task, function in theirs.items()}
    for task, times in measured.items():
        named = task if task in reference else "neighbour_disorientation"
        times["reference"] = f"orix {named}"
        times["reference_over_ours"] = round(reference[named]["cpu_ms"] / times["cpu_ms"], 1)
        times["aim_ms"] = AIMS_MS[name].get(task)
    return {"ours": measured, "orix": reference}


def orix_neighbours(q: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray]:
    passive = Orientation(conjugate(q), ORIX[name])
    right = passive[:, :-1].angle_with(passive[:, 1:], degrees=True)
    return right, passive[:-1].angle_with(passive[1:], degrees=True)


def best_ms(function: Callable[[], object], runs: int) -> dict[str, Any]:
    function()
    cpu, wall = [], []
    for _ in range(runs):
        wall_start, cpu_start = time.perf_counter(), time.process_time()
        function()
        cpu.append(time.process_time() - cpu_start)
        wall.append(time.perf_counter() - wall_start)
    return {"cpu_ms": round(min(cpu) * 1e3, 2), "wall_ms": round(min(wall) * 1e3, 2)}


def accuracy(q: np.ndarray, name: str) -> dict[str, Any]:
    ours, theirs = neighbour_disorientation_deg(q, name), orix_neighbours(q, name)
    e = embed(q, name)
    flat = q.reshape(-1, 4)[:20_000]
    invariance = max(
        np.abs(embed(multiply(flat, s), name) - embed(flat, name)).max() for s in laue_group(name).operators
    )
    return {
        "disorientation_from_orix_deg": max(float(np.abs(a - b).max()) for a, b in zip(ours, theirs, strict=True)),
        "round_trip_deg": float(disorientation_deg(decode(e, name), q, name).max()),
        "round_trip_float32_deg": float(disorientation_deg(decode(e.astype(np.float32), name), q, name).max()),
        "symmetry_invariance": float(invariance),
        "chord_deg": {str(angle): chord_range(q, e, angle, name) for angle in (0.5, 5, 10, 20)},
    }


def chord_range(q: np.ndarray, e: np.ndarray, angle_deg: float, name: str) -> list[float]:
    """Smallest and largest chord, in degrees, of a turn by `angle_deg` about a random axis."""
    axes = np.random.default_rng(SEED).standard_normal((*SHAPE, 3))
    turned = multiply(q, quaternion_from_axis_angle(axes, np.full(SHAPE, np.radians(angle_deg))))
    chord = np.linalg.norm(embed(turned, name) - e, axis=-1) * degrees_per_chord(name)
    return [round(float(chord.min()), 6), round(float(chord.max()), 6)]


def aims_met(name: str, group: dict[str, Any]) -> bool:
    fast = all(group["ours"][task]["cpu_ms"] <= aim for task, aim in AIMS_MS[name].items())
    limits = {"disorientation_from_orix_deg": 1e-4, "round_trip_deg": 1e-4, "symmetry_invariance": 1e-12}
    return fast and all(group["accuracy"][figure] <= limit for figure, limit in limits.items())


if __name__ == "__main__":
    print(json.dumps(main(), indent=2))
