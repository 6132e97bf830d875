"""All strategies by name, in the order in which they are shown."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from model.diffusion.scaling.best_of import best, best_of_each_region, weighed
from model.diffusion.scaling.ensemble import by_shift, by_symmetry, with_kept_candidates
from model.diffusion.scaling.particles import particles
from model.diffusion.scaling.refine import chains
from model.diffusion.scaling.repeated import mean_gate, medoid, more_steps, vote
from model.diffusion.scaling.setting import Strategy

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
