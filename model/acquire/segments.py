"""The policy `segments`: a few points in every region that PL shows, as in "Painting by numbers".

PL is cut into regions of similar colour, and every region is given `PER_SEGMENT` points, each far from its border and
from the points that it has; after that the regions with most doubt per point get more. Without PL the grains of the
map stand in for its regions.
Sources: Tong, Knowles, Dye & Britton, Materials Characterization 147 (2019) 271 (a few EBSD points per region of a
forescatter image); Felzenszwalb & Huttenlocher, Int. J. Computer Vision 59 (2004) 167 (the regions).
"""

from __future__ import annotations

import heapq
import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import KDTree

from grainloop.model.acquire.batch import reasons
from grainloop.model.acquire.filling import new_pixels
from grainloop.model.acquire.scene import Scene, proposals
from grainloop.protocols.messages import Proposals

PER_SEGMENT = 3
"""Points of a region before any is given more."""
LEAST_PX = 12
"""Smaller regions of PL are noise."""
SCALE, BLUR_PX = 200.0, 0.7
"""Of the regions: with these, 9 of 10 pixels of twinned magnesium lie in regions of one grain, 3 regions per grain."""
Labels = NDArray[np.intp]


@dataclass(frozen=True)
class Segments:
    """Points spread over the regions of PL, the poorest in points first."""

    name: str = "segments"

    def __call__(self, scene: Scene, count: int, rng: np.random.Generator) -> Proposals:
        """See `Policy`; the gain is the doubt of the region shared between its points. Nothing is drawn at random."""
        del rng
        label = segments_of(scene)
        wanted = allot(label, scene, count)
        position = place_in(label, scene, wanted)
        segment = label[tuple(position.T)]
        doubt = np.bincount(label.ravel(), scene.doubt.ravel(), minlength=len(wanted))
        points = np.bincount(label[scene.measured], minlength=len(wanted)) + wanted
        gain = (doubt / np.maximum(points, 1))[segment]
        return proposals(self.name, position, gain, reasons(scene.posterior, position))


def segments_of(scene: Scene) -> Labels:
    """(h, w) labels from 0 of the regions that PL shows, or of the grains of the map where there is no PL."""
    from skimage.segmentation import felzenszwalb

    if scene.light is None or not np.isfinite(scene.light).any():
        return np.asarray(np.unique(scene.posterior.grain, return_inverse=True)[1]).reshape(scene.measured.shape)
    middle, spread = (of(scene.light, axis=(1, 2), keepdims=True) for of in (np.nanmean, np.nanstd))
    seen = np.nan_to_num((scene.light - middle) / np.maximum(spread, 1e-6)).transpose(1, 2, 0).astype(np.float64)
    with warnings.catch_warnings():  # that five channels are no colours
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.asarray(felzenszwalb(seen, scale=SCALE, sigma=BLUR_PX, min_size=LEAST_PX), np.intp)


def allot(label: Labels, scene: Scene, count: int) -> NDArray[np.int64]:
    """(S,) how many of `count` points each region gets: the poorest first, then where most doubt is left per point."""
    size = int(label.max()) + 1
    room = np.bincount(label[new_pixels(scene)], minlength=size)
    has = np.bincount(label[scene.measured], minlength=size)
    doubt = np.bincount(label.ravel(), scene.doubt.ravel(), minlength=size)
    given = np.zeros(size, np.int64)

    def urgency(segment: int) -> tuple[int, float]:
        points = int(has[segment] + given[segment])
        return min(points, PER_SEGMENT), -float(doubt[segment]) / (points + 1)

    queue = [(*urgency(segment), segment) for segment in range(size) if room[segment]]
    heapq.heapify(queue)
    for _ in range(min(count, int(room.sum()))):
        segment = heapq.heappop(queue)[-1]
        given[segment] += 1
        if given[segment] < room[segment]:
            heapq.heappush(queue, (*urgency(segment), segment))
    return given


def place_in(label: Labels, scene: Scene, wanted: NDArray[np.int64]) -> NDArray[np.intp]:
    """(n, 2) new pixels, as many of each region as `wanted` (S,): each far from the border and the points it has.

    Pixels that touch others of them come only where a region holds no more.
    """
    edge = (label != np.roll(label, -1, axis=0)) | (label != np.roll(label, -1, axis=1))
    taken, free, left = scene.measured.copy(), new_pixels(scene), wanted.copy()
    found, apart = [np.empty((0, 2), np.intp)], free.copy()
    while left.any():
        open_px = np.argwhere(apart & (left[label] > 0))
        if not len(open_px):
            apart = free.copy()
            continue
        away = np.asarray(ndimage.distance_transform_edt(np.logical_not(taken | edge)), np.float64)
        picked = _not_touching(_farthest(open_px, label, away))
        taken[tuple(picked.T)], free[tuple(picked.T)] = True, False
        apart &= free & (chessboard_px(picked, label.shape) > 1)
        left[label[tuple(picked.T)]] -= 1
        found.append(picked)
    return np.concatenate(found)


def _farthest(open_px: NDArray[np.intp], label: Labels, away: NDArray[np.floating]) -> NDArray[np.intp]:
    """(s, 2) the pixel of each region that is farthest away."""
    where = tuple(open_px.T)
    order = np.lexsort((-away[where], label[where]))
    return open_px[order[np.unique(label[where][order], return_index=True)[1]]]


def _not_touching(pixels: NDArray[np.intp]) -> NDArray[np.intp]:
    """Those of (s, 2) pixels that touch none before them, the first one always among them."""
    touching = KDTree(pixels).query_pairs(1.5, output_type="ndarray")
    return np.delete(pixels, np.unique(touching.max(axis=1)) if len(touching) else [], axis=0)


def chessboard_px(pixels: NDArray[np.intp], shape: tuple[int, ...]) -> NDArray[np.int32]:
    """(h, w) steps of a chess king to the nearest of the pixels (n, 2), of which there is one at least."""
    elsewhere = np.ones(shape, np.bool_)
    elsewhere[tuple(pixels.T)] = False
    return np.asarray(ndimage.distance_transform_cdt(elsewhere, metric="chessboard"), np.int32)
