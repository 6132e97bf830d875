"""All strategies by name, in the order in which they are shown."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from benchmarks.scaling_strategies.best_of import best, best_of_each_region, weighed
from benchmarks.scaling_strategies.ensemble import by_shift, by_symmetry, with_kept_candidates
from benchmarks.scaling_strategies.particles import particles
from benchmarks.scaling_strategies.refine import chains
from benchmarks.scaling_strategies.repeated import mean_gate, medoid, more_steps, vote
from benchmarks.scaling_strategies.setting import Strategy

STRATEGIES: Mapping[str, Strategy] = MappingProxyType(
    {
        "symmetry": by_symmetry,
        "symmetry, candidates kept": with_kept_candidates,
        "shift": by_shift,
        "samples, medoid": medoid,
        "samples, vote": vote,
        "samples, mean gate": mean_gate,
        "more steps": more_steps,
        "best of N": best,
        "best of each region": best_of_each_region,
        "weighed by verifier": weighed,
        "particles": particles,
        "chains": chains,
    }
)
"""Each spends one evaluation as the default does and gives back its map where no more are left."""
