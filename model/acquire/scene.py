"""What a policy looks at and how it answers; the policies themselves are in modules of their own.

Every policy proposes only pixels that are neither measured nor excluded, each at most once, best first, and fewer than
asked only when no more are left.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from model.reconstruct import Posterior
from protocols.messages import REASON_CODES, ProposalReason, Proposals


@dataclass(frozen=True, eq=False)
class Scene:
    """The state of a section at which the next points are chosen.

    Attributes:
        posterior: the latest reconstruction of the section.
        measured: (h, w) bool, whatever came of the point.
        excluded: (h, w) bool, pixels that must not be proposed beyond those measured.
        exploration_share: share of the picks made regardless of the posterior, 0 … 1.
        not_indexed: (h, w) bool, measured pixels without a solution; None if there are none.
    """

    posterior: Posterior
    measured: NDArray[np.bool_]
    excluded: NDArray[np.bool_]
    exploration_share: float = 0.1
    not_indexed: NDArray[np.bool_] | None = None

    @property
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
    def free(self) -> NDArray[np.bool_]:
        """(h, w) pixels that may be proposed."""
        return ~(self.measured | self.excluded)


class Policy(Protocol):
    """Chooses points; deterministic for a scene, a count and the state of the generator."""

    @property
    def name(self) -> str:
        """What requests call the policy."""
        ...

    def __call__(self, scene: Scene, count: int, rng: np.random.Generator) -> Proposals:
        """At most `count` points worth measuring, best first."""
        ...


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
