"""What `grainloop reconstruct` found, as one value for those who tell, write and draw it."""

from __future__ import annotations

from dataclasses import dataclass

from grainloop.evaluate.figures_of_merit import FiguresOfMerit
from grainloop.evaluate.sections.given import Solved
from grainloop.evaluate.sections.scenes import Scene


@dataclass(frozen=True, eq=False)
class Outcome:
    """Everything that is told, written and drawn.

    Attributes:
        scene: points, PL and the true map, and what the methods saw of it.
        solved: what the method made of it.
        merit: how good that is.
        baselines: method → how good its map is.
        notes: sentences on points and PL.
    """

    scene: Scene
    solved: Solved
    merit: FiguresOfMerit
    baselines: dict[str, FiguresOfMerit]
    notes: tuple[str, ...]
