"""What asking could gain at best: a policy that knows which pixels are wrong, played like every other one.

It counts what is wrong where `spread` counts what is doubtful, with the same windows, and plays by the same rules:
first pass, batches, decisions that do not know the newest batch. No policy that must infer the errors can be expected
to do better; how much of the way from the grid to it a policy goes says how good its doubt is. It is for the report
alone, which needs the truth.

    python -m benchmarks.acquisition.oracle [--seeds N]
"""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.acquisition.policies import (
    BUDGETS,
    LAUE_GROUP,
    ORACLE,
    REAL,
    SEEDS,
    Case,
    measure,
    playing_as,
    run,
    specimen_of,
)
from grainloop.model.acquire.batch import even, make_batch
from grainloop.model.acquire.scene import Scene
from grainloop.model.acquire.spread import Spread
from grainloop.model.crystal import disorientation_deg
from grainloop.model.crystal.score import WRONG_DEG
from grainloop.model.maps import OrientationMap
from grainloop.protocols.messages import Proposals

EARLIER = (0.02,)
"""Budgets beside those that targets are set for."""


@dataclass(frozen=True)
class Oracle:
    """Greedy batch of the points around which most pixels are wrong.

    Attributes:
        truth: the map that is played on; of one phase.
    """

    truth: OrientationMap
    name: str = ORACLE

    def __call__(self, scene: Scene, count: int, rng: np.random.Generator) -> Proposals:
        """See `Policy`."""
        value = (self.wrong(scene) & ~scene.measured).astype(np.float32)
        return make_batch(self.name, scene, count, rng, value, even(Spread().window(scene), value.shape))

    def wrong(self, scene: Scene) -> NDArray[np.bool_]:
        """(h, w) pixels of the latest map that are off by more than 5°."""
        shown, known = scene.posterior.orientation.reshape(-1, 4), self.truth.orientation.reshape(-1, 4)
        error = disorientation_deg(shown, known, LAUE_GROUP).reshape(self.truth.shape_px)
        return (error > WRONG_DEG) & (self.truth.phase_id > 0)


def play_oracle(case: Case) -> dict[str, Any]:
    """The row of a run by it."""
    with playing_as(Oracle(specimen_of(case))):
        return run(case)


def cases(seeds: int) -> Iterator[Case]:
    """What is played."""
    for seed, name, budget in product(range(seeds), REAL, (*EARLIER, *BUDGETS)):
        yield Case(name, seed, ORACLE, budget)


def main(seeds: int = SEEDS) -> None:
    """Measure what is missing."""
    for case in cases(seeds):
        measure(case, play_oracle)


if __name__ == "__main__":
    parser = ArgumentParser(prog="python -m benchmarks.acquisition.oracle", description=__doc__)
    parser.add_argument("--seeds", type=int, default=SEEDS, help="how many; what was measured already is kept")
    main(parser.parse_args().seeds)
