"""Laguerre tessellations of a volume, cut by sections.

Cells are balls packed at random in a stretched space; a point belongs to the cell of least power distance
|A (p − c)|² − r². A section through such a volume shows small cuts of large grains, as a real one does. Orientations
belong to `texture`.

Frame: x along the columns, y along the rows (down), z into the specimen, all in pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grainloop.model.jit import cached

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]

_PROFILE_RATIO = 1.16
"""Cube root of the mean cell volume over the mean equivalent diameter of the cut profiles (measured on sections)."""

_PLANE_RATIO = 0.92
"""Square root of the mean area over the mean equivalent diameter, for cells packed in the plane."""

_CANDIDATES = 10
_BLOCK = 8


@dataclass(frozen=True)
class Cells:
    """The cells of a tessellation.

    Attributes:
        centre: (n, 3) x, y, z in px.
        radius: (n,) Laguerre radii in the stretched space.
        stretch: (3, 3) matrix A of unit determinant.
    """

    centre: Floats
    radius: Floats
    stretch: Floats

    def __len__(self) -> int:
        return len(self.radius)

    def at(self, points: Floats) -> Ints:
        """(h, w) index of the cell of each of the (h, w, 3) points."""
        stretch = self.stretch.T
        stretched = (points.reshape(-1, 3) @ stretch).reshape(points.shape)
        return _nearest_power(stretched, self.centre @ stretch, self.radius**2)


def stretch_matrix(axes: Floats, aspect: tuple[float, float, float]) -> Floats:
    """A whose cells are `aspect` times longer along the rows of the orthonormal `axes`; det A = 1."""
    lengths = np.asarray(aspect) / float(np.prod(aspect)) ** (1 / 3)
    return axes.T @ np.diag(1 / lengths) @ axes


def random_axes(rng: np.random.Generator) -> Floats:
    """Three orthonormal rows, uniformly distributed up to their signs."""
    return np.linalg.qr(rng.standard_normal((3, 3)))[0]


def pack_cells(
    rng: np.random.Generator,
    shape: tuple[int, int],
    depth_px: float,
    diameter_px: float,
    spread: float,
    stretch: Floats,
    regular: bool = True,
) -> Cells:
    """Cells whose profiles have about `diameter_px` as mean equivalent diameter in the sections 0 … `depth_px`.

    Args:
        rng: random generator.
        shape: rows, columns of the section.
        depth_px: how far the volume of interest reaches below the first section.
        diameter_px: mean equivalent diameter of the grain profiles.
        spread: standard deviation of ln(radius).
        stretch: see `stretch_matrix`.
        regular: keep the balls apart (grains of even size) or place them like Poisson points.
    """
    spacing = diameter_px * _PROFILE_RATIO
    margin = 1.3 * spacing * np.linalg.norm(np.linalg.inv(stretch), axis=1)
    span = np.array([shape[1], shape[0], depth_px]) + 2 * margin
    count = float(np.prod(span)) / spacing**3
    return _packed(rng, -margin, span, count, spacing, spread, stretch, regular)


def pack_plane(
    rng: np.random.Generator,
    shape: tuple[int, int],
    diameter_px: float,
    spread: float,
    stretch: Floats,
    regular: bool = True,
) -> Cells:
    """As `pack_cells` for one section at depth 0, its cells packed in the plane: no small cuts, more even sizes."""
    spacing = diameter_px * _PLANE_RATIO
    margin = 1.3 * spacing * np.linalg.norm(np.linalg.inv(stretch), axis=1)
    margin[2] = 0.0
    span = np.array([shape[1], shape[0], 0.0]) + 2 * margin
    return _packed(rng, -margin, span, float(span[0] * span[1]) / spacing**2, spacing, spread, stretch, regular)


def _packed(
    rng: np.random.Generator,
    low: Floats,
    span: Floats,
    count: float,
    spacing: float,
    spread: float,
    stretch: Floats,
    regular: bool,
) -> Cells:
    """About `count` balls of mean diameter `spacing` in the box from `low` to `low` + `span`."""
    n = max(4, round(count))
    radius = 0.5 * spacing * np.exp(spread * rng.standard_normal(n) - 1.5 * spread**2)
    if not regular:
        return Cells(low + span * rng.random((n, 3)), radius, stretch)
    radius = np.sort(radius)[::-1].copy()
    candidates = low + span * rng.random((n * _CANDIDATES, 3))
    chosen = _pack((candidates @ stretch.T).reshape(n, _CANDIDATES, 3), radius, 1.5 * spacing)
    return Cells(candidates[np.arange(n) * _CANDIDATES + chosen], radius, stretch)


@cached
def _pack(candidates: Any, radius: Any, edge: float) -> Any:  # pragma: no cover - compiled
    """Largest ball first: of each ball's candidate places take the first free one, else the one of least overlap."""
    n, tries = candidates.shape[0], candidates.shape[1]
    low = np.array([candidates[:, :, k].min() for k in range(3)])
    count = np.array([int((candidates[:, :, k].max() - low[k]) / edge) + 1 for k in range(3)])
    head = np.full((count[2], count[1], count[0]), -1, np.int32)
    following = np.full(n, -1, np.int32)
    chosen = np.zeros(n, np.int64)
    for i in range(n):
        best = -1e30
        for trial in range(tries):
            p = candidates[i, trial]
            clearance = _clearance(p, i, candidates, chosen, radius, head, following, low, edge)
            if clearance > best:
                best, chosen[i] = clearance, trial
            if clearance > -0.1 * radius[i]:
                break
        cube = ((candidates[i, chosen[i]] - low) / edge).astype(np.int64)
        following[i] = head[cube[2], cube[1], cube[0]]
        head[cube[2], cube[1], cube[0]] = i
    return chosen


