"""The truth about one mounted section: what the beam and the light meet at every pixel.

Wraps an orientation map with what the simulation needs again and again: the distance to the next boundary, and the
ideal light intensities by phase. Errors of measurement belong to `detector` and `camera`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from grainloop.instrument_sim import optics
from grainloop.instrument_sim.optics import Dielectric, Optics
from grainloop.model.crystal import laue_group, neighbour_disorientation_deg
from grainloop.model.crystal.frames import to_map_frame
from grainloop.model.maps import MapPhase, OrientationMap

BOUNDARY_DEG = 5.0
_METALS = {"mg": optics.MAGNESIUM, "magnesium": optics.MAGNESIUM, "zr": optics.ZIRCONIUM, "zirconium": optics.ZIRCONIUM}


def dielectric_of(phase: MapPhase, permittivity: tuple[complex, complex] | None = None) -> Dielectric:
    """The constants given for uniaxial phases, else examples by name: titanium's for unknown metals; others isotropic.

    Biaxial crystals (orthorhombic and lower) are treated as isotropic: the optics knows uniaxial ones only.
    """
    if laue_group(phase.laue_group).optic_axes != 1:
        return optics.ISOTROPIC
    if permittivity is not None:
        return Dielectric("as configured", *permittivity)
    words = phase.name.lower().replace("-", " ").replace("_", " ").split()
    return next((_METALS[word] for word in words if word in _METALS), optics.ALPHA_TITANIUM)


@dataclass(frozen=True, eq=False)
class Section:
    """One section as it is.

    Attributes:
        truth: the specimen, in the Euler frame that it declares; EBSD reports in this frame.
        boundary_distance_px: (h, w) distance of the pixel centre to the next boundary; 0.5 beside one.
        grains: the truth in the map frame, in which light sees it, with not-indexed pixels filled from the nearest
            indexed one, because light reflects there too.
        permittivity: see `dielectric_of`.
    """

    truth: OrientationMap
    boundary_distance_px: NDArray[np.float64]
    grains: OrientationMap
    permittivity: tuple[complex, complex] | None = None

    @classmethod
    def mount(cls, truth: OrientationMap, permittivity: tuple[complex, complex] | None = None) -> Section:
        """Prepare a map for simulation.

        Raises:
            ValueError: no point of it is indexed, or it declares an unknown frame.
        """
        if not truth.indexed.any():
            raise ValueError(f"{truth.source or 'the specimen'}: no point is indexed, there is nothing to simulate.")
        inside = ~beside_boundary(truth)
        distance = ndimage.distance_transform_edt(inside) if not inside.all() else np.full(inside.shape, np.inf)
        grains = filled(truth)
        in_map_frame = to_map_frame(grains.orientation, truth.frame).astype(np.float32)
        grains = replace(grains, orientation=in_map_frame)
        return cls(truth, np.asarray(distance, np.float64) + 0.5, grains, permittivity)

    def ideal_light(self, angles_deg: tuple[float, ...], analyser_offset_deg: float) -> NDArray[np.float32]:
        """(K, h, w) exact intensities for a rotation stack."""

        def render(setup: Optics, here: NDArray[np.bool_]) -> NDArray[np.float32]:
            return optics.render_light(self.grains.orientation, here, angles_deg, setup)

        return self._by_phase(render, analyser_offset_deg)

    def ideal_rgb(self, analyser_offset_deg: float) -> NDArray[np.float32]:
        """(3, h, w) exact intensities for one image through a tint plate."""

        def render(setup: Optics, here: NDArray[np.bool_]) -> NDArray[np.float32]:
            return optics.render_rgb(self.grains.orientation, here, setup)

        return self._by_phase(render, analyser_offset_deg)

    def _by_phase(self, render: Any, offset_deg: float) -> NDArray[np.float32]:
        present = [phase for phase in self.grains.phases if np.any(self.grains.phase_id == phase.phase_id)]
        here = [self.grains.phase_id == phase.phase_id for phase in present]
        setups = [Optics(dielectric_of(phase, self.permittivity), offset_deg) for phase in present]
        layers = [render(setup, where) for setup, where in zip(setups, here, strict=True)]
        return np.select(here, layers)


def beside_boundary(truth: OrientationMap) -> NDArray[np.bool_]:
    """(h, w) pixels with a boundary to one of four neighbours: more than 5° within a phase, or another phase."""
    right, down = (differ != 0 for differ in (np.diff(truth.phase_id, axis=axis) for axis in (1, 0)))
    for phase in truth.phases:
        here = truth.phase_id == phase.phase_id
        if not here.any():
            continue
        right_deg, down_deg = neighbour_disorientation_deg(truth.orientation, phase.laue_group)
        right |= here[:, 1:] & here[:, :-1] & (right_deg > BOUNDARY_DEG)
        down |= here[1:] & here[:-1] & (down_deg > BOUNDARY_DEG)
    beside = np.zeros(truth.shape_px, bool)
    beside[:, 1:] |= right
    beside[:, :-1] |= right
    beside[1:] |= down
    beside[:-1] |= down
    return beside


def filled(truth: OrientationMap) -> OrientationMap:
    """The map with every not-indexed pixel replaced by its nearest indexed one."""
    if truth.indexed.all():
        return truth
    nearest = ndimage.distance_transform_edt(~truth.indexed, return_distances=False, return_indices=True)
    at = tuple(np.asarray(nearest))
    return replace(truth, orientation=truth.orientation[at], phase_id=truth.phase_id[at])
