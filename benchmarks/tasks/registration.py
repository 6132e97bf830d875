"""Error against registration error: registered PL moved by known amounts that no method is told."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks.tasks.results import Results
from benchmarks.tasks.task import AUROC, COVERAGE, MEAN_ERROR, METHODS_COMPARED, WRONG_PIXELS, Column, Level, Task
from grainloop.evaluate.cases import OURS, WITHOUT
from grainloop.evaluate.sections.scenes import Setting
from grainloop.model.reconstruct import RegisteredLight

TEXT = """
PL is taken with all default nuisances, registered and calibrated by the points of a 6.25 % grid as always (which leaves
0.1 to 0.3 px rms), and then moved by a known amount: a shift of 0 to 4 px in a random direction. No method is told: the
registration error that goes with the PL stays that of the registration. *Predicted* is the share of wrong pixels that
the map itself expects. `{without}` is the floor: a method that uses PL must not fall below it when PL is off. All
methods take a last look whether PL fits the measured points better two pixels away or more, and leave it out if it does
(`model/reconstruct/placing.py`); then they are what they are without PL, which the end of this page says.

In a run PL is registered anew in every round, and from further off than this: see misregistration on
[the page on robustness](robustness.md).
""".replace("{without}", WITHOUT)
SHIFTS_PX = (0.0, 0.5, 1.0, 2.0, 3.0, 4.0)
PREDICTED = Column("predicted_over_5deg", "predicted, %", 100, 1, better=0)
RIVALS = ("nn", "pl_watershed", "pl_candidates", WITHOUT)


@dataclass(frozen=True)
class Shifted:
    """PL moved by so many pixels in a direction that the seed draws."""

    by_px: float

    def __call__(self, light: RegisteredLight, seed: int) -> RegisteredLight:
        """The same PL elsewhere."""
        turn = np.random.default_rng([seed, 0x736869]).uniform(0, 2 * np.pi)
        step = self.by_px * np.array([np.sin(turn), np.cos(turn)])
        return moved(light, _places(light) - step[:, None, None])


def _places(light: RegisteredLight) -> NDArray[np.float64]:
    """(2, h, w) row and column of every pixel."""
    return np.indices(light.features.shape[1:]).astype(np.float64)


def moved(light: RegisteredLight, seen_at: NDArray[np.float64]) -> RegisteredLight:
    """PL that shows at each pixel what it showed at `seen_at` (2, h, w); from beyond the edge comes nothing.

    Features are interpolated linearly, which takes up to half of their noise away between pixels; noise levels are
    those of the nearest pixel.
    """
    if np.array_equal(seen_at, _places(light)):
        return light
    features = [ndimage.map_coordinates(each, seen_at, order=1, cval=np.nan) for each in light.features]
    sigma = [ndimage.map_coordinates(each, seen_at, order=0, cval=np.inf) for each in light.sigma]
    return RegisteredLight(np.stack(features).astype(np.float32), np.stack(sigma).astype(np.float32), light.residual_px)


def where_pl_harms(results: Results) -> str:
    """From which level on our error is more than 5 % above that without PL."""
    told = [f"{m.title}: {_harm(results, m.name)}" for m in results.task.materials]
    return f"Where PL harms (wrong pixels of `{OURS}` more than 5 % above those of `{WITHOUT}`): {'; '.join(told)}."


ALLOWED = 0.05
"""Share of the wrong pixels without PL by which more is no harm."""


def excess(results: Results, material: str, level: str) -> float:
    """Wrong pixels of our method over those without PL, less 1."""
    ours, floor = (results.row(material, level, case).mean(WRONG_PIXELS.figure) for case in (OURS, WITHOUT))
    return ours / floor - 1 if floor else 0.0


def _harm(results: Results, material: str) -> str:
    over = {level.name: excess(results, material, level.name) for level in results.task.levels}
    harmed = [f"{name} (+{100 * share:.0f} %)" for name, share in over.items() if share > ALLOWED]
    return "at " + ", ".join(harmed) if harmed else "nowhere"


TASK = Task(
    name="registration",
    title="Error against registration error: shift",
    text=TEXT,
    levels=tuple(Level(f"{shift:g} px", shift, Setting(share=0.0625), Shifted(shift)) for shift in SHIFTS_PX),
    axis="shift of registered PL, px",
    cases=METHODS_COMPARED,
    columns=(WRONG_PIXELS, PREDICTED, MEAN_ERROR, AUROC, COVERAGE),
    drawn=(WRONG_PIXELS, PREDICTED, AUROC),
    ours=OURS,
    rivals=RIVALS,
    remarks=where_pl_harms,
)