@cached
def _clearance(
    p: Any, i: int, candidates: Any, chosen: Any, radius: Any, head: Any, following: Any, low: Any, edge: float
) -> float:  # pragma: no cover - compiled
    """Least gap between a ball of radius[i] at p and the balls in the 27 cubes around it."""
    least = 1e30
    cx, cy, cz = int((p[0] - low[0]) / edge), int((p[1] - low[1]) / edge), int((p[2] - low[2]) / edge)
    for z in range(max(0, cz - 1), min(head.shape[0], cz + 2)):
        for y in range(max(0, cy - 1), min(head.shape[1], cy + 2)):
            for x in range(max(0, cx - 1), min(head.shape[2], cx + 2)):
                j = head[z, y, x]
                while j >= 0:
                    c = candidates[j, chosen[j]]
                    d2 = (p[0] - c[0]) ** 2 + (p[1] - c[1]) ** 2 + (p[2] - c[2]) ** 2
                    least = min(least, np.sqrt(d2) - radius[i] - radius[j])
                    j = following[j]
    return least


@cached
def _nearest_power(points: Any, centre: Any, radius2: Any) -> Any:  # pragma: no cover - compiled
    """Exact least power distance on an (h, w) grid of points; each 8×8 block first drops cells that cannot win."""
    h, w, n = points.shape[0], points.shape[1], centre.shape[0]
    out = np.zeros((h, w), np.int32)
    alive = np.empty(n, np.int32)
    near = np.empty((n, 4))
    distance = np.empty(n)
    for top in range(0, h, _BLOCK):
        bottom = min(top + _BLOCK, h)
        for left in range(0, w, _BLOCK):
            right = min(left + _BLOCK, w)
            middle = points[(top + bottom) // 2, (left + right) // 2]
            mx, my, mz = middle[0], middle[1], middle[2]
            reach = 0.0
            for i in range(top, bottom):
                for j in range(left, right):
                    dx, dy, dz = points[i, j, 0] - mx, points[i, j, 1] - my, points[i, j, 2] - mz
                    reach = max(reach, dx * dx + dy * dy + dz * dz)
            reach = np.sqrt(reach)
            bound = 1e30
            for k in range(n):
                dx, dy, dz = centre[k, 0] - mx, centre[k, 1] - my, centre[k, 2] - mz
                distance[k] = np.sqrt(dx * dx + dy * dy + dz * dz)
                bound = min(bound, (distance[k] + reach) ** 2 - radius2[k])
            kept = 0
            for k in range(n):
                if max(0.0, distance[k] - reach) ** 2 - radius2[k] <= bound:
                    alive[kept] = k
                    near[kept, :3] = centre[k]
                    near[kept, 3] = radius2[k]
                    kept += 1
            for i in range(top, bottom):
                for j in range(left, right):
                    x, y, z = points[i, j, 0], points[i, j, 1], points[i, j, 2]
                    best = 1e30
                    for k in range(kept):
                        dx, dy, dz = near[k, 0] - x, near[k, 1] - y, near[k, 2] - z
                        power = dx * dx + dy * dy + dz * dz - near[k, 3]
                        if power < best:
                            best = power
                            out[i, j] = alive[k]
    return out
