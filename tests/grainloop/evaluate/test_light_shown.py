"""Whether a crystal shows PL contrast is known in one place: who plans, images, reads and plays agree, by any name."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from grainloop.controller.plans import Terms
from grainloop.evaluate.acquisition.playing import batches_of, set_up
from grainloop.evaluate.sections.scenes import EXACT_POINTS
from grainloop.instrument_sim.section import Section
from grainloop.model.crystal import POINT_GROUP_NAMES, laue_group
from grainloop.model.maps import OrientationMap
from grainloop.model.service.sections import NO_CONTRAST, NOT_READ
from grainloop.protocols.plan import Budget, RunPlan
from tests.grainloop.small_maps import TITANIUM, chessboard

PLAN = RunPlan(budget=Budget(fraction=0.5), first_pass_most=0.5)


def of_group(name: str) -> OrientationMap:
    return replace(chessboard(3, 3, 8), phases=(replace(TITANIUM, laue_group=name),))


@pytest.mark.parametrize("name", POINT_GROUP_NAMES)
def test_everybody_agrees_on_what_shows_light(name: str) -> None:
    group = laue_group(name)
    stage = set_up(of_group(name))
    terms = Terms(PLAN, stage.instrument.capabilities)
    assert terms.takes_light == group.shows_light

    # The optics of the simulator knows isotropic and uniaxial crystals.
    stack = Section.mount(of_group(name)).ideal_light((0.0, 45.0, 90.0), 1.0)
    assert (np.ptp(stack, axis=(1, 2)).max() > 1e-6) == (group.optic_axes == 1)

    # The model reads PL of fewer groups than show it, and tells the two apart.
    assert (stage.section.features is not None) == (group.uniaxial_fold > 0)
    assert (NO_CONTRAST in stage.section.notes) == (not group.shows_light)
    assert (NOT_READ in stage.section.notes) == (group.shows_light and not group.uniaxial_fold)

    # Where there is no PL to choose by, everything is the first pass.
    blind = set_up(of_group(name), EXACT_POINTS.model_copy(update={"light_kind": None}))
    assert (batches_of(PLAN, stage, 10) == batches_of(PLAN, blind, 10)) == (not group.shows_light)
