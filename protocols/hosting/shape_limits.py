"""Which shapes of a scan an instrument accepts: the pieces of a request against the declared `ShapeLimits`.

Every refusal is one `OutOfLimits` sentence that names the instrument and the shape. Points and grid are checked in
`protocols.hosting.limits`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from grainloop.protocols.capabilities import Capabilities, ShapeLimits
from grainloop.protocols.errors import OutOfLimits
from grainloop.protocols.messages import ScanRequest
from grainloop.protocols.shapes import Piece, ScanShape, decode_pieces, parts

_FIELD = "pieces"


def check_pieces(request: ScanRequest, capabilities: Capabilities, rest: bool = False) -> None:
    """Refuse shapes that the instrument does not accept, and pieces that do not fit the list of points.

    Args:
        request: any scan.
        capabilities: of the instrument.
        rest: it may be what is left of a batch that was interrupted, whose shapes miss what was measured.

    Raises:
        OutOfLimits: an unknown or unaccepted shape, one that is too small, too coarse or oblique, or other pixels than
            the shape has.
    """
    name, count = capabilities.name, len(request.point_id)
    pieces = _decoded(request, name)
    counts = [piece.points for piece in pieces]
    if min(counts, default=0) < 1 or sum(counts) != count:
        message = f"{name}: the shapes of batch {request.batch} hold {counts[:5]} points, the batch {count} in all."
        raise OutOfLimits(message, field=_FIELD, value=sum(counts))
    for number, (piece, where) in enumerate(parts(pieces)):
        grid_px, pixels = capabilities.grid.shape_px, request.position_px[where]
        for fault in piece_faults(piece, pixels, capabilities.shapes, grid_px, rest=rest):
            message = f"{name}: shape {number} of batch {request.batch} cannot be scanned: {fault}."
            raise OutOfLimits(message, field=_FIELD, value=piece.shape)


def _decoded(request: ScanRequest, name: str) -> list[Piece]:
    try:
        return decode_pieces(request.pieces, len(request.point_id))
    except ValueError as error:
        raise OutOfLimits(f"{name}: {error}.", field=_FIELD) from error


def piece_faults(
    piece: Piece, position_px: NDArray[np.int32], limits: ShapeLimits, grid_px: tuple[int, int], *, rest: bool = False
) -> Iterator[str]:
    """What is wrong with a piece, as parts of a sentence; the first one is told.

    Args:
        piece: a shape.
        position_px: (n, 2) the pixels that it lists.
        limits: what the instrument accepts.
        grid_px: rows and columns of the grid.
        rest: as of `check_pieces`.
    """
    if piece.shape not in limits.accepted:
        yield f"it is one of {piece.shape.value}, and only {_words(limits)} are accepted"
    if piece.shape is ScanShape.POINTS:
        return
    yield from _geometry_faults(piece)
    if not piece.fits(grid_px):
        yield "it reaches beyond the grid"
    yield from _size_faults(piece, limits)
    if not limits.any_corner and _entered_elsewhere(piece):
        yield "it must be entered at its top left, along the rows"
    size = piece.lines * piece.points_per_line
    if size > len(position_px) and not (limits.skips or rest):
        yield f"it lists {len(position_px)} of its {size} points, and none can be skipped"
    if not _in_order(piece.raster(limits.serpentine), position_px):
        yield "it lists pixels that are not on its raster, or in another order"


def _words(limits: ShapeLimits) -> str:
    return " and ".join(shape.value for shape in limits.accepted)


def _geometry_faults(piece: Piece) -> Iterator[str]:
    line, point = piece.line_step_px, piece.point_step_px
    if min(piece.lines, piece.points_per_line) < 1 or point == (0, 0) or (piece.lines > 1) != (line != (0, 0)):
        yield "its steps do not fit its numbers of lines and points"
    if line[0] * point[0] + line[1] * point[1] or (piece.shape is ScanShape.RECTANGLES and 0 not in point):
        yield "its lines are oblique"
    if piece.shape is ScanShape.LINES and piece.lines != 1:
        yield f"it is a line scan of {piece.lines} lines"


def _size_faults(piece: Piece, limits: ShapeLimits) -> Iterator[str]:
    if piece.shape is ScanShape.LINES and piece.points_per_line < limits.shortest_line_points:
        yield f"it has {piece.points_per_line} points, the shortest line {limits.shortest_line_points}"
    least = limits.smallest_rectangle_points
    if piece.shape is ScanShape.RECTANGLES and (piece.lines < least[0] or piece.points_per_line < least[1]):
        yield f"it has {piece.lines} × {piece.points_per_line} points, the smallest rectangle {least[0]} × {least[1]}"
    step = max(abs(n) for n in (*piece.line_step_px, *piece.point_step_px))
    if step > limits.largest_step_px:
        yield f"its step is {step} px, the largest {limits.largest_step_px} px"


def _entered_elsewhere(piece: Piece) -> bool:
    forward = piece.line_step_px >= (0, 0) and piece.point_step_px >= (0, 0)
    return not forward or (piece.shape is ScanShape.RECTANGLES and piece.point_step_px[0] != 0)


def _in_order(raster: NDArray[np.int32], listed: NDArray[np.int32]) -> bool:
    """Whether `listed` (n, 2) is `raster` (m, 2) with some pixels left out."""
    width = int(max(raster[:, 1].max(), listed[:, 1].max())) + 1
    number, wanted = (pixels[:, 0].astype(np.int64) * width + pixels[:, 1] for pixels in (raster, listed))
    order = np.argsort(number)
    place = np.searchsorted(number, wanted, sorter=order)
    at = order[np.minimum(place, len(order) - 1)]
    return bool((number[at] == wanted).all() and (np.diff(at) > 0).all())
