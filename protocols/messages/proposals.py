"""Proposals of the model service: points, lines and rectangles worth measuring, and why."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from grainloop.protocols.arrays import (
    ByteList,
    FloatList,
    PieceList,
    PixelList,
)
from grainloop.protocols.capabilities import ScanMeans
from grainloop.protocols.messages.common import Fraction, Seconds
from grainloop.protocols.values import Value


class ProposalReason(StrEnum):
    """Why a point is asked for, as an operator reads it."""

    FIRST_PASS = "first_pass"  # noqa: S105
    NEVER_HIT_GRAIN = "never_hit_grain"
    BOUNDARY = "boundary"
    UNCERTAIN = "uncertain"
    REGISTRATION = "registration"
    EXPLORATION = "exploration"
    RETRY = "retry"
    SPACE_FILLING = "space_filling"


REASON_CODES: tuple[ProposalReason, ...] = tuple(ProposalReason)
"""`Proposals.reason` holds indices into this tuple."""


class ProposalRequest(Value):
    """How many points to propose, by which policy.

    Attributes:
        count: at most this many.
        policy: name of a policy of the model service, or nothing for its default.
        exploration_share: share of the picks made regardless of the posterior.
        excluded_px: pixels that must not be proposed beyond those measured (queued, forbidden, dose spent).
        means: what the instrument accepts and what it costs, to propose lines and rectangles; else free points.
        budget_s: instrument time that all shapes together may take, where `means` are given.
        repeatable_px: pixels whose measurement failed and which may be measured again; nothing where none may.
    """

    kind: Literal["proposal_request"] = "proposal_request"
    count: Annotated[int, Field(ge=1, le=1_000_000)]
    policy: str | None = None
    exploration_share: Fraction = 0.05
    excluded_px: PixelList
    means: ScanMeans | None = None
    budget_s: Seconds | None = None
    repeatable_px: PixelList | None = None


class Proposals(Value):
    """Points worth measuring, best first.

    Attributes:
        position_px: where.
        gain: predicted number of pixels put right by each point, those before it given (unit: pixels).
        reason: index into `REASON_CODES`.
        policy: the policy that made them.
        pieces: which stretches of the list are free points, lines and rectangles, as in a scan request; without it all
            are free points. The gain of a shape is spread evenly over its points; those measured before are among them
            where the instrument cannot skip them.
        p_wrong: probability that the map is wrong at the pixel itself.
        competing: how many of the measured grains may lie there (with 5 % probability at least).
        misorientation_deg: angle between the two likeliest of them; NaN where fewer than two compete.
    """

    kind: Literal["proposals"] = "proposals"
    position_px: PixelList
    gain: FloatList
    reason: ByteList
    policy: str
    pieces: PieceList | None = None
    p_wrong: FloatList | None = None
    competing: ByteList | None = None
    misorientation_deg: FloatList | None = None

    def uneven(self) -> Iterator[tuple[str, str]]:
        """Columns of another length than there are proposals: the name of each, and what is wrong, to be told."""
        count = len(self.position_px)
        columns = {
            "gain": self.gain,
            "reason": self.reason,
            "p_wrong": self.p_wrong,
            "competing": self.competing,
            "misorientation_deg": self.misorientation_deg,
        }
        for name, column in columns.items():
            if column is not None and len(column) != count:
                yield name, f"{len(column)} values of {name} for {count} proposals"
