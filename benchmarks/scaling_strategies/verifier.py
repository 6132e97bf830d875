"""The verifier: how well a map explains points that were withheld, and the PL seen.

Log-likelihoods per pixel. PL misfits are tempered and capped as the classical gate does it; points are right within
their noise or, rarely, anything at all. Which map follows from them is the business of the strategies.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.scaling_strategies.setting import Setting, prepare
from grainloop.model.crystal import disorientation_deg
from grainloop.model.light import predict_light
from grainloop.model.reconstruct.gate import MISFIT_CAP
from grainloop.model.reconstruct.methods import usable_light
from grainloop.model.reconstruct.problem import RegisteredLight, SparsePoints

WITHHELD = 0.15
"""Share of the indexed points that is withheld."""
POINT_DEG, ASTRAY = 2.0, 0.05
"""Noise of a point, gradients included, and the share of points that are wrong whatever the map."""


@dataclass(frozen=True, eq=False)
class Verifier:
    """What a map is held against.

    Attributes:
        light: registered PL, if it is used.
        trust: how much its misfit counts.
        points: withheld, all indexed; there may be none.
        laue_group: of the phase.
    """

    light: RegisteredLight | None
    trust: float
    points: SparsePoints
    laue_group: str

    def __call__(self, orientation: NDArray[np.float32]) -> NDArray[np.float64]:
        """(h, w) log-likelihood of a map (h, w, 4), up to a constant."""
        score = np.zeros(orientation.shape[:2])
        if self.light is not None:
            score -= self._misfit(self.light, orientation)
        at = tuple(self.points.position_px.T)
        score[at] += self._of_points(orientation[at])
        return score

    def _misfit(self, light: RegisteredLight, orientation: NDArray[np.float32]) -> NDArray[np.float64]:
        off = (light.features - np.moveaxis(predict_light(orientation), -1, 0)) / light.sigma
        square = np.where(np.isfinite(off), off, 0) ** 2
        return np.minimum(self.trust / 2 * square.sum(axis=0), MISFIT_CAP)

    def _of_points(self, orientation: NDArray[np.float32]) -> NDArray[np.float64]:
        angle = disorientation_deg(orientation, self.points.orientation, self.laue_group)
        return np.log((1 - ASTRAY) * np.exp(-0.5 * (np.asarray(angle, np.float64) / POINT_DEG) ** 2) + ASTRAY)


def verifier(setting: Setting, points: SparsePoints | None = None) -> Verifier:
    """The verifier by PL and, if given, by withheld points."""
    light, trust, _ = usable_light(setting.problem, setting.evidence.seeds)
    nothing = setting.problem.points.select(np.zeros(0, np.intp))
    return Verifier(light, trust, nothing if points is None else points, setting.problem.laue_group)


def withhold(setting: Setting, seed: int) -> tuple[Setting, Verifier]:
    """The same problem without some of its points, and the verifier by them; remembered by seed."""
    return setting.once(("withheld", seed), lambda: _withhold(setting, seed))


def _withhold(setting: Setting, seed: int) -> tuple[Setting, Verifier]:
    points, kept = setting.problem.points, setting.evidence.seeds.index
    count = min(round(WITHHELD * len(kept)), len(kept) - 1)
    hidden = np.random.default_rng((seed, 0x686964)).permutation(kept)[:count]
    left = np.ones(len(points), np.bool_)
    left[hidden] = False
    reduced = prepare(setting.trained, replace(setting.problem, points=points.select(left)))
    return reduced, verifier(setting, points.select(hidden))
