"""The default policy: ask where most pixels are expected to be wrong, spread over the section.

The gain of a point is the expected number of wrong pixels around it that can be put right: P(wrong) times the
probability of indexing there, summed under a Gaussian window. After each pick the pixels around it count as explained
by as much as the window covers them, so that a batch is diverse; no two picks of a batch are adjacent while others are
left. A share of the picks fills the largest gaps instead: grains that PL cannot see exist.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from model.acquire.filling import fill
from model.acquire.scene import Scene, code_of, proposals
from model.reconstruct import Posterior
from protocols.messages import ProposalReason, Proposals

MOSTLY = 0.5
WINDOW_PX = (0.75, 8.0)
"""Smallest and largest window."""


@dataclass(frozen=True)
class Spread:
    """Greedy batch of the points around which most pixels are expected to be wrong.

    Attributes:
        window_share: standard deviation of the window around a point that counts as explained by it, as a share of the
            mean spacing of the points measured so far.
    """

    name: str = "spread"
    window_share: float = 0.3

    def __call__(self, scene: Scene, count: int, rng: np.random.Generator) -> Proposals:
        """See `Policy`."""
        exploring = int(rng.binomial(count, scene.exploration_share)) if 0 < scene.exploration_share < 1 else 0
        exploring = count if scene.exploration_share >= 1 else exploring
        free = scene.free
        value = np.where(scene.measured, 0, scene.posterior.p_wrong * scene.indexable).astype(np.float32)
        spacing_px = np.sqrt(value.size / max(int(scene.measured.sum()), 1))
        gain, kernel = expected_gain(value, float(np.clip(self.window_share * spacing_px, *WINDOW_PX)))
        explored, _ = fill(scene.measured, free, exploring, rng)
        explored_gain = gain[tuple(explored.T)]
        picked, picked_gain = greedy(value, free, kernel, count - len(explored), explored)
        position = np.concatenate([explored, picked])
        reason = np.concatenate(
            [np.full(len(explored), code_of(ProposalReason.EXPLORATION)), reasons(scene.posterior, picked)]
        )
        every_gain = np.concatenate([explored_gain, picked_gain])
        order = np.argsort(-every_gain, kind="stable")
        return proposals(self.name, position[order], every_gain[order], reason[order])


def expected_gain(value: NDArray[np.float32], window_px: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(h, w) values summed under a Gaussian window of height 1, and the (2r + 1, 2r + 1) window."""
    reach = max(1, int(np.ceil(2 * window_px)))
    axis = np.arange(-reach, reach + 1)
    kernel = np.exp(-(axis[:, None] ** 2 + axis[None] ** 2) / (2 * window_px**2)).astype(np.float32)
    return _sums(value, kernel), kernel


def greedy(
    value: NDArray[np.float32],
    free: NDArray[np.bool_],
    kernel: NDArray[np.float32],
    count: int,
    before: NDArray[np.intp],
) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """(n, 2) pixels of `free` of highest gain, each after the value around those before it was explained; their gains.

    `before` (m, 2) are pixels already chosen. Neighbours of chosen pixels come only when nothing else is left.
    """
    value, free = value.copy(), free.copy()
    for pixel in before:
        explain(value, kernel, pixel[0], pixel[1])
        free[tuple(pixel)] = False
    apart = free.copy()
    for r, c in before:
        apart[max(r - 1, 0) : r + 2, max(c - 1, 0) : c + 2] = False
    first = _pick(value, apart, kernel, count, 1)
    free[tuple(first[0].T)] = False
    second = _pick(value, free, kernel, count - len(first[0]), 0)
    return np.concatenate([first[0], second[0]]).astype(np.intp), np.concatenate([first[1], second[1]])


@njit(cache=True, nogil=True)
def _sums(value: NDArray[np.float32], kernel: NDArray[np.float32]) -> NDArray[np.float32]:
    out = np.empty_like(value)
    for r in range(value.shape[0]):
        for c in range(value.shape[1]):
            out[r, c] = _sum_at(value, kernel, r, c)
    return out


@njit(cache=True, nogil=True)
def _sum_at(value: NDArray[np.float32], kernel: NDArray[np.float32], r: int, c: int) -> np.float32:
    reach = len(kernel) // 2
    total = np.float32(0)
    for rr in range(max(r - reach, 0), min(r + reach + 1, value.shape[0])):
        for cc in range(max(c - reach, 0), min(c + reach + 1, value.shape[1])):
            total += kernel[rr - r + reach, cc - c + reach] * value[rr, cc]
    return total


@njit(cache=True, nogil=True)
def explain(value: NDArray[np.float32], kernel: NDArray[np.float32], r: int, c: int) -> None:
    """Count `value` around a measured pixel as explained, in place, by as much as the window covers it."""
    reach = len(kernel) // 2
    for rr in range(max(r - reach, 0), min(r + reach + 1, value.shape[0])):
        for cc in range(max(c - reach, 0), min(c + reach + 1, value.shape[1])):
            value[rr, cc] *= 1 - kernel[rr - r + reach, cc - c + reach]


@njit(cache=True, nogil=True)
def _pick(
    value: NDArray[np.float32], free: NDArray[np.bool_], kernel: NDArray[np.float32], count: int, keep_off: int
) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Greedy picks; keeps the best column of each row, so that a pick costs its window and not the image."""
    h, w = value.shape
    reach = len(kernel) // 2
    gain = _sums(value, kernel)
    best = np.empty(h, np.intp)
    for r in range(h):
        best[r] = _best_column(gain[r], free[r])
    picks = np.empty((max(count, 0), 2), np.intp)
    gains = np.empty(max(count, 0), np.float32)
    found = 0
    while found < count:
        row = -1
        for r in range(h):
            if best[r] >= 0 and (row < 0 or gain[r, best[r]] > gain[row, best[row]]):
                row = r
        if row < 0:
            break
        column = best[row]
        picks[found, 0], picks[found, 1], gains[found] = row, column, gain[row, column]
        found += 1
        free[max(row - keep_off, 0) : row + keep_off + 1, max(column - keep_off, 0) : column + keep_off + 1] = False
        explain(value, kernel, row, column)
        for r in range(max(row - 2 * reach, 0), min(row + 2 * reach + 1, h)):
            for c in range(max(column - 2 * reach, 0), min(column + 2 * reach + 1, w)):
                gain[r, c] = _sum_at(value, kernel, r, c)
            best[r] = _best_column(gain[r], free[r])
    return picks[:found], gains[:found]


@njit(cache=True, nogil=True)
def _best_column(gain: NDArray[np.float32], free: NDArray[np.bool_]) -> int:
    best = -1
    for c in range(len(gain)):
        if free[c] and (best < 0 or gain[c] > gain[best]):
            best = c
    return best


def reasons(posterior: Posterior, position: NDArray[np.intp]) -> NDArray[np.int64]:
    """(n,) reason codes: what makes the pixel itself uncertain."""
    where = tuple(position.T)
    code = np.full(len(position), code_of(ProposalReason.UNCERTAIN))
    if posterior.candidates is None:
        return code
    wrong, never_hit = posterior.p_wrong[where], posterior.candidates.free[where]
    code[posterior.boundary[where] > MOSTLY] = code_of(ProposalReason.BOUNDARY)
    code[never_hit > MOSTLY * wrong] = code_of(ProposalReason.NEVER_HIT_GRAIN)
    return code
