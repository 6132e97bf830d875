"""The sections that the service holds: what was declared, PL features fitted once, and the latest alignment.

A bounded store: when memory is needed, the section not used for longest is forgotten, and whoever names it is told to
open it again; what would not fit even alone is refused. What is done with a section is the business of
`reconstruction`.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from grainloop.model.crystal import LAUE_GROUP_NAMES, LaueGroup, UnknownPointGroup, laue_group
from grainloop.model.estimate.share import Checked
from grainloop.model.light import Alignment, LightFeatures, features_from_rgb, fit_stack
from grainloop.protocols.errors import BadInput, OutOfLimits, UnknownSection
from grainloop.protocols.messages import OpenSection
from grainloop.protocols.values import Grid, LightImages, LightKind, Phase

MEMORY_BYTES = 2 * 1024**3
BYTES_PER_PIXEL = 600
"""What a reconstruction of one pixel needs at its peak: ten candidates with weights, bonds and their copies."""
BYTES_PER_LIGHT_PIXEL = 64
"""Five features as fitted, standardised and sharpened, and their residual."""
BYTES_PER_SAMPLED_PIXEL = 16
"""A quaternion."""
NO_CONTRAST = "No phase of this section shows PL contrast, for all are cubic: EBSD alone is used."
_READ = ", ".join(name for name in LAUE_GROUP_NAMES if laue_group(name).uniaxial_fold)
NOT_READ = f"PL of this section is not used, for it is read of Laue groups {_READ} alone: EBSD alone is used."


def needed_bytes(grid: Grid, light_px: tuple[int, int] | None, samples: int = 0) -> int:
    """Memory for a section on this grid with PL of `light_px` (rows, columns), while so many samples are held."""
    light = 0 if light_px is None else BYTES_PER_LIGHT_PIXEL * light_px[0] * light_px[1]
    return light + (BYTES_PER_PIXEL + BYTES_PER_SAMPLED_PIXEL * samples) * grid.size


@dataclass(frozen=True, eq=False)
class Said:
    """The latest answer about a section, which the next points check.

    Attributes:
        method: that made it.
        measured: (h, w) bool, pixels measured by then, whatever came of the points.
        p_wrong: (h, w) doubt as it was calibrated, before any check.
        orientation: (h, w, 4) in the map frame.
        phase_id: (h, w); 0 where nothing was said.
    """

    method: str
    measured: NDArray[np.bool_]
    p_wrong: NDArray[np.float32]
    orientation: NDArray[np.float32]
    phase_id: NDArray[np.uint8]


@dataclass(eq=False)
class Section:
    """One section.

    Attributes:
        declared: the request that opened it, without the images.
        features: PL in the PL frame, or None.
        pixel_um: edge of a PL pixel.
        notes: what cannot be used and why, known before any point.
        alignment: the latest registration, from which the next one starts.
        searched_with: points of the latest registration that started from nothing.
        said: the latest answer.
        checked: how it and those before it stood up to points measured after them.
    """

    declared: OpenSection
    features: LightFeatures | None
    pixel_um: float
    notes: tuple[str, ...]
    alignment: Alignment | None = field(default=None)
    searched_with: int = 0
    said: Said | None = None
    checked: Checked = field(default_factory=Checked)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the scan grid."""
        return self.declared.grid.shape_px

    @property
    def nbytes(self) -> int:
        """Memory that holding and reconstructing the section takes, about."""
        return needed_bytes(self.declared.grid, None if self.features is None else self.features.shape_px)

    def phase(self, phase_id: int, who: str = "A point has", field: str = "phase_id") -> Phase:
        """The declared phase of a number.

        Raises:
            BadInput: the section declares no such phase; the sentence begins with `who`.
        """
        for phase in self.declared.phases:
            if phase.phase_id == phase_id:
                return phase
        raise BadInput(
            f"{who} phase {phase_id}, which section '{self.declared.section_key}' does not declare.",
            field=field,
            value=phase_id,
        )


def prepare(request: OpenSection) -> Section:
    """Check a declaration and fit the PL features.

    Raises:
        BadInput: a phase with an unknown point group.
    """
    groups = [_group_of(phase) for phase in request.phases]
    declared = request.model_copy(update={"light": None})
    if request.light is None:
        return Section(declared, None, 0.0, ("There is no PL of this section.",))
    if not any(group.uniaxial_fold for group in groups):
        note = NOT_READ if any(group.shows_light for group in groups) else NO_CONTRAST
        return Section(declared, None, 0.0, (note,))
    features, notes = fit_features(request.light)
    return Section(declared, features, request.light.pixel_um, notes)


def _group_of(phase: Phase) -> LaueGroup:
    try:
        return laue_group(phase.point_group)
    except UnknownPointGroup as error:
        raise BadInput(f"Phase '{phase.name}': {error}.", field="point_group", value=phase.point_group) from None


def fit_features(light: LightImages) -> tuple[LightFeatures | None, tuple[str, ...]]:
    """PL features of the images, or None and the reason."""
    try:
        if light.kind is LightKind.RGB:
            features = features_from_rgb(light.images)
        else:
            features = fit_stack(light.images, light.angles_deg)
    except BadInput as error:
        return None, (f"PL is not used: {error}",)
    if not np.isfinite(features.values).any():
        return None, ("PL is not used: its images hold no finite value.",)
    return features, features.notes


class Sections:
    """Sections by key, at most `memory_bytes` of them together; the latest is kept, as `require_room` let it in."""

    def __init__(self, memory_bytes: int = MEMORY_BYTES) -> None:
        self._memory_bytes = memory_bytes
        self._held: OrderedDict[str, Section] = OrderedDict()

    def __len__(self) -> int:
        return len(self._held)

    def require_room(self, declared: OpenSection, samples: int = 0) -> None:
        """Refuse a section, or posterior samples of it, that the whole memory could not hold.

        Raises:
            OutOfLimits: naming what is needed and what there is.
        """
        light_px = None if declared.light is None else declared.light.images.shape[1:]
        needed = needed_bytes(declared.grid, light_px, samples)
        if needed <= self._memory_bytes:
            return
        height, width = declared.grid.shape_px
        what = f"Section '{declared.section_key}' of {height}×{width} px"
        what += f" with {samples} posterior samples" if samples else ""
        sentence = f"{what} needs {_size(needed)} of memory; the model service has {_size(self._memory_bytes)}."
        field, value = ("n_samples", samples) if samples else ("grid.shape_px", (height, width))
        raise OutOfLimits(sentence, field=field, value=value)

    def put(self, section: Section) -> None:
        """Hold a section, in place of one of the same key, and forget the least recently used until all fit."""
        key = section.declared.section_key
        self._held.pop(key, None)
        self._held[key] = section
        while len(self._held) > 1 and sum(held.nbytes for held in self._held.values()) > self._memory_bytes:
            self._held.popitem(last=False)

    def get(self, key: str) -> Section:
        """The section of this key, which counts as used.

        Raises:
            UnknownSection: never opened, closed, or forgotten.
        """
        if key not in self._held:
            raise UnknownSection(f"The model service does not hold section '{key}'.", field="section_key", value=key)
        self._held.move_to_end(key)
        return self._held[key]

    def drop(self, key: str) -> None:
        """Forget a section; one that is not held is forgotten already."""
        self._held.pop(key, None)


def _size(count: int) -> str:
    return f"{count / 2**30:.3g} GiB"
