"""Which shapes to scan next: points, lines or rectangles, whatever puts most wrong pixels right per second.

Pure numerical work on a map of values (expected wrong pixels) and the declared costs of an instrument. Shapes are
chosen greedily by gain per second, each after what those before it explain was discounted, and then trimmed: moved,
grown and shrunk as long as that pays. In which order to scan them is the business of the controller.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from grainloop.model.acquire._shape_kernels import CLOSED, NEAR, OPEN, Catalogue, best_left, explain_all
from grainloop.model.acquire.scene import Scene
from grainloop.model.acquire.spread import Spread, expected_gain
from grainloop.model.acquire.templates import Template, make_template, pieces_to_try, place
from grainloop.model.acquire.trimming import trimmed
from grainloop.protocols.capabilities import ScanMeans
from grainloop.protocols.shapes import Piece, Pixel, ScanShape, exposure_ends_s

_KEPT_PLACES = 4_000
"""Most places of a line or rectangle that are looked at, the best ones."""
_PLACES_PER_EXTENT = 4
MOSTLY_CLOSED = 0.5
"""A raster of which more would be left out is none."""
_ROAMING = 0.7124
"""A short path through n random points of an area A has length 0.7124 · √(n · A) (Beardwood, Halton & Hammersley)."""


@dataclass(frozen=True, eq=False)
class Stake:
    """What is at stake at a map.

    Attributes:
        value: (h, w) float32 expected number of wrong pixels, 0 … 1 each; 0 where nothing is to be won.
        window_px: standard deviation of the window around a point that counts as explained by it.
        measured: (h, w) bool, exposed before.
        barred: (h, w) bool, never to be exposed: keep-out zones, queued points, dose spent.
    """

    value: NDArray[np.float32]
    window_px: float
    measured: NDArray[np.bool_]
    barred: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class ShapeProposal:
    """One shape worth scanning.

    Attributes:
        piece: the shape; its `points` are those listed.
        position_px: (n, 2) int32 pixels to expose, in order.
        gain: predicted number of pixels put right.
        seconds: declared cost, without the way to it.
        again: how many of the pixels were exposed before.
    """

    piece: Piece
    position_px: NDArray[np.int32]
    gain: float
    seconds: float
    again: int


def stake_of(scene: Scene) -> Stake:
    """The stake that the policy `spread` sees in a scene, with its exploration share laid evenly over the map."""
    value = np.where(scene.measured, 0, scene.doubt).astype(np.float32)
    even = np.where(scene.free, float(value.mean()), 0).astype(np.float32)
    share = np.float32(scene.exploration_share)
    mixed = ((1 - share) * value + share * even).astype(np.float32)
    window_px = Spread().window_px(scene)
    return Stake(mixed, window_px, scene.measured, scene.excluded)


def propose_shapes(
    stake: Stake, means: ScanMeans, budget_s: float, most_points: int = 1_000_000
) -> list[ShapeProposal]:
    """Shapes that pay most per second, best first, until the time is spent or nothing is left to win.

    No pixel is exposed by two of them. A raster may pass over pixels that were measured before: they are left out where
    the instrument skips, and else exposed again, at their cost and without gain. Free points keep off their neighbours
    while others are left.

    Args:
        stake: what is to be won where.
        means: what the instrument accepts, and what it costs.
        budget_s: seconds for all of them, the overhead of one request included.
        most_points: exposures for all of them.
    """
    choice = _Choice(stake, means, budget_s - means.timing.batch_overhead_s, most_points)
    choice.run(keep_off=True)
    if ScanShape.POINTS in means.shapes.accepted:
        choice.run(keep_off=False)
    return sorted(choice.found, key=lambda one: -one.gain / one.seconds)


@dataclass
class _Choice:
    """A choice in the making; `left` is the value that is not explained yet, padded by the reach of the window."""

    stake: Stake
    means: ScanMeans
    left_s: float
    left_points: int
    found: list[ShapeProposal] = field(default_factory=list[ShapeProposal])

    def __post_init__(self) -> None:
        stake = self.stake
        _, self.kernel = expected_gain(np.zeros((1, 1), np.float32), stake.window_px)
        self.reach = len(self.kernel) // 2
        self.left: NDArray[np.float32] = np.pad(stake.value, self.reach).astype(np.float32)
        self.taken: NDArray[np.bool_] = np.zeros(stake.barred.shape, np.bool_)
        self._closed: NDArray[np.bool_] = stake.barred.copy()
        self.shape: Pixel = (stake.value.shape[0], stake.value.shape[1])
        self.way_s = self._typical_way_s()
        self._made: dict[tuple[object, ...], Template] = {}

    def _typical_way_s(self) -> float:
        """What the way to a shape costs, were the time spent on free points."""
        timing, area = self.means.timing, float(self.stake.value.size)
        each_s = timing.settle_s + timing.point_overhead_s + self.means.dwell_s
        picks = float(np.clip(self.left_s / each_s, 1, area))
        return timing.travel_s_per_px * _ROAMING * float(np.sqrt(area / picks))

    def template(self, piece: Piece) -> Template:
        """The template of a piece, made once."""
        key = (piece.shape, piece.lines, piece.points_per_line, piece.line_step_px, piece.point_step_px)
        if key not in self._made:
            self._made[key] = make_template(piece, self.kernel, self.means)
        return self._made[key]

    def closed(self, pixels: NDArray[np.int32]) -> bool:
        """Whether a raster over these pixels (n, 2) is not wanted: too many are barred, or picked already."""
        closed = self._closed[pixels[:, 0], pixels[:, 1]]
        return float(closed.mean()) > (MOSTLY_CLOSED if self.means.shapes.skips else 0.0)

    def run(self, keep_off: bool) -> None:
        """Pick until nothing more can be picked; `keep_off`: no free point beside another pick."""
        state = self._state(keep_off)
        for piece in self._best(state):
            picked = self._take(piece if piece.shape is ScanShape.POINTS else trimmed(self, piece))
            for row, column in picked.tolist():
                if keep_off:
                    around = state[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
                    np.maximum(around, NEAR, out=around)
                state[row, column] = CLOSED

    def _state(self, keep_off: bool) -> NDArray[np.uint8]:
        """(h, w) which pixels may be exposed by what."""
        state = np.where(self.stake.measured, NEAR, OPEN).astype(np.uint8)
        if keep_off:
            state[np.asarray(ndimage.binary_dilation(self.taken, np.ones((3, 3))), np.bool_)] = NEAR
        state[self._closed] = CLOSED
        return state

    def _best(self, state: NDArray[np.uint8]) -> Iterator[Piece]:
        """The best piece left, again and again; `state` and what is left may change in between."""
        templates = [self.template(piece) for piece in pieces_to_try(self.means, self.shape, self.stake.window_px)]
        templates = [one for one in templates if one.seconds + self.way_s <= self.left_s]
        if not templates:
            return
        catalogue = catalogue_of(templates, self.way_s, self.means.shapes.skips)
        candidates, ratio = self._candidates(templates, catalogue)
        which, size = np.arange(len(ratio)), len(ratio)
        while True:
            spendable = (self.left_s, self.left_points)
            here, size = best_left(ratio, which, size, candidates, self.left, state, catalogue, *spendable)
            if here < 0:
                return
            t, row, column = (int(n) for n in candidates[here])
            yield place(templates[t], (row, column))

    def _candidates(
        self, templates: list[Template], catalogue: Catalogue
    ) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """(n, 3) template, row and column of promising places, and (n,) gain per second, falling."""
        every, ratios = [np.empty((0, 3), np.int32)], [np.empty(0)]
        gains = gain_maps(self.left, templates)
        for number, (template, gain) in enumerate(zip(templates, gains, strict=True)):
            corners, worth = _promising(template, gain)
            every.append(np.insert(corners, 0, number, axis=1).astype(np.int32))
            ratios.append(worth / catalogue.seconds[number])
        ratio = np.concatenate(ratios)
        order = np.argsort(-ratio, kind="stable")
        return np.concatenate(every)[order], ratio[order]

    def _take(self, piece: Piece) -> NDArray[np.int32]:
        """Add a piece to what was found, and discount what it explains; gives its pixels."""
        pixels = piece.raster(self.means.shapes.serpentine)
        if self.means.shapes.skips:
            closed = self._closed | self.stake.measured
            pixels = pixels[~closed[pixels[:, 0], pixels[:, 1]]]
        if not len(pixels):
            return pixels
        piece, gain = replace(piece, points=len(pixels)), self._explain(pixels)
        ends = exposure_ends_s(pixels, [piece], None, self.means.dwell_s, self.means.timing)
        seconds = float(ends[-1]) - self.means.timing.batch_overhead_s
        again = int(self.stake.measured[pixels[:, 0], pixels[:, 1]].sum())
        self.found.append(ShapeProposal(piece, pixels, gain, seconds, again))
        self.taken[pixels[:, 0], pixels[:, 1]] = True
        self._closed[pixels[:, 0], pixels[:, 1]] = True
        self.left_s -= seconds + self.way_s
        self.left_points -= len(pixels)
        return pixels

    def _explain(self, pixels: NDArray[np.int32]) -> float:
        """Discount what these pixels (n, 2) explain, and say how much that was."""
        (top, left), (bottom, right) = pixels.min(axis=0), pixels.max(axis=0) + 1 + 2 * self.reach
        around = self.left[top:bottom, left:right]
        before = float(around.sum(dtype=np.float64))
        explain_all(self.left, self.kernel, pixels + np.int32(self.reach))
        return before - float(around.sum(dtype=np.float64))


def catalogue_of(templates: Sequence[Template], way_s: float, skips: bool) -> Catalogue:
    """The templates as arrays for the compiled search, the way to each included in its cost."""
    single = np.array([one.piece.shape is ScanShape.POINTS for one in templates])
    return Catalogue(
        pixels=np.concatenate([one.pixels for one in templates]),
        first_pixel=np.cumsum([0, *(len(one.pixels) for one in templates)]),
        coverage=np.concatenate([one.coverage.ravel() for one in templates]),
        first_cover=np.cumsum([0, *(one.coverage.size for one in templates)]),
        cover_columns=np.array([one.coverage.shape[1] for one in templates]),
        seconds=np.array([one.seconds + way_s for one in templates]),
        single=single,
        closable=np.where(single | (not skips), 0.0, MOSTLY_CLOSED),
    )


def gain_maps(padded: NDArray[np.float32], templates: Iterable[Template]) -> Iterator[NDArray[np.float32]]:
    """(rows, columns) gain of each template at every place of the corner of its box where all of it is on the map."""
    quick: list[Any] = [fft.next_fast_len(n, real=True) for n in padded.shape]
    spectrum: NDArray[np.complex64] = np.asarray(fft.rfft2(padded, quick))
    for template in templates:
        cover = template.coverage
        other: NDArray[np.complex64] = np.asarray(fft.rfft2(cover, quick))
        sums: NDArray[np.float32] = np.asarray(fft.irfft2(spectrum * np.conj(other), quick))
        rows, columns = (n - m + 1 for n, m in zip(padded.shape, cover.shape, strict=True))
        yield np.maximum(sums[:rows, :columns], 0)


def _promising(template: Template, gain: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """(n, 2) corners where a template gains most, and (n,) its gains; larger shapes are tried at fewer places."""
    rows, columns = (max(1, edge // _PLACES_PER_EXTENT) for edge in template.box_px)
    thinned = gain[::rows, ::columns]
    kept = thinned.size if template.piece.shape is ScanShape.POINTS else min(thinned.size, _KEPT_PLACES)
    best = np.argpartition(-thinned.ravel(), kept - 1)[:kept]
    corners = np.stack(np.divmod(best, thinned.shape[1]), axis=1) * np.array([rows, columns])
    worth = thinned.ravel()[best].astype(np.float64)
    return corners[worth > 0], worth[worth > 0]
