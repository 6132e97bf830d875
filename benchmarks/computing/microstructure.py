"""Training examples per second and core: 64×64 specimens of the mixture, with embedding, EBSD scan and PL.

Timed by the CPU time of the process over all its threads: that of one core, little disturbed by other work. The
reference is what the simplest generator must do at least: assign 64×64 pixels to 200 seeds of a Voronoi tessellation by
brute force in numpy, without orientations, noise or light.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from grainloop.model.crystal import embed
from grainloop.model.microstructure import RECIPES, Recipe, make_specimen, measure, mixture, polynomial_light
from grainloop.model.microstructure.example import draw_example

RESULTS = Path(__file__).parents[1] / "results" / "microstructure.json"
SHAPE = (64, 64)
EXAMPLES = 60
ROUNDS = 7
AIM_PER_S = 100


def main() -> dict[str, Any]:
    warm_up()
    rounds = [one_round(seed) for seed in range(ROUNDS)]
    stages = {name: float(np.median([r[name] for r in rounds])) for name in rounds[0]}
    example_ms = sum(value for name, value in stages.items() if name != "voronoi_reference")
    per_s = 1000 / example_ms
    result = {
        "shape_px": SHAPE,
        "examples": EXAMPLES * ROUNDS,
        "median_cpu_ms": stages,
        "specimens_per_s_per_core": per_s,
        "specimens_per_s_per_core_aim": AIM_PER_S,
        "cost_in_reference_tessellations": example_ms / stages["voronoi_reference"],
        "make_specimen_ms": {name: recipe_ms(recipe) for name, recipe in RECIPES.items()},
        "aims_met": per_s >= AIM_PER_S,
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=2) + "\n")
    return result


def warm_up() -> None:
    """Compile everything: each recipe for one section and for two."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        example = draw_example(rng, SHAPE)
        embed(example.truth, "6/mmm")
    for recipe in RECIPES.values():
        make_specimen(rng, SHAPE, recipe)


def one_round(seed: int) -> dict[str, float]:
    """Mean CPU milliseconds of every stage over `EXAMPLES` examples."""
    rng = np.random.default_rng(seed)
    specimens, make = timed(lambda: [make_specimen(rng, SHAPE, mixture(rng)) for _ in range(EXAMPLES)])
    _, embedding = timed(lambda: [embed(s.orientation, "6/mmm") for s in specimens])
    _, scan = timed(lambda: [measure(rng, s) for s in specimens])
    _, light = timed(lambda: [polynomial_light(rng, s) for s in specimens])
    _, reference = timed(lambda: [voronoi(rng) for _ in range(EXAMPLES)])
    return {
        "make_specimen": make,
        "embed": embedding,
        "measure": scan,
        "polynomial_light": light,
        "voronoi_reference": reference,
    }


def timed(work: Callable[[], list[Any]]) -> tuple[list[Any], float]:
    started = time.process_time()
    made = work()
    return made, 1000 * (time.process_time() - started) / len(made)


def voronoi(rng: np.random.Generator) -> np.ndarray:
    rows, columns = np.indices(SHAPE, dtype=np.float32)
    seeds = rng.random((200, 2), dtype=np.float32) * 64
    away = (rows[..., None] - seeds[:, 0]) ** 2 + (columns[..., None] - seeds[:, 1]) ** 2
    return np.argmin(away, axis=-1)


def recipe_ms(recipe: Recipe) -> float:
    rng = np.random.default_rng(0)
    return timed(lambda: [make_specimen(rng, SHAPE, recipe) for _ in range(EXAMPLES)])[1]


if __name__ == "__main__":
    print(json.dumps(main(), indent=2))
