"""Error against registration error: registered PL turned about its centre by known angles that no method is told."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from benchmarks.tasks import registration
from benchmarks.tasks.registration import moved
from benchmarks.tasks.task import Level
from grainloop.evaluate.cases import WITHOUT
from grainloop.evaluate.sections.scenes import Setting
from grainloop.model.reconstruct import RegisteredLight

TEXT = """
As in [the page on shifts](registration.md), but registered PL is turned about the centre of the map by 0 to 2°, to
either side by the seed. On 200 × 200 px 1° is 1.4 px rms: nothing in the middle and 2.4 px in the corners, so that PL
is right in one part of the map and wrong in another. `{without}` is the floor.
""".replace("{without}", WITHOUT)
TURNS_DEG = (0.0, 0.5, 1.0, 2.0)


@dataclass(frozen=True)
class Turned:
    """PL turned about the centre of the map, clockwise or not as the seed says."""

    by_deg: float

    def __call__(self, light: RegisteredLight, seed: int) -> RegisteredLight:
        """The same PL turned."""
        angle = np.radians(self.by_deg) * (1 if seed % 2 else -1)
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        shape = light.features.shape[1:]
        centre = (np.array(shape).reshape(2, 1, 1) - 1) / 2
        return moved(light, np.einsum("ij,jhw->ihw", turn, np.indices(shape) - centre) + centre)


TASK = replace(
    registration.TASK,
    name="registration_turned",
    title="Error against registration error: rotation",
    text=TEXT,
    levels=tuple(Level(f"{turn:g}°", turn, Setting(share=0.0625), Turned(turn)) for turn in TURNS_DEG),
    axis="rotation of registered PL, °",
)
