"""Values that several messages share: grid, phases, scan points, light images.

All are frozen. Lengths and times carry their unit in the name; positions are pixels of the declared grid.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import Annotated, Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from grainloop.protocols.arrays import ByteList, FloatList, IdList, ImageStack, PixelList, QuaternionList, TimeList

MOST_PIXELS: Final = 2**25
"""Of a scan grid: the maps of a larger one fit in no message."""
NO_FIT_DEG: Final = 180.0
"""Of points without an orientation."""
_STEPS_UM: Final = 1e-6, 1e9


class Value(BaseModel):
    """A frozen, closed value that compares by content, arrays included."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True, allow_inf_nan=False)

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return False
        mine, theirs = self.__dict__, other.__dict__
        return all(_same(mine[name], theirs[name]) for name in type(self).model_fields)

    __hash__ = None  # type: ignore[assignment]  # arrays cannot be hashed


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
    return type(a) is type(b) and bool(a == b)


class PointStatus(IntEnum):
    """What became of a scan point. Only `INDEXED` carries an orientation."""

    INDEXED = 1
    NOT_INDEXED = 2
    FAILED = 3
    SKIPPED = 4


class FramePreset(StrEnum):
    """Named relation of the Euler frame to the map frame; never guessed silently."""

    IDENTITY = "identity"
    EDAX_1 = "edax-1"
    EDAX_2 = "edax-2"
    EDAX_3 = "edax-3"
    EDAX_4 = "edax-4"
    OXFORD = "oxford"
    BRUKER = "bruker"


class HexagonalAxis(StrEnum):
    """Which crystal direction the x-axis of a hexagonal crystal frame follows (30° apart in φ2)."""

    A = "a"
    A_STAR = "a*"


class Phase(Value):
    """A crystal phase of the section; `phase_id` 0 is reserved for not indexed."""

    phase_id: Annotated[int, Field(ge=1, le=255)]
    name: str
    point_group: str
    lattice_angstrom: tuple[float, float, float] | None = None
    hexagonal_axis: HexagonalAxis = HexagonalAxis.A


class Grid(Value):
    """The scan grid: (rows, columns) in pixels and the step between pixels in µm."""

    shape_px: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]]
    step_um: Annotated[float, Field(gt=0)]

    @model_validator(mode="after")
    def _can_be_held(self) -> Grid:
        if self.size > MOST_PIXELS:
            rows, columns = self.shape_px
            raise ValueError(f"a grid of {rows}×{columns} is larger than {MOST_PIXELS} pixels")
        if not _STEPS_UM[0] <= self.step_um <= _STEPS_UM[1]:
            raise ValueError(f"step_um {self.step_um:g} is not between {_STEPS_UM[0]:g} and {_STEPS_UM[1]:g}")
        return self

    @property
    def size(self) -> int:
        """Number of pixels."""
        return self.shape_px[0] * self.shape_px[1]


class LightKind(StrEnum):
    """How a PL image stack was taken."""

    ROTATION_STACK = "rotation_stack"
    RGB = "rgb"


class LightImages(Value):
    """PL images of one section.

    Attributes:
        kind: `rotation_stack`: one image per stage angle; `rgb`: three colour channels of one image.
        angles_deg: stage angles of a rotation stack, empty for RGB.
        images: (K, h, w) float32, linear camera counts scaled so that full scale is 1. The PL frame may have
            another shape than the scan grid and is not registered to it.
        pixel_um: edge of a PL pixel.
    """

    kind: LightKind
    angles_deg: tuple[float, ...]
    images: ImageStack
    pixel_um: Annotated[float, Field(gt=0)]

    @model_validator(mode="after")
    def _one_image_per_angle(self) -> LightImages:
        expected = len(self.angles_deg) if self.kind is LightKind.ROTATION_STACK else 3
        if self.images.shape[0] != expected:
            raise ValueError(f"{self.kind.value} of {expected} images expected, got {self.images.shape[0]}")
        return self


class PointBlock(Value):
    """Measured scan points as columns of equal length N, in the order of measurement.

    Attributes:
        point_id: the ids under which the controller asked for the points.
        position_px: where the instrument says it measured.
        status: `PointStatus` values.
        phase_id: 0 where not indexed.
        orientation: unit quaternions, crystal → sample; (1, 0, 0, 0) where not indexed.
        confidence: 0 … 1 as the indexing reports it (CI, or a monotone image of MAD).
        fit_deg: angular misfit of the indexing.
        time_s: instrument clock at the end of the exposure.
        dwell_s: exposure that the point received.
    """

    point_id: IdList
    position_px: PixelList
    status: ByteList
    phase_id: ByteList
    orientation: QuaternionList
    confidence: FloatList
    fit_deg: FloatList
    time_s: TimeList
    dwell_s: FloatList

    @model_validator(mode="after")
    def _equal_lengths(self) -> PointBlock:
        lengths = {name: len(getattr(self, name)) for name in type(self).model_fields}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"columns of different length: {lengths}")
        return self

    def __len__(self) -> int:
        return len(self.point_id)

    @property
    def indexed(self) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """(N,) bool: the points that carry an orientation."""
        return self.status == PointStatus.INDEXED

    def with_failed(self, which: NDArray[np.bool_]) -> PointBlock:
        """The same points, some (N,) of them failed: without orientation, phase and confidence, of the worst fit."""
        columns = {name: np.array(getattr(self, name)) for name in PointBlock.model_fields}
        columns["status"][which], columns["phase_id"][which] = PointStatus.FAILED, 0
        columns["orientation"][which] = (1, 0, 0, 0)
        columns["confidence"][which], columns["fit_deg"][which] = 0, NO_FIT_DEG
        return PointBlock(**columns)

    @classmethod
    def one(
        cls,
        point_id: int,
        position_px: ArrayLike,
        *,
        time_s: float,
        dwell_s: float,
        orientation: ArrayLike = (1, 0, 0, 0),
        status: PointStatus = PointStatus.INDEXED,
        phase_id: int = 1,
        confidence: float = 1.0,
        fit_deg: float = 0.0,
    ) -> PointBlock:
        """A block of a single point, for drivers that measure point by point."""
        return cls(
            point_id=np.array([point_id], np.int64),
            position_px=np.array([position_px], np.int32),
            status=np.array([status], np.uint8),
            phase_id=np.array([phase_id], np.uint8),
            orientation=np.array([orientation], np.float32),
            confidence=np.array([confidence], np.float32),
            fit_deg=np.array([fit_deg], np.float32),
            time_s=np.array([time_s], np.float64),
            dwell_s=np.array([dwell_s], np.float32),
        )

    @classmethod
    def empty(cls) -> PointBlock:
        """A block without points."""
        return cls(
            point_id=np.empty(0, np.int64),
            position_px=np.empty((0, 2), np.int32),
            status=np.empty(0, np.uint8),
            phase_id=np.empty(0, np.uint8),
            orientation=np.empty((0, 4), np.float32),
            confidence=np.empty(0, np.float32),
            fit_deg=np.empty(0, np.float32),
            time_s=np.empty(0, np.float64),
            dwell_s=np.empty(0, np.float32),
        )

    @classmethod
    def concatenate(cls, blocks: list[PointBlock]) -> PointBlock:
        """All points of `blocks`, in order."""
        if not blocks:
            return cls.empty()
        columns = {name: np.concatenate([getattr(block, name) for block in blocks]) for name in cls.model_fields}
        return cls(**columns)

    def select(self, index: Any) -> PointBlock:
        """The points that a numpy index picks."""
        return PointBlock(**{name: getattr(self, name)[index] for name in type(self).model_fields})
