"""What an instrument accepts: each request against the declared `Capabilities`, before a driver sees it.

Every refusal is one `OutOfLimits` sentence that names the instrument, the field and the first offending value.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grainloop.protocols.capabilities import Capabilities, LightCapabilities
from grainloop.protocols.errors import DeviceFailed, OutOfLimits
from grainloop.protocols.hosting.shape_limits import check_pieces
from grainloop.protocols.messages import LightRequest, ScanRequest
from grainloop.protocols.values import LightImages, LightKind, PointBlock, PointStatus

UNIT_TOLERANCE = 1e-3
"""How far the norm of a quaternion may be from 1, and a confidence above it."""
LATEST_S, LONGEST_DWELL_S, WORST_FIT_DEG = 1e11, 1e6, 360.0
"""What no instrument clock shows, though it counts from 1970, no exposure lasts, and no misfit is."""
_CLOCK = ", so its clock ran backwards"


def check_scan(request: ScanRequest, capabilities: Capabilities) -> None:
    """Refuse a scan that the instrument cannot do.

    Raises:
        OutOfLimits: section, dwell, number of points, repeated ids, a point outside the grid, or a shape that the
            instrument does not accept.
    """
    name = capabilities.name
    _check_section(request.section, capabilities)
    low, high = capabilities.dwell_range_s
    if not low <= request.dwell_s <= high:
        raise OutOfLimits(
            f"{name}: dwell_s {request.dwell_s:g} is outside {low:g} to {high:g} s.",
            field="dwell_s",
            value=request.dwell_s,
        )
    _check_count(request, capabilities)
    _check_ids(request, name)
    _check_positions(request, capabilities)
    check_pieces(request, capabilities)


def check_light(request: LightRequest, capabilities: Capabilities) -> LightCapabilities:
    """Refuse PL images that the instrument cannot take; returns what its PL camera declares.

    Raises:
        OutOfLimits: section, no PL camera, or angles that it cannot set.
    """
    name, light = capabilities.name, capabilities.light
    _check_section(request.section, capabilities)
    if light is None:
        raise OutOfLimits(f"{name} has no PL camera.", field="light")
    count, field = len(request.angles_deg), "angles_deg"
    if light.kind is LightKind.RGB and count:
        raise OutOfLimits(f"{name} takes RGB images at no angle; {count} angles were asked for.", field=field)
    if light.kind is LightKind.ROTATION_STACK and not 1 <= count <= light.max_images:
        raise OutOfLimits(
            f"{name} takes 1 to {light.max_images} PL images; {count} angles were asked for.", field=field, value=count
        )
    for angle in request.angles_deg:
        if not math.isfinite(angle):
            raise OutOfLimits(f"{name}: {angle} is no stage angle.", field=field, value=angle)
    return light


def check_images(images: LightImages, declared: LightCapabilities, name: str) -> None:
    """Refuse images of another frame than the camera declares, or with values that are no numbers.

    Raises:
        DeviceFailed: the driver broke its declaration.
    """
    frame = images.images.shape[1:]
    if frame != declared.shape_px:
        raise DeviceFailed(
            f"{name} declared PL images of {declared.shape_px} pixels and delivered {frame}.",
            field="light",
            value=frame,
        )
    if not np.isfinite(images.images).all():
        raise DeviceFailed(f"{name} delivered PL images that hold NaN or infinity.", field="light")


def linear_images(stack: NDArray[Any]) -> NDArray[Any]:
    """Images of any type of numbers as float32: whole numbers are shares of the full scale of their type.

    What is no number stays as it is, to be refused with its type.
    """
    match stack.dtype.kind:
        case "u" | "i":
            return (stack / np.float64(np.iinfo(stack.dtype).max)).astype(np.float32)
        case "f":
            with np.errstate(over="ignore"):  # infinite then, which is refused
                return stack.astype(np.float32)
        case _:
            return stack


def check_block(block: PointBlock, capabilities: Capabilities, since_s: float = -math.inf) -> None:
    """Refuse points that contradict themselves or the declaration of the instrument.

    Args:
        block: as the driver delivered it.
        capabilities: of the instrument.
        since_s: what its clock has shown already.

    Raises:
        DeviceFailed: an unknown status, an indexed point of no declared phase or without a unit quaternion, a number
            that is none, a confidence outside 0 to 1, a negative dwell, or a clock that ran backwards.
    """
    for field, fault in faults(block, capabilities, since_s).items():
        if fault.any():
            raise fault_of(block, field, int(np.flatnonzero(fault)[0]), capabilities.name)


def fault_of(block: PointBlock, field: str, index: int, name: str) -> DeviceFailed:
    """What is said of a point of a block whose field is at fault; `name` is that of the instrument."""
    value, point = getattr(block, field)[index], int(block.point_id[index])
    why = _CLOCK if field == "time_s" and abs(value) < LATEST_S else ""
    return DeviceFailed(f"{name} delivered point {point} with {field} {value}{why}.", field=field, value=value)


def first_fault(wrong: dict[str, NDArray[np.bool_]], bad: NDArray[np.bool_]) -> tuple[str, int]:
    """Field and row of the first point that is at fault: of those in `bad` (N,), of which there is one at least."""
    first = int(np.argmax(bad))
    return next(name for name, fault in wrong.items() if fault[first]), first


def malformed(block: PointBlock, capabilities: Capabilities, since_s: float = -math.inf) -> NDArray[np.bool_]:
    """(N,) the points that `check_block` refuses."""
    return np.any(list(faults(block, capabilities, since_s).values()), axis=0)


def faults(block: PointBlock, capabilities: Capabilities, since_s: float = -math.inf) -> dict[str, NDArray[np.bool_]]:
    """(N,) by the field that is at fault; arguments as of `check_block`."""
    phases = [phase.phase_id for phase in capabilities.phases]
    norm = np.linalg.norm(block.orientation.astype(np.float64), axis=1)
    return {
        "status": ~np.isin(block.status, list(PointStatus)),
        "phase_id": block.indexed & ~np.isin(block.phase_id, phases),
        "orientation": block.indexed & ~(np.abs(norm - 1) < UNIT_TOLERANCE),
        "confidence": ~((block.confidence >= 0) & (block.confidence <= 1 + UNIT_TOLERANCE)),
        "fit_deg": ~((block.fit_deg >= 0) & (block.fit_deg <= WORST_FIT_DEG)),
        "time_s": ~(np.abs(block.time_s) < LATEST_S) | (block.time_s < _clock_before(block.time_s, since_s)),
        "dwell_s": ~((block.dwell_s >= 0) & (block.dwell_s <= LONGEST_DWELL_S)),
    }


def _clock_before(time_s: NDArray[np.float64], since_s: float) -> NDArray[np.float64]:
    """(N,) the latest that the instrument clock has shown before each point."""
    shown = np.where(np.abs(time_s) < LATEST_S, time_s, -math.inf)
    return np.maximum.accumulate(np.concatenate([[since_s], shown[:-1]]))


def _check_section(section: int, capabilities: Capabilities) -> None:
    if section >= capabilities.sections:
        raise OutOfLimits(
            f"{capabilities.name} has sections 0 to {capabilities.sections - 1}; section {section} was asked for.",
            field="section",
            value=section,
        )


def _check_count(request: ScanRequest, capabilities: Capabilities) -> None:
    count, limit = len(request.point_id), capabilities.max_points_per_scan
    if len(request.position_px) != count:
        raise OutOfLimits(
            f"{capabilities.name}: {count} point ids for {len(request.position_px)} positions.", field="point_id"
        )
    if not 1 <= count <= limit:
        raise OutOfLimits(
            f"{capabilities.name} scans 1 to {limit} points at once; batch {request.batch} holds {count}.",
            field="point_id",
            value=count,
        )


def _check_ids(request: ScanRequest, name: str) -> None:
    ids, counts = np.unique(request.point_id, return_counts=True)
    if counts.max() > 1:
        twice = int(ids[counts > 1][0])
        raise OutOfLimits(f"{name}: batch {request.batch} holds point {twice} twice.", field="point_id", value=twice)


def _check_positions(request: ScanRequest, capabilities: Capabilities) -> None:
    rows, columns = shape = capabilities.grid.shape_px
    outside = np.flatnonzero(((request.position_px < 0) | (request.position_px >= shape)).any(axis=1))
    if len(outside):
        row, column = (int(n) for n in request.position_px[outside[0]])
        raise OutOfLimits(
            f"{capabilities.name}: point {int(request.point_id[outside[0]])} at row {row}, column {column} is outside "
            f"the grid of {rows} × {columns} pixels.",
            field="position_px",
            value=(row, column),
        )
