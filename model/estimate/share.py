"""How many pixels of a section are wrong: its doubt, corrected by what the section has shown of itself so far.

A calibration (`calibration`) holds on average over sections and patterns of points. A stop rule needs the share of
wrong pixels of this section, measured where doubt was. Four things tell how far that is from the sum of the doubt: how
much was measured; whether PL took part; how often the map was wrong where it was checked by measuring, against how
often it said it would be (a prequential check, Dawid 1984); and how many points were lost between indexed ones, where
patterns of two grains mix and solutions are mistaken too. Each pixel keeps its rank: its log-odds are shifted and
stretched, those of measured pixels by a line of their own. What the lines are is learnt in `share_lessons`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree
from scipy.special import expit, logit

from grainloop.protocols.files import parse_json

Floats = NDArray[np.floating]
Mask = NDArray[np.bool_]

SCHEME = 1
"""Of what the numbers mean."""
FADE = 0.9
"""What earlier checks count after each further batch: a map changes as it is measured."""
PRIOR_CHECKS = 10.0
"""Wrong pixels that a section is taken to have shown and forecast before any check."""
USUAL_SHARE = 0.05
LEAST_SHARE = 0.005
MOST_LOST = 0.1
"""More lost points than that tell no more: they are pores or another phase."""
NEIGHBOURS = 8
ALONE = 0.6
"""Share of the points around that are indexed where a lost one counts."""
SHARPEST = 1e-5
"""Probabilities nearer to 0 and 1 are not told apart."""


class ShareError(ValueError):
    """A stored correction that cannot be read."""


@dataclass(frozen=True)
class Checked:
    """Doubt checked by measuring: how many of the pixels measured were forecast to be wrong, and how many were.

    Attributes:
        forecast: sum of P(wrong) over the pixels, before they were measured.
        found: how many of them the map showed wrong, by more than 5° or as another phase.
    """

    forecast: float = 0.0
    found: float = 0.0

    def then(self, forecast: float, found: float) -> Checked:
        """With those of one more batch."""
        return Checked(FADE * self.forecast + forecast, FADE * self.found + found)

    @property
    def surprise(self) -> float:
        """Logarithm of found over forecast, 0 before any check."""
        return float(np.log((self.found + PRIOR_CHECKS) / (self.forecast + PRIOR_CHECKS)))


@dataclass(frozen=True)
class Circumstances:
    """What a section has shown of itself.

    Attributes:
        share: of its pixels measured, 0 … 1.
        light_used: whether PL took part.
        surprise: as `Checked.surprise`.
        lost: as `lost_share`.
    """

    share: float
    light_used: bool
    surprise: float = 0.0
    lost: float = 0.0

    def columns(self) -> NDArray[np.float64]:
        """(5,) what the shifts are linear in, a constant first."""
        measured = np.log(max(self.share, LEAST_SHARE) / USUAL_SHARE)
        return np.array([1.0, measured, float(self.light_used), self.surprise, self.lost / MOST_LOST])


TERMS = len(Circumstances(USUAL_SHARE, light_used=False).columns())


@dataclass(frozen=True)
class Line:
    """Log-odds of being wrong as a line of those claimed.

    Attributes:
        shift: (TERMS,) of the circumstances' `columns`.
        slope: of the claimed log-odds.
    """

    shift: tuple[float, ...] = (0.0,) * TERMS
    slope: float = 1.0

    def __call__(self, p_wrong: Floats, here: Circumstances) -> Floats:
        """Probabilities corrected."""
        claimed = logit(np.clip(np.asarray(p_wrong, np.float64), SHARPEST, 1 - SHARPEST))
        return expit(float(np.dot(self.shift, here.columns())) + self.slope * claimed)


@dataclass(frozen=True)
class ShareCorrection:
    """What to make of the doubt of a section.

    Attributes:
        inferred: of pixels that were not measured, or not indexed.
        measured: of those that were.
    """

    inferred: Line = Line()
    measured: Line = Line()

    def __call__(self, p_wrong: NDArray[np.float32], measured: Mask, here: Circumstances) -> NDArray[np.float32]:
        """(h, w) P(wrong) whose mean is the share of wrong pixels to expect; `measured` (h, w) carry an orientation."""
        out = np.empty(p_wrong.shape, np.float32)
        for line, own in ((self.inferred, ~measured), (self.measured, measured)):
            out[own] = line(p_wrong[own], here)
        return out

    def to_json(self, weights_sha256: str) -> str:
        """As text, for the file beside the weights whose doubt it corrects."""
        lines = {name: {"shift": line.shift, "slope": line.slope} for name, line in vars(self).items()}
        return json.dumps({"scheme": SCHEME, "weights_sha256": weights_sha256} | lines, indent=2)


def read_share_correction(text: str, weights_sha256: str) -> ShareCorrection:
    """The inverse of `ShareCorrection.to_json`.

    Raises:
        ShareError: it is something else, or belongs to other weights.
    """
    try:
        found: dict[str, Any] = parse_json(text)
        if found["scheme"] != SCHEME:
            raise ValueError(f"it is of scheme {found['scheme']}, not {SCHEME}; ship the weights again")
        if found["weights_sha256"] != weights_sha256:
            raise ValueError("it belongs to other weights; ship them again")
        return ShareCorrection(_read_line(found["inferred"]), _read_line(found["measured"]))
    except (KeyError, TypeError, ValueError) as error:
        raise ShareError(f"The correction of the share of wrong pixels cannot be read: {error}.") from error


def _read_line(found: dict[str, Any]) -> Line:
    shift = tuple(float(value) for value in found["shift"])
    if len(shift) != TERMS or not np.isfinite([*shift, found["slope"]]).all():
        raise ValueError(f"a line needs {TERMS} finite shifts and a slope")
    return Line(shift, float(found["slope"]))


def lost_share(position_px: NDArray[np.int32], indexed: Mask) -> float:
    """Share of the points (n, 2) that brought no orientation although those around are indexed, up to `MOST_LOST`."""
    if indexed.all() or len(indexed) < 2:
        return 0.0
    count = min(NEIGHBOURS + 1, len(indexed))
    near = np.asarray(KDTree(position_px).query(position_px[~indexed], k=count)[1])
    around = (indexed[near].sum(axis=1)) / (count - 1)
    return min(MOST_LOST, float((around >= ALONE).sum() / len(indexed)))
