"""What a policy looks at and how it answers; the policies themselves are in modules of their own.

Every policy proposes only pixels that are free, each at most once, best first, and fewer than asked only when no more
are left.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from grainloop.model.acquire.rivals import Rivals, find_rivals
from grainloop.model.reconstruct import Posterior
from grainloop.protocols.messages import REASON_CODES, ProposalReason, Proposals
from grainloop.protocols.values import PointBlock


@dataclass(frozen=True, eq=False)
class Scene:
    """The state of a section at which the next points are chosen.

    Attributes:
        posterior: the latest reconstruction of the section.
        measured: (h, w) bool, whatever came of the point.
        excluded: (h, w) bool, pixels that must not be proposed beyond those measured.
        exploration_share: share of the picks made regardless of the posterior, 0 … 1.
        not_indexed: (h, w) bool, measured pixels without a solution; None if there are none.
        points: what the candidates of the posterior refer to; None where that is not known.
        laue_groups: of the phases, by their numbers.
        light: (c, h, w) registered PL features, NaN where PL does not reach; None without PL.
        repeatable: (h, w) bool, pixels measured without a solution that may be measured again; None if there are none.
    """

    posterior: Posterior
    measured: NDArray[np.bool_]
    excluded: NDArray[np.bool_]
    exploration_share: float = 0.05
    not_indexed: NDArray[np.bool_] | None = None
    points: PointBlock | None = None
    laue_groups: Mapping[int, str] = field(default_factory=dict[int, str])
    light: NDArray[np.float32] | None = None
    repeatable: NDArray[np.bool_] | None = None

    @cached_property
    def indexable(self) -> NDArray[np.float32]:
        """(h, w) probability that a point would be indexed, as the points measured nearby suggest.

        Kernel estimate with the width of the mean spacing and one pseudo-count of the section's own share: a lone
        failure, as happens at boundaries, hardly counts; a pore or another phase does.
        """
        if self.not_indexed is None or not self.not_indexed.any():
            return np.ones(self.measured.shape, np.float32)
        taken = self.measured.astype(np.float32)
        failed = (self.not_indexed & self.measured).astype(np.float32)
        width_px = float(np.sqrt(taken.size / taken.sum()))
        count, bad = (gaussian_filter(a, width_px, mode="constant") * 2 * np.pi * width_px**2 for a in (taken, failed))
        share = float(failed.sum() / taken.sum())
        return (1 - (bad + share) / (count + 1)).astype(np.float32)

    @property
    def spacing_px(self) -> float:
        """Mean spacing of the points measured so far."""
        return float(np.sqrt(self.measured.size / max(int(self.measured.sum()), 1)))

    @cached_property
    def doubt(self) -> NDArray[np.float32]:
        """(h, w) probability that the pixel is wrong and points could put it right; 0 where it was measured well."""
        known = self.measured if self.not_indexed is None else self.measured & ~self.not_indexed
        return np.where(known, 0, self.posterior.p_wrong * self.indexable).astype(np.float32)

    @property
    def free(self) -> NDArray[np.bool_]:
        """(h, w) pixels that may be proposed."""
        new = ~(self.measured | self.excluded)
        return new if self.repeatable is None else new | (self.repeatable & ~self.excluded)

    @cached_property
    def chance(self) -> NDArray[np.float32]:
        """(h, w) probability that measuring a pixel again helps, as earlier repeats suggest; 1 where it would be new.

        That the material itself may not be indexable is part of `doubt`.
        """
        once_more = repeat_chance(self.points)
        return np.where(self.measured, once_more, 1).astype(np.float32)

    @cached_property
    def rivals(self) -> Rivals | None:
        """The grains that compete for each pixel; None where the posterior does not say."""
        if self.points is None or self.posterior.candidates is None or not self.points.indexed.any():
            return None
        return find_rivals(self.posterior.candidates, self.points, self.laue_groups)


class Policy(Protocol):
    """Chooses points; deterministic for a scene, a count and the state of the generator.

    One that does not look at the posterior says so by `fills_evenly = True` (see `fills_evenly`).
    """

    @property
    def name(self) -> str:
        """What requests call the policy."""
        ...

    def __call__(self, scene: Scene, count: int, rng: np.random.Generator) -> Proposals:
        """At most `count` points worth measuring, best first."""
        ...


def fills_evenly(policy: Policy) -> bool:
    """Whether a policy does not look at the posterior, so that shapes in its place fill the section evenly."""
    return bool(getattr(policy, "fills_evenly", False))


def repeat_chance(points: PointBlock | None) -> float:
    """Share of the repeats of failed points that were indexed, with one success and one failure to begin with."""
    succeeded, tried = 1, 2
    if points is not None and len(points):
        _, pixel = np.unique(points.position_px, axis=0, return_inverse=True)
        order = np.argsort(pixel, kind="stable")
        again = np.diff(pixel[order], prepend=-1) == 0
        repeated = order[again]
        failed_before = ~points.indexed[order[np.flatnonzero(again) - 1]]
        tried += int(failed_before.sum())
        succeeded += int(points.indexed[repeated][failed_before].sum())
    return succeeded / tried


def code_of(reason: ProposalReason) -> int:
    """The index of a reason in `REASON_CODES`."""
    return REASON_CODES.index(reason)


def proposals(
    policy: str, position: NDArray[np.integer], gain: NDArray[np.floating], reason: NDArray[np.integer]
) -> Proposals:
    """The message, from (n, 2) pixels, (n,) gains in pixels and (n,) reason codes."""
    return Proposals(
        position_px=np.asarray(position, dtype=np.int32).reshape(-1, 2),
        gain=np.asarray(gain, dtype=np.float32),
        reason=np.asarray(reason, dtype=np.uint8),
        policy=policy,
    )
