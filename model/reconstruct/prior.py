"""What a neighbouring section says of the candidates of a pixel, and how far this section's own points bear it out.

A grain goes through both sections with a probability that falls with their distance and rises away from the boundaries
that the neighbour shows. Grains end and registrations fail, so the measured points decide:

- p(d), that a pixel d away from the nearest boundary of the prior belongs to the grain seen there. Boundaries are taken
  for isotropic planes: between sections s apart a trace moves by s·cot θ, where the angle θ between plane and section
  has a density ∝ sin² θ, hence P(moved beyond d) = (φ − sin φ cos φ) / π with tan φ = s/d. p is a ceiling times the
  complement; ceiling and s are fitted to how often the measured orientation is the one seen there.
- f, how often the prior shows a candidate that the pixel does not belong to: fitted to how well the points are told
  from the groups around them, each as if it had not been measured.

What the prior shows has the likelihood p + (1 − p) f for a candidate that it matches and (1 − p) f for the others.
Where it matches none, it is 1 − p for each candidate and 1 for a grain never hit, which may look like anything. The
likelihood is tempered by how much p exceeds one half beside a boundary: pixels that a moved boundary passes err alike.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt
from scipy.spatial import KDTree
from scipy.special import logsumexp

from grainloop.model.crystal import boundaries_between, disorientation_deg
from grainloop.model.reconstruct.bands import in_bands
from grainloop.model.reconstruct.gate import CHUNK_PIXELS, GROUPS, NEAR_SEEDS, distance_log_odds
from grainloop.model.reconstruct.problem import WRONG_DEG, PriorSection, Problem
from grainloop.model.reconstruct.seeds import Seeds

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

NOT_USED = "The prior section is not used:"
NOTHING_MEASURED = f"{NOT_USED} no orientation is measured here that could bear it out."
SHOWS_NOTHING = f"{NOT_USED} it shows nothing where points are measured."
MOVED = f"{NOT_USED} beside grain boundaries it mostly shows other grains than the points measured here suggest."
TELLS_NOTHING = f"{NOT_USED} it does not tell the measured grains apart."

MATCH_DEG = WRONG_DEG
"""Gradients between sections call for no more: at 7° only 0.5 to 2 % more pixels match."""
TRUST = 0.7
"""Weight of a prior that is always right; with twice as much, maps get worse where the prior is shifted."""
MIN_EVIDENCE = 3.0
"""Log-likelihood that the prior must add to be believed, each group counted once; three numbers are fitted."""
BESIDE = 0.25
"""Distance from a boundary at which p must exceed one half, in mean spacings of the points: beyond it points decide."""
SAMPLE = 4096
"""Points that the prior is judged by, at most."""
PSEUDO_POINTS = 4.0
"""Points that the expected agreement exp(−spacing/length) counts as."""
SHORTEST_PX = 1.0
"""Boundaries are expected to move by this much at least: no registration and no earlier reconstruction is better."""
MOVES, MOVE_SPREAD = np.geomspace(0.25, 16, 25), 1.0
"""Moves tried, in distances of the sections, and how far their logarithm spreads before the points speak."""
CEILINGS = np.append(np.linspace(0.02, 0.98, 33), 0.995)
BACKGROUNDS, USUAL_BACKGROUND, BACKGROUND_SPREAD = np.geomspace(0.01, 1, 21), 0.3, 0.7
"""Values of f tried, where it is expected and how far its logarithm spreads: 0.1 … 0.4 on synthetic stacks."""


@dataclass(frozen=True, eq=False)
class PriorBelief:
    """What a prior section shows and how far it is believed.

    Attributes:
        orientation: (h, w, 4) float32 that it shows.
        same: (h, w) float32 probability that the pixel belongs to the grain shown; 0 where it shows nothing.
        background: f of the module.
        trust: weight of the log-likelihood.
        laue_group: symmetry of the phase.
    """

    orientation: NDArray[np.float32]
    same: NDArray[np.float32]
    background: float
    trust: float
    laue_group: str

    def log_likelihood(self, seeds: Seeds, seed: NDArray[np.int32]) -> NDArray[np.float32]:
        """(h, w, K + 1) of what is shown, tempered, under each candidate (h, w, K) and, last, a grain never hit."""
        out = np.zeros((*seed.shape[:2], seed.shape[2] + 1), np.float32)

        def compare(rows: slice) -> None:
            shown = _within(self.orientation[rows], seeds, seed[rows], self.laue_group)
            out[rows] = self.trust * _log_likelihood(shown, self.same[rows].astype(np.float64), self.background)

        in_bands(compare, seed.shape[:2], CHUNK_PIXELS)
        return out


@dataclass(frozen=True, eq=False)
class _Withheld:
    """Points as if they had not been measured.

    Attributes:
        log_odds: (n, K + 1) of the nearest other point of each group, a grain never hit last.
        right: (n, K + 1) bool, which of them the point turned out to belong to.
        shown: (n, K) bool, which of them the prior shows.
        groups: how many groups the points form.
    """

    log_odds: Floats
    right: Bools
    shown: Bools
    groups: int


def usable_prior(problem: Problem, seeds: Seeds) -> tuple[PriorBelief | None, tuple[str, ...]]:
    """The belief in the prior section of a problem, or None and, where there is such a section, why it is not used."""
    if problem.prior is None:
        return None, ()
    if not len(seeds):
        return None, (NOTHING_MEASURED,)
    orientation = known_or_identity(problem.prior.orientation, problem.prior.known)
    prior, group = replace(problem.prior, orientation=orientation), problem.laue_group
    at = _sample(seeds, prior)
    if not len(at):
        return None, (SHOWS_NOTHING,)
    away, where = boundary_distance_px(prior, group), tuple(seeds.position[at].T)
    move, ceiling = _fit_move(prior, seeds, at, away[where], group)
    spacing = np.sqrt(prior.known.size / len(seeds))
    beside = ceiling * float(unmoved(np.array(BESIDE * spacing), move))
    if beside <= 0.5:
        return None, (MOVED,)
    same = np.where(prior.known, ceiling * unmoved(away, move), 0)
    withheld = _withheld(prior, seeds, at, group)
    background, gain = _fit_background(withheld, same[where])
    if gain * withheld.groups <= MIN_EVIDENCE:
        return None, (TELLS_NOTHING,)
    trust = TRUST * (2 * beside - 1)
    return PriorBelief(prior.orientation, same.astype(np.float32), background, trust, group), ()


def boundary_distance_px(prior: PriorSection, laue_group: str) -> Floats:
    """(h, w) distance of pixel centres from the nearest boundary that a prior shows, or the end of what it shows."""
    right, down = boundaries_between(prior.orientation, laue_group, WRONG_DEG)
    right |= prior.known[:, 1:] != prior.known[:, :-1]
    down |= prior.known[1:] != prior.known[:-1]
    beside = np.zeros(prior.known.shape, np.bool_)
    beside[:, 1:] |= right
    beside[:, :-1] |= right
    beside[1:] |= down
    beside[:-1] |= down
    if not beside.any():
        return np.full(beside.shape, np.inf)
    return np.asarray(distance_transform_edt(~beside), np.float64) + 0.5


def unmoved(away_px: Floats, move_px: float) -> Floats:
    """Probability that a boundary `away_px` away has not passed, between sections `move_px` apart; see the module."""
    phi = np.arctan2(move_px, away_px)
    return np.asarray(1 - (phi - np.sin(phi) * np.cos(phi)) / np.pi)


def known_or_identity(orientation: NDArray[np.float32], known: Bools) -> NDArray[np.float32]:
    """(h, w, 4) orientations; what is not known may hold anything, NaN included: here it holds the identity."""
    return np.where(known[..., None], orientation, np.array([1, 0, 0, 0], np.float32))


def _sample(seeds: Seeds, prior: PriorSection) -> NDArray[np.intp]:
    """Indices of at most `SAMPLE` seeds where the prior shows something, evenly chosen."""
    there = np.flatnonzero(prior.known[tuple(seeds.position.T)])
    return there[np.linspace(0, len(there) - 1, min(len(there), SAMPLE)).astype(np.intp)]


def _within(orientation: NDArray[np.float32], seeds: Seeds, seed: NDArray[np.integer], laue_group: str) -> Bools:
    """(..., K) whether orientations (..., 4) are those of the seeds (..., K); false where there is none (−1)."""
    angle = np.asarray(disorientation_deg(orientation[..., None, :], seeds.orientation[seed], laue_group))
    return (angle <= MATCH_DEG) & (seed >= 0)


def _log_likelihood(shown: Bools, same: Floats, background: float) -> Floats:
    """(..., K + 1) from which candidates are shown (..., K) and p (...), relative to a candidate that is not shown."""
    out = np.zeros((*shown.shape[:-1], shown.shape[-1] + 1))
    out[..., :-1] = shown * np.log1p(same / ((1 - same) * background))[..., None]
    out[..., -1] = np.where(shown.any(axis=-1), 0, -np.log1p(-same))
    return out


def _fit_move(
    prior: PriorSection, seeds: Seeds, at: NDArray[np.intp], away: Floats, laue_group: str
) -> tuple[float, float]:
    """How far boundaries move in px, and the ceiling of p: the likeliest for the seeds `at`, (n,) `away` from them."""
    shown, measured = prior.orientation[tuple(seeds.position[at].T)], seeds.orientation[at]
    agrees = np.asarray(disorientation_deg(shown, measured, laue_group)) <= MATCH_DEG
    other = np.roll(measured, len(measured) // 2, axis=0)
    chance = float(np.mean(np.asarray(disorientation_deg(shown, other, laue_group)) <= MATCH_DEG))
    expected = float(np.exp(-prior.spacing_px / seeds.length_px))
    scale = float(np.hypot(prior.spacing_px, SHORTEST_PX))
    likelihood = np.stack([_agreement(agrees, unmoved(away, scale * m), chance, expected) for m in MOVES])
    likelihood -= (np.log(MOVES) / MOVE_SPREAD)[:, None] ** 2 / 2
    move, ceiling = np.unravel_index(likelihood.argmax(), likelihood.shape)
    return scale * float(MOVES[move]), float(CEILINGS[ceiling])


def _agreement(agrees: Bools, rise: Floats, chance: float, expected: float) -> Floats:
    """Log-likelihood of the agreement of (n,) points where p is each of `CEILINGS` times `rise`.

    Agreement by `chance` counts for nothing; before any point agrees, a share of `expected` is expected to.
    """
    p = CEILINGS[:, None] * rise
    agreement, mean = np.clip(p + (1 - p) * chance, 1e-6, 1 - 1e-6), p.mean(axis=1)
    seen = np.where(agrees, np.log(agreement), np.log1p(-agreement)).sum(axis=1)
    return seen + PSEUDO_POINTS * (expected * np.log(mean) + (1 - expected) * np.log1p(-mean))


def _withheld(prior: PriorSection, seeds: Seeds, at: NDArray[np.intp], laue_group: str) -> _Withheld:
    """What the seeds `at` would have been taken for without their own measurement."""
    seed, distance = _other_seeds(seeds, at)
    log_odds = distance_log_odds(distance[None], seeds.length_px)[0].astype(np.float64)
    right = _within(seeds.orientation[at], seeds, seed, laue_group)
    shown = _within(prior.orientation[tuple(seeds.position[at].T)], seeds, seed, laue_group)
    never_hit = ~right.any(axis=-1, keepdims=True)
    return _Withheld(log_odds, np.concatenate([right, never_hit], axis=-1), shown, len(np.unique(seeds.group[at])))


def _other_seeds(seeds: Seeds, at: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """(n, k) nearest other seed of each group around the seeds `at` (−1: none) and its distance in px (∞)."""
    count = min(NEAR_SEEDS + 1, len(seeds))
    found = KDTree(seeds.position).query(seeds.position[at], k=count)
    distance, near = (np.asarray(a).reshape(len(at), count)[:, 1:] for a in found)
    first = _first_of_each(seeds.group[near])
    first &= first.cumsum(axis=1) <= GROUPS
    return np.where(first, near, -1), np.where(first, distance, np.inf).astype(np.float32)


def _first_of_each(value: NDArray[np.int32]) -> Bools:
    """(n, k) entries that no earlier one of their row equals."""
    order = np.argsort(value, axis=1, kind="stable")
    begins = np.diff(np.take_along_axis(value, order, axis=1), axis=1, prepend=-1) != 0
    first = np.empty(value.shape, np.bool_)
    np.put_along_axis(first, order, begins, axis=1)
    return first


def _fit_background(withheld: _Withheld, same: Floats) -> tuple[float, float]:
    """The likeliest f, and the mean log-likelihood that the prior, p (n,) at the points, adds to a point with it."""
    without = _mean_log(withheld.log_odds, withheld.right)
    added = [withheld.log_odds + _log_likelihood(withheld.shown, same, f) for f in BACKGROUNDS]
    gain = np.array([_mean_log(log_odds, withheld.right) - without for log_odds in added])
    surprise = (np.log(BACKGROUNDS / USUAL_BACKGROUND) / BACKGROUND_SPREAD) ** 2 / 2
    best = int((gain - surprise / withheld.groups).argmax())
    return float(BACKGROUNDS[best]), float(gain[best])


def _mean_log(log_odds: Floats, right: Bools) -> float:
    """Mean log-probability of what is right (n, K + 1) given log-odds (n, K + 1)."""
    possible = np.asarray(logsumexp(log_odds, axis=-1))
    return float(np.mean(np.asarray(logsumexp(log_odds, axis=-1, b=right)) - possible))
