"""The real maps that ship, as validation problems: exact points on a grid, simulated PL registered by our own code.

They are validated on, never trained on; which weights are kept is decided without them.
"""

from __future__ import annotations

from functools import cache

from grainloop.evaluate.sections.scenes import Setting, make_scene
from grainloop.instrument_sim import specimens
from grainloop.model.diffusion.training.validation import Case
from grainloop.model.maps import OrientationMap
from grainloop.model.reconstruct import Problem, SparsePoints

SHARES = (0.0625, 0.021)


@cache
def real_cases(laue_group: str) -> tuple[Case, ...]:
    """Every map of that Laue group that ships, at every share."""
    named = ((name, specimens.load(name)) for name in specimens.ALL)
    fitting = [(name, found) for name, found in named if found.main_phase.laue_group == laue_group]
    return tuple(_case(name.replace("-", "_"), found, share) for name, found in fitting for share in SHARES)


def _case(name: str, truth: OrientationMap, share: float) -> Case:
    """With the points that were not indexed, which the model service leaves out of the problem of a phase."""
    scene = make_scene(truth, Setting(share=share))
    points, phase = scene.points, truth.main_phase
    sparse = SparsePoints(points.position_px, points.orientation, points.indexed)
    light = scene.given.problems[phase.phase_id].light if phase.laue_group == "6/mmm" else None
    problem = Problem(truth.shape_px, phase.laue_group, sparse, light)
    return Case(name, share, problem, truth.orientation, truth.indexed)
