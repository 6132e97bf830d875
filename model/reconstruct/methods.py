"""Two classical methods that read their map off the gate: nearest neighbour, and weighed candidates.

Both give what the gate says of uncertainty; the PL-guided watershed is in `watershed`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from grainloop.model.crystal import laue_group
from grainloop.model.reconstruct.gate import light_trust, open_gate
from grainloop.model.reconstruct.placing import where_placed
from grainloop.model.reconstruct.prior import usable_prior
from grainloop.model.reconstruct.problem import (
    IsCancelled,
    Options,
    Posterior,
    Problem,
    RegisteredLight,
    Report,
    check,
    checkpoint,
    nothing_known,
)
from grainloop.model.reconstruct.readout import read_out
from grainloop.model.reconstruct.seeds import Seeds, find_seeds
from grainloop.model.reconstruct.within import find_partners

WITHOUT = "EBSD alone is used."


@dataclass(frozen=True)
class NearestNeighbour:
    """Each pixel takes the orientation of the nearest measured point; its uncertainty does not look at PL either."""

    name: str = "nn"

    def __call__(self, problem: Problem, options: Options, report: Report, cancelled: IsCancelled) -> Posterior:
        """See `Reconstructor`."""
        del options
        check(problem)
        checkpoint(report, cancelled, 0.0, "seeds")
        seeds, notes = find_seeds(problem)
        if not len(seeds):
            return nothing_known(problem.shape)
        checkpoint(report, cancelled, 0.2, "candidates")
        gate = open_gate(problem.shape, seeds, None)
        checkpoint(report, cancelled, 0.7, "map")
        return read_out(problem, seeds, gate.seed, gate.weight, choice=gate.seed[..., 0], degraded=notes)


@dataclass(frozen=True)
class PLCandidates:
    """Each pixel takes the likeliest of the grains measured nearby, by distance, PL, prior section and neighbours.

    Without usable PL and prior it is a smoothed nearest neighbour, and says so.
    """

    name: str = "pl_candidates"

    def __call__(self, problem: Problem, options: Options, report: Report, cancelled: IsCancelled) -> Posterior:
        """See `Reconstructor`."""
        del options
        check(problem)
        checkpoint(report, cancelled, 0.0, "seeds")
        seeds, notes = find_seeds(problem)
        prior, unborne = usable_prior(problem, seeds)
        if not len(seeds):
            nothing = nothing_known(problem.shape)
            return replace(nothing, degraded=(*nothing.degraded, *unborne))
        light, trust, reason = usable_light(problem, seeds)
        checkpoint(report, cancelled, 0.2, "candidates")
        gate = open_gate(problem.shape, seeds, light, trust, prior)
        checkpoint(report, cancelled, 0.7, "map")
        return read_out(
            problem,
            seeds,
            gate.seed,
            gate.weight,
            partners=find_partners(seeds, problem.laue_group),
            light_used=light is not None,
            prior_used=prior is not None,
            degraded=(*notes, *reason, *unborne),
        )


def usable_light(problem: Problem, seeds: Seeds) -> tuple[RegisteredLight | None, float, tuple[str, ...]]:
    """The PL of a problem as far as it is usable, how much weight it deserves, and what of it is left out and why."""
    group = laue_group(problem.laue_group)
    if group.uniaxial_fold == 0:
        told = "is not read" if group.shows_light else "has no contrast"
        return None, 0.0, (f"PL of crystals of Laue group {group.name} {told}. {WITHOUT}",)
    if problem.light is None:
        return None, 0.0, (f"{problem.light_missing} {WITHOUT}",)
    if not np.isfinite(problem.light.sigma).any():
        return None, 0.0, (f"PL is trusted nowhere on this section. {WITHOUT}",)
    light, notes = where_placed(problem.light, seeds)
    if light is None:
        return None, 0.0, (f"{' '.join(notes)} {WITHOUT}",)
    trust = light_trust(problem.shape, seeds, light)
    if trust == 0:
        return None, 0.0, (f"PL does not tell the measured grains apart. {WITHOUT}",)
    return light, trust, notes
