"""Compiled loop of `lookahead`: what measuring one pixel would tell of another."""

from __future__ import annotations

from typing import Any

import numpy as np

from grainloop.model.jit import inlined, kernel

_NOTHING = np.float32(1e-6)
_SURE = np.float32(0.005)
_FAR = np.float32(0.03)


@inlined
def _translated(weight: Any, grain: Any, grain_there: Any, there: Any) -> Any:
    """Put the weights of one pixel onto the grains of another; what has no place there is returned."""
    known = len(grain)
    for t in range(known):
        there[t] = 0
    rest = np.float32(0)
    for k in range(known):
        place = -1
        for t in range(known):
            if grain[k] >= 0 and grain_there[t] == grain[k]:
                place = t
        if place >= 0:
            there[place] += weight[k]
        elif grain[k] >= 0:
            rest += weight[k]
    there[known] = weight[known]
    return rest


@inlined
def _right_after(prior: Any, seen: Any, rest: Any, bond: Any) -> Any:
    """Expected probability of showing the right grain at a pixel once another one is measured.

    `prior` (K + 1,) are its weights, `seen` those of the measured pixel on the same grains and `rest` its weight on
    grains that are none here. With probability `bond` both belong together: then their grains follow the maximal
    coupling of the two distributions; else the measurement tells nothing.
    """
    count = len(prior)
    excess = np.float32(0)
    for a in range(count):
        excess += max(prior[a] - seen[a], np.float32(0))
    total = np.float32(0)
    for b in range(count + 1):
        chance = rest if b == count else seen[b]
        if chance < _NOTHING:
            continue
        kept = np.float32(0) if b == count else min(np.float32(1), prior[b] / chance)
        best = np.float32(0)
        for a in range(count - 1):
            moved = max(prior[a] - seen[a], np.float32(0)) / excess if excess > _NOTHING else prior[a]
            after = (1 - bond) * prior[a] + bond * (1 - kept) * moved
            if a == b:
                after += bond * kept
            best = max(best, after)
        if b == count - 1:  # the measured pixel shows a new grain, and this pixel belongs to it
            best = max(best, bond * kept)
        total += chance * best
    return total


@inlined
def _largest(values: Any, count: Any) -> Any:
    """Of the first `count`; quicker to compile than `max` of an array."""
    top = values[0]
    for k in range(1, count):
        top = max(top, values[k])
    return top


@kernel
def influence(weight: Any, grain: Any, length: Any, at: Any, windows: Any) -> None:
    """Write to (n, 2 r + 1, 2 r + 1) the share of the doubt around pixels (n, 2) that measuring them would remove.

    `weight` (h, w, K + 1) are probabilities of the grains `grain` (h, w, K), −1 for none, and last of a grain never
    hit; two pixels d apart belong together with probability exp(−d / `length`), (h, w) in pixels.
    """
    h, w, count = weight.shape
    reach = windows.shape[1] // 2
    seen = np.empty(count, np.float32)
    for n in range(len(at)):
        r, c = at[n]
        windows[n] = 0
        windows[n, reach, reach] = 1
        if 1 - _largest(weight[r, c], count - 1) < _SURE:
            continue
        for rr in range(max(r - reach, 0), min(r + reach + 1, h)):
            for cc in range(max(c - reach, 0), min(c + reach + 1, w)):
                prior = weight[rr, cc]
                before = _largest(prior, count - 1)
                if (rr == r and cc == c) or 1 - before < _SURE:
                    continue
                away = np.sqrt(np.float32((rr - r) ** 2 + (cc - c) ** 2))
                bond = np.exp(-2 * away / (length[r, c] + length[rr, cc]))
                if bond < _FAR:
                    continue
                rest = _translated(weight[r, c], grain[r, c], grain[rr, cc], seen)
                gained = _right_after(prior, seen, rest, bond) - before
                share = min(max(gained / (1 - before), np.float32(0)), np.float32(1))
                windows[n, rr - r + reach, cc - c + reach] = share
