"""What an EBSD scan of every pixel of a specimen would report: noise, wrong solutions, mixed and missing patterns.

Training pretends that a few of these pixels were measured. Which ones, and in what order, is for the callers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grainloop.model.crystal import multiply, quaternion_from_axis_angle, random_quaternions
from grainloop.model.jit import cached
from grainloop.model.microstructure.recipe import Range, draw, draw_log
from grainloop.model.microstructure.specimen import Specimen

Bools = NDArray[np.bool_]

PSEUDO_SYMMETRY = {
    "6/mmm": quaternion_from_axis_angle([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]], np.radians([30.0, 56.2, 85.2])),
    "m-3m": quaternion_from_axis_angle([[1.0, 1, 1], [1, -1, 1], [1, 0, 0]], np.radians([60.0, 60.0, 45.0])),
}
"""Rotations (crystal frame) between orientations whose patterns share most of their bands."""


@dataclass(frozen=True)
class EbsdNuisances:
    """Ranges of what spoils a scan.

    Attributes:
        noise_deg: rms rotation of the indexed orientation (log-uniform).
        jitter_px: rms distance between the pixel and the spot whose pattern wins: boundary mixing.
        misindexed: share of solutions that are arbitrary.
        pseudo_symmetric: share of solutions that are a pseudo-symmetric twin of the right one.
        not_indexed: share of patterns without a solution inside grains.
        not_indexed_boundary: additional share at boundaries.
        wrong_boundary: factor on wrong solutions at boundaries.
    """

    noise_deg: Range = (0.1, 3.0)
    jitter_px: Range = (0.0, 0.6)
    misindexed: Range = (0.0, 0.03)
    pseudo_symmetric: Range = (0.0, 0.02)
    not_indexed: Range = (0.0, 0.05)
    not_indexed_boundary: Range = (0.0, 0.4)
    wrong_boundary: Range = (1.0, 5.0)


EBSD_NUISANCES = EbsdNuisances()


@dataclass(frozen=True)
class EbsdMap:
    """An observed map.

    Attributes:
        orientation: (h, w, 4) float32, crystal → sample; (1, 0, 0, 0) where not indexed.
        indexed: (h, w) bool.
        noise_deg: rms rotation between truth and a correct solution.
    """

    orientation: NDArray[np.float32]
    indexed: Bools
    noise_deg: float


def measure(rng: np.random.Generator, specimen: Specimen, nuisances: EbsdNuisances = EBSD_NUISANCES) -> EbsdMap:
    """Scan every pixel of `specimen`, with nuisance levels drawn from `nuisances`."""
    shape = specimen.shape
    noise = draw_log(rng, nuisances.noise_deg)
    boundary = label_boundary(specimen.label)
    spot = draw(rng, nuisances.jitter_px) * rng.standard_normal((2, *shape), dtype=np.float32)
    turn = rng.standard_normal((*shape, 3), dtype=np.float32) * np.float32(np.radians(noise) / np.sqrt(3))
    lost = draw(rng, nuisances.not_indexed) + draw(rng, nuisances.not_indexed_boundary) * boundary
    orientation, indexed = _scan(specimen.orientation, specimen.valid, spot, turn, rng.random(shape) < lost)
    _replace_wrong(rng, nuisances, orientation, indexed & boundary, specimen.point_group)
    orientation[~indexed] = (1, 0, 0, 0)
    return EbsdMap(orientation, indexed, noise)


def label_boundary(label: NDArray[np.int32]) -> Bools:
    """(h, w) pixels with a 4-neighbour of another label."""
    boundary = np.zeros(label.shape, np.bool_)
    down, right = label[1:] != label[:-1], label[:, 1:] != label[:, :-1]
    boundary[1:] |= down
    boundary[:-1] |= down
    boundary[:, 1:] |= right
    boundary[:, :-1] |= right
    return boundary


def _replace_wrong(
    rng: np.random.Generator,
    nuisances: EbsdNuisances,
    orientation: NDArray[np.float32],
    boundary: Bools,
    point_group: str,
) -> None:
    """Overwrite a share of the orientations by arbitrary or pseudo-symmetric ones."""
    factor = np.where(boundary, draw(rng, nuisances.wrong_boundary), 1.0)
    chance = rng.random(boundary.shape) / factor
    arbitrary, pseudo = draw(rng, nuisances.misindexed), draw(rng, nuisances.pseudo_symmetric)
    flat = orientation.reshape(-1, 4)
    wrong = np.flatnonzero(chance < arbitrary)
    flat[wrong] = random_quaternions(len(wrong), rng)
    near = np.flatnonzero((chance >= arbitrary) & (chance < arbitrary + pseudo))
    choices = PSEUDO_SYMMETRY[point_group]
    flat[near] = multiply(flat[near], choices[rng.integers(len(choices), size=len(near))])


@cached
def _scan(truth: Any, valid: Any, spot: Any, turn: Any, lost: Any) -> Any:  # pragma: no cover - compiled
    """Pattern of the pixel under the displaced spot, its orientation turned by a small rotation vector."""
    h, w = lost.shape
    out = np.empty((h, w, 4), np.float32)
    indexed = np.empty((h, w), np.bool_)
    for i in range(h):
        for j in range(w):
            r = min(max(int(np.rint(i + spot[0, i, j])), 0), h - 1)
            c = min(max(int(np.rint(j + spot[1, i, j])), 0), w - 1)
            indexed[i, j] = valid[r, c] and not lost[i, j]
            x, y, z = 0.5 * turn[i, j, 0], 0.5 * turn[i, j, 1], 0.5 * turn[i, j, 2]
            s = 1 - (x * x + y * y + z * z) / 2
            q0, q1, q2, q3 = truth[r, c, 0], truth[r, c, 1], truth[r, c, 2], truth[r, c, 3]
            a = s * q0 - x * q1 - y * q2 - z * q3
            b = s * q1 + x * q0 + y * q3 - z * q2
            d = s * q2 - x * q3 + y * q0 + z * q1
            e = s * q3 + x * q2 - y * q1 + z * q0
            length = np.sqrt(a * a + b * b + d * d + e * e)
            out[i, j, 0], out[i, j, 1] = a / length, b / length
            out[i, j, 2], out[i, j, 3] = d / length, e / length
    return out, indexed
